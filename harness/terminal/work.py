"""Lines about work that takes long (`emulator.work`): at its begin and end, and no long silence between."""

from __future__ import annotations

import threading
from collections.abc import Callable

from emulator.clock import SYSTEM_CLOCK, Clock

SILENCE_S = 5.0
"""Seconds without a line after which the next one comes."""


class WorkLines:
    """Says what is being made; the methods are called from any thread."""

    def __init__(self, say: Callable[[str], None], *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._say = say
        self._clock = clock
        self._doing: dict[str, tuple[float, str]] = {}
        self._idle = threading.Event()

    def show(self, what: str, stage: str, fraction: float) -> None:
        """Say that it begins or has ended; a stage between is kept for the next line."""
        now = self._clock.monotonic()
        began = self._doing[what][0] if what in self._doing else now
        if fraction >= 1:
            self._doing.pop(what, None)
            self._say(f"{what}: {stage} after {now - began:.1f} s")
            if not self._doing:
                self._idle.set()
            return
        if what not in self._doing:
            self._say(f"{what}: {stage}")
            if not self._doing:
                self._idle = threading.Event()
                threading.Thread(target=self._tick, args=(self._idle,), name="work", daemon=True).start()
        self._doing[what] = (began, stage)

    def beat(self) -> None:
        """Say what goes on."""
        now = self._clock.monotonic()
        for what, (began, stage) in list(self._doing.items()):
            self._say(f"{what}: {stage} ({now - began:.0f} s)")

    def _tick(self, idle: threading.Event) -> None:
        while not idle.wait(SILENCE_S):
            self.beat()
