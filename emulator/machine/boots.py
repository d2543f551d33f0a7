"""Where the boots of a machine begin, read from its marks."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.console.marks import Mark, MarkKind

SAME_RESTART_S = 1.0
"""RESET events at most this far apart belong to one restart: some guests raise three (design.md, fact 8)."""


def boot_starts(marks: Iterable[Mark]) -> list[Mark]:
    """Return one mark for each boot: every "started", and the first RESET of every restart.

    A boot owns the bytes from its mark's offset to the next one's.
    """
    starts: list[Mark] = []
    for mark in marks:
        if _is_start(mark) or (_is_reset(mark) and not _belongs_to_last(mark, starts)):
            starts.append(mark)
    return starts


def _is_start(mark: Mark) -> bool:
    return mark.kind is MarkKind.MACHINE and mark.name == "started"


def _is_reset(mark: Mark) -> bool:
    return mark.kind is MarkKind.QMP and mark.name == "RESET"


def _belongs_to_last(mark: Mark, starts: list[Mark]) -> bool:
    return bool(starts) and _is_reset(starts[-1]) and mark.at - starts[-1].at <= SAME_RESTART_S
