"""Lines about work that takes long (`emulator.work`): at its begin and end, and no long silence between."""

from __future__ import annotations

import threading
from collections.abc import Callable

from emulator.clock import SYSTEM_CLOCK, Clock

SILENCE_S = 15.0
"""Seconds without a line after which the next one comes, where lines stay: in a log."""


class Beats:
    """Calls a function again and again, from a thread of its own, until it is ended."""

    def __init__(self, beat: Callable[[], None], *, every_s: float = SILENCE_S) -> None:
        self._ended = threading.Event()
        self._beat = beat
        self._every_s = every_s
        threading.Thread(target=self._run, name="beats", daemon=True).start()

    def end(self) -> None:
        """Call it no more; again this does nothing."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self._beat()


class WorkLines:
    r"""Says what is being made, now and then a line, or `in_place` each second; called from any thread.

    `say` is called with a line and its end: "\r" for one that the next is written over.
    """

    def __init__(
        self, say: Callable[[str, str], None], *, in_place: bool = False, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._say = say
        self._every_s, self._end = (1.0, "\r") if in_place else (SILENCE_S, "\n")
        self._clock = clock
        self._doing: dict[str, tuple[float, str]] = {}
        self._beats: Beats | None = None

    def show(self, what: str, stage: str, fraction: float) -> None:
        """Say that it begins or has ended; a stage between is kept for the next line."""
        now = self._clock.monotonic()
        began = self._doing[what][0] if what in self._doing else now
        if fraction >= 1:
            self._doing.pop(what, None)
            self._say(f"{what}: {stage} after {now - began:.1f} s", "\n")
        elif what not in self._doing:
            self._say(f"{what}: {stage}", "\n")
        if fraction < 1:
            self._doing[what] = (began, stage)
        if self._beats is None and self._doing:
            self._beats = Beats(self.beat, every_s=self._every_s)
        elif self._beats is not None and not self._doing:
            self._beats.end()
            self._beats = None

    def beat(self) -> None:
        """Say what goes on."""
        now, doing = self._clock.monotonic(), list(self._doing.items())
        for what, (began, stage) in doing[-1:] if self._end == "\r" else doing:
            self._say(f"{what}: {stage} ({now - began:.0f} s)", self._end)
