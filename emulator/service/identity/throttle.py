"""Wrong secrets are answered late: the later, the more of them came for one name."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from emulator.errors import CloudError

FREE = 3
"""So many wrong secrets in a row are answered at once: people mistype."""
FIRST_S = 0.1
LONGEST_S = 2.0
WAITING_MAX = 64
NAMES_MAX = 1000

Pause: TypeAlias = Callable[[float], Awaitable[object]]


class Throttle:
    """Counts wrong secrets by name; the right one is never late, so nobody locks anybody out."""

    def __init__(self, pause: Pause = asyncio.sleep) -> None:
        self._pause = pause
        self._failures: OrderedDict[str, int] = OrderedDict()
        self._waiting = 0

    def clear(self, name: str) -> None:
        """Forget the wrong secrets of `name`: the right one came."""
        self._failures.pop(name.lower(), None)

    async def fail(self, name: str) -> None:
        """Count a wrong secret for `name` and wait as long as its answer is to be late.

        Raises:
            CloudError: 429, where too many wait already.
        """
        count = self._failures.pop(name.lower(), 0) + 1
        self._failures[name.lower()] = count
        while len(self._failures) > NAMES_MAX:
            self._failures.popitem(last=False)
        if count <= FREE:
            return
        if self._waiting >= WAITING_MAX:
            raise CloudError(
                429, "temporarily_unavailable", "AADSTS90055: Too many requests; try again later."
            )
        self._waiting += 1
        try:
            await self._pause(min(LONGEST_S, FIRST_S * 2 ** min(count - FREE - 1, 10)))
        finally:
            self._waiting -= 1
