"""How repetitions ended, and what they say together: a probability with its interval, the causes; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from emulator.errors import SpecError
from emulator.program import called
from emulator.values import json_ready
from harness.repeat.plan import Jitter, Repetition
from harness.report.model import CellResult
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PASSED
from harness.scenario.verdict import Reason, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What repetitions that did not pass have in common.

    Attributes:
        reason: of the verdict ("died", "timeout"), for programs.
        rule: of the signature that was found but not allowed; empty if there was none.
        title: that finding's title; else the step that went wrong; else the verdict's message.
    """

    reason: str
    rule: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one repetition ended.

    Attributes:
        repetition: which, and what disturbed it.
        status: of its verdict.
        message: of its verdict.
        cause: None if it passed.
        duration_s: seconds that it took.
        directory: of its evidence, relative to the hunt's; empty if none is kept.
        start: how its machine started.
        held: how to join its guest, if that was kept, or why it was not.
    """

    repetition: Repetition
    status: Status
    message: str = ""
    cause: Cause | None = None
    duration_s: float = 0.0
    directory: str = ""
    start: str = ""
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Repetitions that ended from the same cause.

    Attributes:
        cause: the cause.
        endings: at least one, by number.
    """

    cause: Cause
    endings: tuple[Ending, ...]


def ending_of(repetition: Repetition, result: CellResult, *, directory: str) -> Ending:
    """Return the ending of a repetition whose cell ended with `result`."""
    return Ending(
        repetition=repetition,
        status=Status(result.status),
        message=result.message,
        cause=cause_of(result),
        duration_s=result.duration_s,
        directory=directory,
        start=result.start,
        held=result.held,
    )


def broken_ending(repetition: Repetition, message: str, *, directory: str) -> Ending:
    """Return the ending of a repetition that the lab broke before it had a result."""
    cause = Cause(reason=Reason.LAB.value, rule="", title=message)
    return Ending(
        repetition=repetition, status=Status.BROKEN, message=message, cause=cause, directory=directory
    )


def cause_of(result: CellResult) -> Cause | None:
    """Return why a cell did not pass, in the same words whenever the fault is the same; None if it passed.

    A message quotes the console (numbers, times), so it serves only if there is neither finding nor step.
    """
    status = Status(result.status)
    if status is Status.PASSED:
        return None
    unexpected = [one for one in result.findings if not one.expected and not one.suppressed]
    if status is Status.FAILED and unexpected:
        first = min(unexpected, key=lambda one: one.start)  # an oops causes the panic that follows
        return Cause(reason=result.reason, rule=first.rule, title=first.title)
    title = result.message
    if result.step is not None and result.step < len(result.steps):
        title = f"step {result.step}: {result.steps[result.step].text}"
    return Cause(reason=result.reason, rule="", title=title)


def group_endings(endings: Iterable[Ending]) -> tuple[Group, ...]:
    """Return the endings that did not pass in groups by cause, the largest first."""
    groups: dict[Cause, list[Ending]] = {}
    for ending in sorted(endings, key=lambda one: one.repetition.number):
        if ending.cause is not None:
            groups.setdefault(ending.cause, []).append(ending)
    made = [Group(cause=cause, endings=tuple(members)) for cause, members in groups.items()]
    return tuple(sorted(made, key=lambda group: -len(group.endings)))


CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A count out of a total, and where the true probability lies.

    Attributes:
        count: how many.
        of: the total, at least 1.
        low, high: bounds of the interval, in [0, 1].
        confidence: proportion of such intervals that contain the true probability.
    """

    count: int
    of: int
    low: float
    high: float
    confidence: float

    @property
    def estimate(self) -> float:
        """The observed probability."""
        return self.count / self.of


def wilson(count: int, of: int, confidence: float = CONFIDENCE) -> Share:
    """Return the share with Wilson's score interval (E. B. Wilson, JASA 22, 1927, without correction).

    Unlike the textbook's estimate ± z * s it holds for 0 of n too: 0 of 200 is "at most 1.9 %". Raises
    SpecError if `of` is below 1, or `count` not between 0 and `of`.
    """
    if of < 1 or not 0 <= count <= of:
        raise SpecError(f"a share of {count} in {of}; allowed: 0 to n in n, n from 1 on")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p, spread = count / of, z * z / of
    middle = (p + spread / 2) / (1 + spread)
    half = z * sqrt(p * (1 - p) / of + spread / (4 * of)) / (1 + spread)
    # At the ends the bound is the estimate itself; rounding would leave 1e-17 there.
    low = 0.0 if count == 0 else max(0.0, min(p, middle - half))
    high = 1.0 if count == of else min(1.0, max(p, middle + half))
    return Share(count=count, of=of, low=low, high=high, confidence=confidence)


VERSION = 1
BOOTED_BECAUSE = "booted: "
"""How the text of a `harness.snapshots.start.Start` begins if the wanted snapshot was not available."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """What is repeated, and how.

    Attributes:
        cell: id.
        seed: of the plan.
        kinds: of jitter.
        planned: number of repetitions; None: until the time is up.
        jobs: how many at once.
        options: further command-line words that a reproduction needs.
    """

    cell: str
    seed: int
    kinds: frozenset[Jitter]
    planned: int | None
    jobs: int
    options: tuple[str, ...] = ()

    def repro(self, number: int) -> str:
        """Return the command that plays one repetition again."""
        jitter = () if self.kinds == frozenset(Jitter) else ("--jitter", self.jitter)
        words = ("repeat", self.cell, "--seed", str(self.seed), "--only", str(number))
        return called(*words, *jitter, *self.options)

    @property
    def jitter(self) -> str:
        """The kinds as `--jitter` takes them."""
        return ",".join(kind for kind in Jitter if kind in self.kinds) or "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The results of a hunt.

    Attributes:
        hunt: what was repeated.
        endings: of the repetitions that ended, by number.
        duration_s: seconds that the whole took.
        interrupted: whether somebody ended it early.
        stopped: whether the first failure ended it.
        notes: what else the reader must know.
    """

    hunt: Hunt
    endings: tuple[Ending, ...]
    duration_s: float
    interrupted: bool = False
    stopped: bool = False
    notes: tuple[str, ...] = ()

    def count(self, status: Status) -> int:
        """Return how many repetitions ended with `status`."""
        return sum(ending.status is status for ending in self.endings)

    @property
    def failures(self) -> Share | None:
        """The probability of a failure among passes and failures; None if there are neither."""
        failed = self.count(Status.FAILED)
        judged = failed + self.count(Status.PASSED)
        return wilson(failed, judged) if judged else None

    @property
    def booted(self) -> tuple[Ending, ...]:
        """Endings whose machine had to be booted although a snapshot was wanted."""
        return tuple(ending for ending in self.endings if ending.start.startswith(BOOTED_BECAUSE))

    @property
    def per_minute(self) -> float:
        """Repetitions per minute."""
        return 60 * len(self.endings) / self.duration_s if self.duration_s else 0.0

    def groups(self, *statuses: Status) -> tuple[Group, ...]:
        """Return the endings with one of `statuses`, by cause."""
        return group_endings(ending for ending in self.endings if ending.status in statuses)

    @property
    def exit_code(self) -> int:
        """The command's exit code; a guest's failure counts even if the lab broke elsewhere."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        if self.count(Status.FAILED):
            return EXIT_FAILED
        return EXIT_BROKEN if self.count(Status.BROKEN) or self.failures is None else EXIT_PASSED

    def to_json(self) -> str:
        """Return the summary as JSON text."""
        return json.dumps(self.to_dict(), indent=1)

    def to_dict(self) -> dict[str, object]:
        """Return the summary as a JSON object; programs rely on the keys."""
        share = self.failures
        return {
            "version": VERSION,
            "cell": self.hunt.cell,
            "seed": self.hunt.seed,
            "jitter": sorted(self.hunt.kinds),
            "planned": self.hunt.planned,
            "jobs": self.hunt.jobs,
            "counts": {status.value: self.count(status) for status in Status if status is not Status.NOT_RUN},
            "probability": None if share is None else _share(share),
            "groups": [_group(one, self.hunt) for one in self.groups(Status.FAILED)],
            "broken": [_group(one, self.hunt) for one in self.groups(Status.BROKEN)],
            "skipped": [_group(one, self.hunt) for one in self.groups(Status.SKIPPED)],
            "duration_s": round(self.duration_s, 3),
            "interrupted": self.interrupted,
            "stopped_at_failure": self.stopped,
            "notes": list(self.notes),
            "repetitions": [_ending(one) for one in self.endings],
        }


def _share(share: Share) -> dict[str, float]:
    return {
        "estimate": share.estimate,
        "low": share.low,
        "high": share.high,
        "confidence": share.confidence,
        "failed": share.count,
        "of": share.of,
    }


def _group(group: Group, hunt: Hunt) -> dict[str, object]:
    numbers = [ending.repetition.number for ending in group.endings]
    return {
        "reason": group.cause.reason,
        "rule": group.cause.rule,
        "title": group.cause.title,
        "message": group.endings[0].message,
        "count": len(numbers),
        "repetitions": numbers,
        "repro": hunt.repro(numbers[0]),
    }


def _ending(ending: Ending) -> dict[str, object]:
    return {
        **json_ready(ending.repetition),
        "status": ending.status.value,
        "message": ending.message,
        "duration_s": round(ending.duration_s, 3),
        "directory": ending.directory,
        "start": ending.start,
        **({"held": list(ending.held)} if ending.held else {}),
    }
