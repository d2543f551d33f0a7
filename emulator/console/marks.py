"""What stands on a console's timeline: chunks of output, typed bytes, and marks ("event" is QMP's word)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class MarkKind(StrEnum):
    """Who set a mark."""

    MACHINE = "machine"  # the process: started, running, off, gone
    QMP = "qmp"  # an event of QEMU, under QEMU's own name
    STIMULUS = "stimulus"  # something was injected
    STAGE = "stage"  # the guest reached a stage
    STEP = "step"  # a scenario step began or ended
    FINDING = "finding"  # a signature was seen
    LINK = "link"  # a person or program attached or left
    LAB = "lab"  # about the lab itself: truncated, stalled


FAR_END_GONE = "far-end-gone"
"""The lab's mark where a port was unplugged, or its peer left."""
REFUSED = "request-failed"
"""The lab's mark behind a stimulus that somebody asked for by hand and that the machine did not take."""
STOPPED = "stopped"
"""The lab's mark where somebody else stopped the guest's CPUs or QEMU's process, or QEMU did so itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One point on the timeline.

    Attributes:
        kind: who set it.
        name: what happened, a short word such as `RESET` or `nmi`.
        at: seconds since the transcript's epoch.
        offset: how many bytes the guest had written by then.
        detail: more facts, ready for JSON.
    """

    kind: MarkKind
    name: str
    at: float
    offset: int
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A run of guest output that arrived together: bytes `[start, end)` at `at` seconds."""

    at: float
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Bytes that were sent to the guest at `at` seconds, when it had written `offset` bytes.

    `secret` ones a step typed as a password: the transcript has them, a report shows none of them.
    """

    at: float
    offset: int
    data: bytes
    secret: bool = False

    @property
    def shown(self) -> bytes:
        """The bytes as a report or a log may show them."""
        return re.sub(rb"[^\r\n]", b"*", self.data) if self.secret else self.data


SAME_RESTART_S = 1.0
"""RESET events at most this far apart are one restart: some guests raise three (docs/facts/qemu.md 4)."""


def boot_starts(marks: Iterable[Mark]) -> list[Mark]:
    """Return one mark for each boot: every "started", and the first RESET of every restart.

    A boot owns the bytes from its mark's offset to the next one's.
    """
    starts: list[Mark] = []
    for mark in marks:
        again = bool(starts) and _is_reset(starts[-1]) and mark.at - starts[-1].at <= SAME_RESTART_S
        if _is_started(mark) or (_is_reset(mark) and not again):
            starts.append(mark)
    return starts


def last_start(marks: Sequence[Mark]) -> Mark | None:
    """Return the mark of the latest moment at which firmware began: "started", or any RESET of a flock."""
    return next((mark for mark in reversed(marks) if _is_started(mark) or _is_reset(mark)), None)


def _is_started(mark: Mark) -> bool:
    return mark.kind is MarkKind.MACHINE and mark.name == "started"


def _is_reset(mark: Mark) -> bool:
    return mark.kind is MarkKind.QMP and mark.name == "RESET"
