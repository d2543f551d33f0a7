"""How answers learn that changes are on disk."""

from __future__ import annotations


class Saving:
    """What a service without a state directory says: there is nothing to wait for."""

    def noted(self) -> int:
        """Return how many changes there have been that an answer acknowledges."""
        return 0

    async def saved(self) -> None:
        """Return when every change noted so far is on disk.

        Raises:
            CloudError: 503; they can't be written now. They stay made, and are written later.
        """
