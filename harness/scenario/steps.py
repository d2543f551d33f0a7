"""The steps of a scenario: what to do, and what the guest must show; values only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from emulator.errors import SpecError
from harness.scenario.stages import Stage
from harness.scenario.stimulus import Button, Press, Stimulus, SysRq

BOOT_S = 90.0
"""Seconds that a boot may take under TCG on a busy host; it usually takes 2 to 6 (docs/facts/qemu.md 2)."""
REACTION_S = 20.0
"""Seconds that a guest may take to react; it usually takes milliseconds (docs/facts/qemu.md 4)."""


class View(StrEnum):
    """Which form of the console's bytes a pattern is matched against."""

    RAW = "raw"  # everything, as it came
    USER = "user"  # without kernel records; what they interrupted is rejoined
    PLAIN = "plain"  # without escape sequences; moving the cursor to another row is a line end


@dataclass(frozen=True, slots=True, kw_only=True)
class Shows:
    """The guest writes something.

    Attributes:
        pattern: regular expression on bytes, given as ASCII text. It must end in something that the
            guest is certain to send, else what it matches depends on chunking (docs/facts/parts.md 2).
        says: what that means, for readers of a report.
        view: which bytes it is matched against.
    """

    pattern: str
    says: str
    view: View = View.RAW

    def __post_init__(self) -> None:
        """Refuse an invalid pattern."""
        try:
            self.compiled()
        except (re.error, UnicodeEncodeError) as error:
            raise SpecError(f"pattern {self.pattern!r}: {error}") from error

    def compiled(self) -> re.Pattern[bytes]:
        """Return the pattern, ready to search bytes; `.` matches any byte."""
        return re.compile(self.pattern.encode("ascii"), re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """The machine reports something outside the console: a QMP event or a power change.

    Attributes:
        name: QEMU's event ("RESET", "GUEST_PANICKED") or the machine's mark ("off").
        says: what that means, for readers of a report.
    """

    name: str
    says: str


Expected: TypeAlias = Shows | Signals
"""What must appear."""


class Outcome(StrEnum):
    """How a stimulus turned out."""

    EFFECTIVE = "effective"
    NO_EFFECT = "no-effect"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    """What every step has: the seconds that it may take, and the alarms that it may see."""

    within_s: float = REACTION_S
    allows: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach(_Timed):
    """Wait until the present boot reaches `stage`, logging in where needed; alarms stay armed meanwhile."""

    stage: Stage
    within_s: float = BOOT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(_Timed):
    """Run a command in the guest's shell and check how it ends.

    Attributes:
        command: one line of shell.
        status: the exit status it must have; None accepts any.
        shows: what its output must match.
    """

    command: str
    status: int | None = 0
    shows: Shows | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(_Timed):
    """Type a line into the guest and go on at once, without waiting for a command to end.

    Attributes:
        line: what is typed; Enter follows.
        echo: whether the guest echoes it; a password prompt does not.
    """

    line: str
    echo: bool = True


_OWN_REPORTS = {
    Button.RESET: frozenset({"RESET"}),
    Button.POWER_BUTTON: frozenset({"POWERDOWN"}),
    Button.POWER_ON: frozenset({"started", "running", "RESUME"}),
}
"""What the machine itself reports when a button is pushed, whether the guest reacts or not."""
SPEAKS = Shows(pattern=r".", says="the guest shows itself")
"""The least that a guest does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inject(_Timed):
    """Inject a stimulus and judge it by what the guest shows.

    Attributes:
        stimulus: what to inject.
        effects: what is expected, text in this order; empty with `Outcome.NO_EFFECT`.
        outcome: what is right: an effect, or none.
        unless: with `Outcome.NO_EFFECT`: text that would be an effect, watched for during `quiet_s`.
        quiet_s: how long to watch a guest that must not react, in seconds.
        attempts: how often to try a stimulus that may get lost, as a BREAK can (docs/facts/qemu.md 4).
    """

    stimulus: Stimulus
    effects: tuple[Expected, ...] = ()
    outcome: Outcome = Outcome.EFFECTIVE
    unless: tuple[Shows, ...] = ()
    quiet_s: float = 1.5
    attempts: int = 1

    def __post_init__(self) -> None:
        """Refuse a stimulus without an expectation: it could never fail."""
        if self.outcome is Outcome.EFFECTIVE and not self.effects:
            raise SpecError(f"inject {self.stimulus.name}: needs effects, or outcome no-effect with unless")
        if self.outcome is Outcome.NO_EFFECT and (self.effects or not self.unless):
            raise SpecError(f"inject {self.stimulus.name}: outcome no-effect needs unless and no effects")

    @property
    def proof(self) -> tuple[Expected, ...]:
        """The effects, and at their end something of the guest's if all of them are the machine's reports."""
        return (*self.effects, SPEAKS) if all(map(self.is_own_report, self.effects)) else self.effects

    def is_own_report(self, expected: Expected) -> bool:
        """Tell whether the machine reports this whenever the stimulus is injected: that is no reaction."""
        if not isinstance(self.stimulus, Press) or not isinstance(expected, Signals):
            return False
        return expected.name in _OWN_REPORTS.get(self.stimulus.button, ())

    @property
    def fears_refusal(self) -> bool:
        """Whether the guest's refusal of a system request is none of the effects that are expected."""
        wanted = any(isinstance(one, Shows) and "disabled" in one.pattern for one in self.effects)
        return isinstance(self.stimulus, SysRq) and self.outcome is Outcome.EFFECTIVE and not wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect(_Timed):
    """Wait for effects without doing anything."""

    effects: tuple[Expected, ...]

    def __post_init__(self) -> None:
        """Refuse a step that expects nothing."""
        if not self.effects:
            raise SpecError("expect: needs at least one effect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive(_Timed):
    """Prove that the guest still answers, by something that its console cannot have shown before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence(_Timed):
    """Wait until the guest writes nothing for a while: if it was writing all the time, it hangs now.

    Attributes:
        for_s: how long, in seconds.
    """

    for_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(_Timed):
    """Give a command at the SAC prompt and check the answer.

    Attributes:
        command: one line, at most 77 characters.
        shows: what the answer must match, all of them; empty accepts any answer.
    """

    command: str
    shows: tuple[Shows, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys(_Timed):
    r"""Press keys without Enter, and go on at once.

    Attributes:
        keys: what is sent, ASCII ("\x1b8" is F8 in VT-UTF8).
        says: what that means, for readers of a report.
    """

    keys: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejoin(_Timed):
    """Forget everything the console has shown, like someone who connects late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckDump(_Timed):
    """Read the crash dump on the guest's disk from the host, and check which bugcheck it is of.

    Attributes:
        code: the bugcheck's code; None if there must be no dump.
    """

    code: int | None


Step: TypeAlias = Reach | Run | Send | Inject | Expect | Alive | Silence | Ask | Keys | Rejoin | CheckDump


SAC_STEPS = (Ask, Keys, Rejoin, CheckDump)
TYPES = (Send, Keys)
"""Steps that type and go on at once: the guest may react before they are over."""


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
