"""What is asked of a hunt: the options of `ttylab repeat`, each a field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from typer import Argument, Option

from emulator.errors import SpecError
from emulator.guest_images.board import BOARD
from harness.repeat.plan import Jitter, parse_jitter

AUTO = "auto"
DEFAULT_COUNT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntRequest:
    """The options as given; without `jitter` it is every kind that the machine can do.

    Raises:
        SpecError: an option is wrong, or does not go with another.
    """

    cell: Annotated[str, Argument(metavar="CELL", help="Id of a cell, as reports show it.")]
    count: Annotated[
        int | None, Option("-n", min=1, help="Repetitions; default: 200, no limit with --for.")
    ] = None
    jobs: Annotated[str, Option("-j", "--jobs", help="Guests at once; auto: by cores and memory.")] = AUTO
    jitter: Annotated[
        str, Option(metavar="KINDS", help="Some of load,icount,delay, or none; default: all.")
    ] = ""
    seed: Annotated[int | None, Option(min=0, help="Seed of the plan; default: random.")] = None
    only: Annotated[int | None, Option(min=1, help="Play only this repetition of the plan.")] = None
    seconds: Annotated[
        float | None, Option("--for", metavar="SECONDS", help="Start none after this long.")
    ] = None
    stop_on_failure: Annotated[bool, Option("--stop-on-failure", help="Start none after a failure.")] = False
    keep: Annotated[bool, Option("--keep", help="Keep the evidence of passes too.")] = False
    hold_on_failure: Annotated[
        str, Option(metavar="[=MINUTES]", help="Stop at a failure, and keep its guest; default: 15.")
    ] = ""
    cold: Annotated[bool, Option("--cold", help="Boot every machine, fork none.")] = False
    time_scale: Annotated[float, Option(help="Multiply every wait, for slow hosts.")] = 1.0
    port: Annotated[
        str, Option(metavar="URL", help="Play on this serial port instead of a machine of ttylab's.")
    ] = ""

    def __post_init__(self) -> None:
        """Refuse wrong options before anything is started."""
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
        if self.hold_on_failure:
            from harness.run.held import parse_minutes  # noqa: PLC0415 - slow to import

            parse_minutes(self.hold_on_failure)

    @property
    def elsewhere(self) -> bool:
        """Whether the guest is no machine of ttylab's: behind a port, or a board."""
        return bool(self.port) or self.cell.rsplit(".", 4)[1:2] == [BOARD]

    @property
    def stops_at_failure(self) -> bool:
        """Whether none is started after a failure: its guest is held, or nobody wants more."""
        return self.stop_on_failure or bool(self.hold_on_failure)

    @property
    def keeps_passes(self) -> bool:
        """Whether the evidence of passes is kept."""
        return self.keep or self.only is not None

    @property
    def planned(self) -> int | None:
        """Number of repetitions; None: limited only by time."""
        if self.only is not None:
            return 1
        return self.count if self.count is not None or self.seconds is not None else DEFAULT_COUNT

    def kinds(self, *, vcpus: int, tcg: bool) -> frozenset[Jitter]:
        """Return the kinds of jitter; raises SpecError if icount is asked for where it is impossible.

        That is under KVM (without `tcg`), with several `vcpus`, and on a board.
        """
        kinds = parse_jitter(self.jitter) if self.jitter else frozenset(Jitter)
        if self.elsewhere:
            why = "the instructions of a board can't be counted"
        elif not tcg:
            why = "guests run under KVM here"
        else:
            why = f"the cell has {vcpus} vCPUs" if vcpus > 1 else ""
        if not why or Jitter.ICOUNT not in kinds:
            return kinds
        if self.jitter:
            raise SpecError(f"--jitter is {self.jitter!r}; allowed: no {Jitter.ICOUNT}, as {why}")
        return kinds - {Jitter.ICOUNT}
