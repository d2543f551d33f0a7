"""Lines about work that takes long (`emulator.work`): at its begin and end, and no long silence between."""

from __future__ import annotations

import threading
from collections.abc import Callable

from emulator.clock import SYSTEM_CLOCK, Clock

SILENCE_S = 15.0
"""Seconds without a line after which the next one comes, where lines stay: in a log."""
_IN_PLACE_S = 1.0


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
    """Says what is being made; the methods are called from any thread.

    On a terminal `say_over` shows what goes on in place, line by line over the one before.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        say_over: Callable[[str], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._say = say
        self._say_over = say_over
        self._clock = clock
        self._doing: dict[str, tuple[float, str]] = {}
        self._beats: Beats | None = None

    def show(self, what: str, stage: str, fraction: float) -> None:
        """Say that it begins or has ended; a stage between is kept for the next line."""
        now = self._clock.monotonic()
        began = self._doing[what][0] if what in self._doing else now
        if fraction >= 1:
            self._doing.pop(what, None)
            self._say(f"{what}: {stage} after {now - began:.1f} s")
            if self._beats is not None and not self._doing:
                self._beats.end()
                self._beats = None
            return
        if what not in self._doing:
            self._say(f"{what}: {stage}")
        self._doing[what] = (began, stage)
        if self._beats is None:
            self._beats = Beats(self.beat, every_s=SILENCE_S if self._say_over is None else _IN_PLACE_S)

    def beat(self) -> None:
        """Say what goes on."""
        now = self._clock.monotonic()
        doing = list(self._doing.items())
        lines = [f"{what}: {stage} ({now - began:.0f} s)" for what, (began, stage) in doing]
        if self._say_over is not None and lines:
            self._say_over("; ".join(lines))
        for line in lines if self._say_over is None else ():
            self._say(line)
