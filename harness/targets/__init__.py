"""What a session opens on: a console with a control beside it."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.console.channel import Channel
from emulator.machine.capability import Capability
from emulator.machine.control import Control
from harness.errors import Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A console and what can be done to the machine behind it.

    Attributes:
        name: for messages ("bookworm on q35", "rfc2217://lab:7001").
        channel: the console.
        control: what can be done.
    """

    name: str
    channel: Channel
    control: Control

    def require(self, needs: frozenset[Capability]) -> None:
        """Check that the target can do all of `needs`.

        Raises:
            Unsupported: it can't; the text says what is missing.
        """
        missing = needs - self.control.capabilities
        if missing:
            raise Unsupported(f"{self.name} can't do {', '.join(sorted(missing))}")


__all__ = ["Target"]
