"""How a scenario ended, with the evidence; values only, made by `harness.play.judge`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.scenario.steps import Outcome


class Status(StrEnum):
    """Whose fault it is: nobody's, the guest's or the lab's; or that it could not be tried, or was not."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    SKIPPED = "skipped"
    NOT_RUN = "not-run"


class Reason(StrEnum):
    """Why a verdict is not PASSED; programs rely on these values."""

    NONE = "none"
    NO_EFFECT = "no-effect"  # a stimulus changed nothing, or was refused
    UNWANTED_EFFECT = "unwanted-effect"  # a stimulus changed something although it must not
    DIED = "died"  # panic, lockup, rescue shell, …
    LEFT = "left"  # reset or off, unasked
    TIMEOUT = "timeout"  # expected text did not appear
    TOO_SLOW = "too-slow"  # it did not appear, but the host was too busy to tell
    COMMAND = "command"  # a command's status or output is wrong
    TEST = "test"  # a user's pytest test says so: its assertion, or an error in its code
    UNAVAILABLE = "unavailable"  # the guest is in a state that never leads to a SAC prompt
    FINDING = "finding"  # all steps done, but the transcript shows a fault
    LAB = "lab"  # QEMU, QMP, disk, worker
    TRUNCATED = "truncated"  # the transcript is incomplete
    NO_EVIDENCE = "no-evidence"  # the runner claims something that the transcript does not show
    UNSUPPORTED = "unsupported"  # the target can't do it
    NOT_RUN = "not-run"  # nobody played it, or not to its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The place that proves something: bytes `[start, end)` of the guest's output, or a moment.

    Attributes:
        says: what it proves.
        start: offset of the first byte.
        end: one past the last; equal to `start` for a mark.
        at: seconds since the transcript's epoch.
    """

    says: str
    start: int
    end: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """What became of one stimulus.

    Attributes:
        stimulus: its name.
        at: when it was injected, in seconds since the transcript's epoch.
        outcome: whether the guest showed an effect.
        latency_s: seconds from the injection to its first visible effect; None without one.
    """

    stimulus: str
    at: float
    outcome: Outcome
    latency_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a scenario ended.

    Attributes:
        status: whose fault it is.
        reason: why it is not PASSED, for programs.
        message: one line for people.
        step: number of the step that decided it, or None.
        evidence: what it is based on; never empty where `status` is PASSED.
        injections: every stimulus and its outcome.
    """

    status: Status
    reason: Reason = Reason.NONE
    message: str = ""
    step: int | None = None
    evidence: tuple[Evidence, ...] = ()
    injections: tuple[Injection, ...] = ()
