"""What somebody asks of a hunt on the command line, checked; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from emulator.errors import SpecError
from harness.repeat.plan import Jitter, Repetition, draw_repetition, parse_jitter
from harness.repeat.summary import Hunt
from harness.scenario import Scenario

DEFAULT_COUNT = 200
AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntRequest:
    """The words of `ttylab repeat`, as they were given.

    Attributes:
        cell: id.
        count: repetitions; None: 200, or no limit where there are `seconds`.
        jobs: "auto" or a number.
        jitter: kinds, "none", or empty: all that the machine can.
        seed: of the plan; None: a random one.
        only: the one repetition to play; None: all.
        seconds: after which none is begun any more.
        stop_on_failure: whether none is begun after a failure.
        keep: whether all evidence is kept.
        cold: whether every machine is booted.
        time_scale: factor on every wait.

    Raises:
        SpecError: a word is wrong, or does not go with another.
    """

    cell: str
    count: int | None = None
    jobs: str = AUTO
    jitter: str = ""
    seed: int | None = None
    only: int | None = None
    seconds: float | None = None
    stop_on_failure: bool = False
    keep: bool = False
    cold: bool = False
    time_scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what can't be, before anything is started."""
        if self.jobs != AUTO and not (self.jobs.isdecimal() and int(self.jobs) > 0):
            raise SpecError(f"--jobs is {self.jobs!r}; allowed: {AUTO}, or a number from 1 on")
        if self.time_scale <= 0:
            raise SpecError(f"--time-scale is {self.time_scale}; allowed: above 0")
        if self.seconds is not None and self.seconds <= 0:
            raise SpecError(f"--for is {self.seconds:g}; allowed: above 0 s")
        if self.only is not None and (self.seed is None or self.count is not None):
            raise SpecError("--only plays one repetition of a plan: it needs --seed, and takes no -n")
        if self.jitter:
            parse_jitter(self.jitter)

    @property
    def planned(self) -> int | None:
        """How many repetitions; None: no limit but the time."""
        if self.only is not None:
            return 1
        return self.count if self.count is not None or self.seconds is not None else DEFAULT_COUNT

    def kinds(self, *, vcpus: int, tcg: bool) -> frozenset[Jitter]:
        """Return the kinds of jitter; icount is one of them only where the machine can count instructions.

        Args:
            vcpus: of the machine.
            tcg: whether TCG executes the guest's code.

        Raises:
            SpecError: icount is asked for where it can't be.
        """
        kinds = parse_jitter(self.jitter) if self.jitter else frozenset(Jitter)
        why = "" if tcg else "guests run under KVM here"
        why = why or (f"the cell has {vcpus} vCPUs" if vcpus > 1 else "")
        if not why or Jitter.ICOUNT not in kinds:
            return kinds
        if self.jitter:
            raise SpecError(f"--jitter is {self.jitter!r}; allowed: no {Jitter.ICOUNT}, as {why}")
        return kinds - {Jitter.ICOUNT}

    def make_hunt(self, *, seed: int, kinds: frozenset[Jitter], workers: int) -> Hunt:
        """Return what is to be done, with `workers` at once unless the words say otherwise."""
        jobs = workers if self.jobs == AUTO else int(self.jobs)
        options = ["--cold"] if self.cold else []
        if self.time_scale != 1:
            options += ["--time-scale", f"{self.time_scale:g}"]
        return Hunt(
            cell=self.cell,
            seed=seed,
            kinds=kinds,
            planned=self.planned,
            jobs=jobs if self.planned is None else max(1, min(jobs, self.planned)),
            options=tuple(options),
        )

    def plan(self, hunt: Hunt, scenario: Scenario) -> Iterator[Repetition]:
        """Yield the repetitions of `hunt`, without end where nothing is planned."""
        for number in self._numbers():
            yield draw_repetition(number, seed=hunt.seed, kinds=hunt.kinds, scenario=scenario)

    def _numbers(self) -> Iterator[int]:
        if self.only is not None:
            return iter([self.only])
        return count(1) if self.planned is None else iter(range(1, self.planned + 1))
