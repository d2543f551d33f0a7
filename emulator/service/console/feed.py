"""A place in a transcript that a task of the loop reads from, while another thread writes and never waits."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from emulator.console.transcript import Transcript
from emulator.errors import ConsoleClosed

READ_SIZE = 32_768


class Feed:
    """Reads a transcript as it grows; enter it on the loop that reads.

    Attributes:
        transcript: what is read.
        position: offset of the next byte.
    """

    def __init__(self, transcript: Transcript, *, position: int) -> None:
        self.transcript = transcript
        self.position = position
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._told = False

    def __enter__(self) -> Self:
        self._unwatch = self.transcript.watch(self._tell)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unwatch()

    async def read(self, size: int = READ_SIZE) -> bytes:
        """Return up to `size` bytes as soon as there is one; b"" at the transcript's end.

        Raises:
            ConsoleClosed: the transcript has forgotten bytes that were not read yet.
        """
        while True:
            closed = self._begin()
            data = self.transcript.read(self.position, self.position + size)
            if self.position < self.transcript.first:
                raise ConsoleClosed(
                    f"this reader is too slow: {self.transcript.first - self.position} bytes of"
                    f" {self.transcript.name} are gone"
                )
            self.position += len(data)
            if data or closed:
                return data
            await self._changed.wait()

    async def wait(self) -> bool:
        """Return after the next change; False at the transcript's end. For readers of marks."""
        if self.transcript.closed is not None:
            return False
        await self._changed.wait()
        return True

    def _begin(self) -> bool:
        self._changed.clear()
        self._told = False
        return self.transcript.closed is not None

    def acknowledge(self) -> None:
        """Wait for changes after this moment."""
        self._begin()

    def _tell(self) -> None:
        # On the writer's thread, under the transcript's lock: one call for many changes.
        if not self._told:
            self._told = True
            self._loop.call_soon_threadsafe(self._changed.set)
