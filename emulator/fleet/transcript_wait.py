"""Waiting on the loop for what other threads write into a transcript."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from emulator.clock import Deadline
from emulator.console.transcript import Transcript

T = TypeVar("T")


async def wait_change(transcript: Transcript, version: int, *, seconds: float | None = None) -> None:
    """Return when `transcript.version` differs from `version`, at its end, or after `seconds`."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the loop was closed in the middle
            loop.call_soon_threadsafe(changed.set)

    unwatch = transcript.watch(wake)
    try:
        if transcript.version == version and transcript.closed is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await changed.wait()
    finally:
        unwatch()


async def wait_for(
    transcript: Transcript, look: Callable[[], T | None], *, deadline: Deadline | None = None
) -> T | None:
    """Return what `look` finds, asked again after each change; None at the deadline or the transcript's end.

    `look` is asked on the loop; what is false counts as nothing found.
    """
    while True:
        version, closed = transcript.version, transcript.closed
        found = look()
        if found or closed is not None or (deadline is not None and deadline.expired()):
            return found or None
        seconds = None if deadline is None else deadline.remaining()
        await wait_change(transcript, version, seconds=seconds)
