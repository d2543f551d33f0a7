"""The steps of a scenario: what to do, and what the guest must show; values only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from emulator.errors import SpecError
from harness.scenario.stages import Stage
from harness.scenario.stimulus import Stimulus

BOOT_S = 90.0
"""Seconds that a boot may take under TCG on a loaded host; a real one takes 2 to 6 (docs/facts/qemu.md 2)."""
REACTION_S = 20.0
"""Seconds that a guest may take to react; it takes milliseconds (docs/facts/qemu.md 4)."""


class View(StrEnum):
    """Which part of the console's bytes a pattern is matched on."""

    RAW = "raw"  # everything, as it came
    USER = "user"  # without kernel records, rejoined
    PLAIN = "plain"  # without escape sequences; a move of the cursor to another row is a line end


@dataclass(frozen=True, slots=True, kw_only=True)
class Shows:
    """The guest writes something.

    Attributes:
        pattern: regular expression on bytes, given as ASCII text. It must end in something that the
            guest surely sends, else what it matches depends on chunking (docs/facts/parts.md 2).
        says: what that means, for the reader of a report.
        view: on which bytes.
    """

    pattern: str
    says: str
    view: View = View.RAW

    def __post_init__(self) -> None:
        """Refuse what is no pattern."""
        try:
            self.compiled()
        except (re.error, UnicodeEncodeError) as error:
            raise SpecError(f"pattern {self.pattern!r}: {error}") from error

    def compiled(self) -> re.Pattern[bytes]:
        """Return the pattern, ready to search bytes; `.` matches any byte."""
        return re.compile(self.pattern.encode("ascii"), re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """The machine says something beside the console: a QMP event or a change of its power.

    Attributes:
        name: QEMU's event ("RESET", "GUEST_PANICKED") or the machine's mark ("off").
        says: what that means, for the reader of a report.
    """

    name: str
    says: str


Expected: TypeAlias = Shows | Signals


"""What must be seen."""


class Outcome(StrEnum):
    """How a stimulus turned out."""

    EFFECTIVE = "effective"
    NO_EFFECT = "no-effect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Wait until the guest has come to `stage`, logging in where that takes it.

    From the power-on or reset before this step on; alarms are armed all the while.
    """

    stage: Stage
    within_s: float = BOOT_S
    allows: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Run a command in the guest's shell and check how it ends.

    Attributes:
        command: one line of shell.
        status: the exit status it must have; None if any will do.
        shows: pattern that its output must match.
    """

    command: str
    status: int | None = 0
    shows: Shows | None = None
    within_s: float = REACTION_S
    allows: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Type a line into the guest and go on at once: it need not end.

    Attributes:
        line: what is typed; Enter follows.
        echo: whether the guest shows what is typed; a password prompt does not.
    """

    line: str
    echo: bool = True
    within_s: float = REACTION_S
    allows: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inject:
    """Inject a stimulus and judge it by what the guest shows.

    Attributes:
        stimulus: what to inject.
        effects: what is expected, in this order for text; empty with `Outcome.NO_EFFECT`.
        outcome: what is right: an effect, or none.
        unless: with `Outcome.NO_EFFECT`: text that would be an effect, watched for `quiet_s`.
        quiet_s: how long a guest that does nothing is watched, in seconds.
        attempts: how often a stimulus that was lost on its way is tried (BREAK can be, docs/facts/qemu.md 4).
    """

    stimulus: Stimulus
    effects: tuple[Expected, ...] = ()
    outcome: Outcome = Outcome.EFFECTIVE
    unless: tuple[Shows, ...] = ()
    quiet_s: float = 1.5
    attempts: int = 1
    within_s: float = REACTION_S
    allows: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a stimulus that nothing is expected of: it could not fail."""
        if self.outcome is Outcome.EFFECTIVE and not self.effects:
            raise SpecError(f"inject {self.stimulus.name}: needs effects, or outcome no-effect with unless")
        if self.outcome is Outcome.NO_EFFECT and (self.effects or not self.unless):
            raise SpecError(f"inject {self.stimulus.name}: outcome no-effect needs unless and no effects")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """Wait for what is expected without doing anything."""

    effects: tuple[Expected, ...]
    within_s: float = REACTION_S
    allows: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse an empty wait."""
        if not self.effects:
            raise SpecError("expect: needs at least one effect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive:
    """Prove that the guest still answers: a fresh number computed by its shell comes back."""

    within_s: float = REACTION_S
    allows: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Wait until the guest has written nothing for a while: one that was to write all the time hangs.

    Attributes:
        for_s: for how long, in seconds.
    """

    for_s: float = 2.0
    within_s: float = REACTION_S
    allows: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Give a command at the SAC prompt and check the answer.

    Attributes:
        command: one line, at most 77 characters.
        shows: what the answer must match, each of them; with none any answer will do.
    """

    command: str
    shows: tuple[Shows, ...] = ()
    within_s: float = REACTION_S
    allows: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    r"""Press keys, with no Enter behind them, and go on at once.

    Attributes:
        keys: what is sent, ASCII ("\x1b8" is F8 in VT-UTF8).
        says: what that means, for the reader of a report.
    """

    keys: str
    says: str
    within_s: float = REACTION_S
    allows: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejoin:
    """Forget all that the console has shown, as somebody who connects late."""

    within_s: float = REACTION_S
    allows: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDump:
    """Read the crash dump on the guest's disk from the host, and check whose it is.

    Attributes:
        code: the bugcheck's; None if there must be no dump.
    """

    code: int | None
    within_s: float = REACTION_S
    allows: frozenset[str] = frozenset()


Step: TypeAlias = Reach | Run | Send | Inject | Expect | Alive | Silence | Ask | Keys | Rejoin | CheckDump


SAC_STEPS = (Ask, Keys, Rejoin, CheckDump)
TYPES = (Send, Keys)
"""Steps that type and go on at once: what the guest makes of it may come before they are over."""


def describe_step(step: Step) -> str:  # noqa: PLR0911  # one return for each kind of step
    """Return one line about `step` for people."""
    match step:
        case Reach():
            return f"reach {step.stage.value}"
        case Run():
            return f"run: {step.command}"
        case Send():
            return f"type: {step.line or 'Enter'}" if step.echo else "type a password"
        case Inject() if step.outcome is Outcome.NO_EFFECT:
            return f"inject {step.stimulus.name}: must have no effect"
        case Inject():
            return f"inject {step.stimulus.name}: " + ", then ".join(one.says for one in step.effects)
        case Expect():
            return "expect: " + ", then ".join(one.says for one in step.effects)
        case Alive():
            return "the guest still answers"
        case Silence():
            return f"the guest writes nothing for {step.for_s:g} s"
        case Ask() | Keys() | Rejoin() | CheckDump():
            return _describe_sac_step(step)


def _describe_sac_step(step: Ask | Keys | Rejoin | CheckDump) -> str:
    match step:
        case Ask():
            return f"SAC: {step.command}" + "".join(f", must show {one.says}" for one in step.shows)
        case Keys():
            return f"press {step.says}"
        case Rejoin():
            return "connect anew, knowing nothing"
        case CheckDump():
            return (
                "no crash dump on the disk"
                if step.code is None
                else f"crash dump of bugcheck 0x{step.code:X}"
            )
