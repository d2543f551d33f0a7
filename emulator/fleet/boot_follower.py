"""Whether a guest's boot is over, judged by what it writes and by how much it runs while it is silent."""

from __future__ import annotations

from collections.abc import Callable

from emulator.console.channel import Cursor
from emulator.console.marks import Mark
from emulator.console.transcript import Transcript
from emulator.guest_text.expected import BOOT_S, BootWatch

BUSY_SHARE = 0.05
RAN_ENOUGH_S = 5.0
"""How much CPU firmware takes in its longest silence, in seconds; OVMF's is 4. An idle guest takes 1 %."""
HELD_UP_S = 30.0
"""For how long at most the silence of a guest that has spoken is laid to the host; OVMF is silent first."""
LOOK_AGAIN_S = 1.0


class BootFollower:
    """Follows what a guest writes from the mark `start` on, or from now on, until the boot is over.

    `spun_s` tells how much CPU it has used since then: the silence of a guest that a busy host keeps from
    running does not count in full.
    """

    def __init__(
        self, transcript: Transcript, start: Mark | None = None, *, spun_s: Callable[[], float] = float
    ) -> None:
        self.start = start
        self._spun_s = spun_s
        self._began = transcript.now() if start is None else start.at
        self._spoke = (self._began, 0.0)  # when it last wrote: the moment, and its CPU until then
        self._cursor = Cursor(transcript, position=len(transcript) if start is None else start.offset)
        self._watch = BootWatch(began=self._began)

    def look(self) -> float:
        """Read on, and return for how many seconds of silence the boot is over; 0 if it is."""
        cursor, transcript = self._cursor, self._cursor.transcript
        if transcript.now() >= self._began + BOOT_S:
            return 0.0
        if data := cursor.read(cursor.available()):
            self._spoke = (transcript.arrival(cursor.position - 1), self._spun_s())
            self._watch.feed(data, self._spoke[0])
        left = self._watch.remaining(transcript.now())
        return LOOK_AGAIN_S if not left and not self._watch.asks and self._is_held_up() else left

    def _is_held_up(self) -> bool:
        """Tell whether it wants to run in its silence, and gets less than half of a processor."""
        silent_s = self._cursor.transcript.now() - self._spoke[0]
        ran_s = self._spun_s() - self._spoke[1]
        has_spoken = self._spoke[0] > self._began
        return BUSY_SHARE * silent_s < ran_s < RAN_ENOUGH_S and not (has_spoken and silent_s > HELD_UP_S)
