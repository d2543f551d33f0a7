"""What came of a repetition, and which repetitions ended alike; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.repeat.plan import Repetition
from harness.report.model import CellResult
from harness.scenario.verdict import Reason, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What repetitions that did not pass have in common.

    Attributes:
        reason: of the verdict ("died", "timeout"), for programs.
        rule: of the signature that was found where none was allowed; empty without one.
        title: that finding's title; else the step that did not end well; else the verdict's message.
    """

    reason: str
    rule: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one repetition ended.

    Attributes:
        repetition: which, and under what.
        status: of its verdict.
        message: of its verdict.
        cause: None if it passed.
        duration_s: seconds that it took.
        directory: of its evidence, relative to the whole's; empty where none is kept.
        start: how its machine began.
    """

    repetition: Repetition
    status: Status
    message: str = ""
    cause: Cause | None = None
    duration_s: float = 0.0
    directory: str = ""
    start: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Repetitions that ended of one cause.

    Attributes:
        cause: which.
        endings: theirs, by number; at least one.
    """

    cause: Cause
    endings: tuple[Ending, ...]


def ending_of(repetition: Repetition, result: CellResult, *, directory: str) -> Ending:
    """Return how a repetition ended whose cell has `result`."""
    return Ending(
        repetition=repetition,
        status=Status(result.status),
        message=result.message,
        cause=cause_of(result),
        duration_s=result.duration_s,
        directory=directory,
        start=result.start,
    )


def broken_ending(repetition: Repetition, message: str, *, directory: str) -> Ending:
    """Return how a repetition ended of which the lab has no result."""
    cause = Cause(reason=Reason.LAB.value, rule="", title=message)
    return Ending(
        repetition=repetition, status=Status.BROKEN, message=message, cause=cause, directory=directory
    )


def cause_of(result: CellResult) -> Cause | None:
    """Return why a cell did not pass, in words that are the same whenever it is the same fault.

    A message quotes what stood on the console (numbers, times), so it makes no group where there is a
    finding or a step to go by.
    """
    status = Status(result.status)
    if status is Status.PASSED:
        return None
    unexpected = [one for one in result.findings if not one.expected and not one.suppressed]
    # Of an oops and the panic that follows from it, the first is the cause.
    found = min(unexpected, key=lambda one: one.start, default=None)
    if status is Status.FAILED and found is not None:
        return Cause(reason=result.reason, rule=found.rule, title=found.title)
    if result.step is not None and result.step < len(result.steps):
        title = f"step {result.step}: {result.steps[result.step].text}"
        return Cause(reason=result.reason, rule="", title=title)
    return Cause(reason=result.reason, rule="", title=result.message)


def group_endings(endings: Iterable[Ending]) -> tuple[Group, ...]:
    """Return the groups of those that did not pass, the largest first."""
    groups: dict[Cause, list[Ending]] = {}
    for ending in sorted(endings, key=lambda one: one.repetition.number):
        if ending.cause is not None:
            groups.setdefault(ending.cause, []).append(ending)
    made = [Group(cause=cause, endings=tuple(members)) for cause, members in groups.items()]
    return tuple(sorted(made, key=lambda group: -len(group.endings)))
