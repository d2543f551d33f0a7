"""How a scenario ended, with the evidence: values only; `judge` makes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harness.scenario.steps import Outcome


class Status(StrEnum):
    """Whose fault it is: nobody's, the guest's, the lab's; or it could not be tried."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    SKIPPED = "skipped"


class Reason(StrEnum):
    """Why a verdict is not PASSED, for programs."""

    NONE = "none"
    NO_EFFECT = "no-effect"  # a stimulus changed nothing
    UNWANTED_EFFECT = "unwanted-effect"  # a stimulus that must change nothing did
    DIED = "died"  # panic, lockup, rescue shell, …
    LEFT = "left"  # reset or off, unasked
    TIMEOUT = "timeout"  # awaited text did not come
    COMMAND = "command"  # a command's status or output
    UNAVAILABLE = "unavailable"  # the guest is where it does not come to its prompt by itself
    FINDING = "finding"  # all steps done, but the transcript shows a fault
    LAB = "lab"  # QEMU, QMP, disk, worker
    TRUNCATED = "truncated"  # the transcript is not whole
    NO_EVIDENCE = "no-evidence"  # the runner claims what the transcript does not show
    UNSUPPORTED = "unsupported"  # the target can't do it


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A place that proves something: bytes `[start, end)` of the guest's output, or a moment.

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
        latency_s: seconds from the injection to its first evidence; None without effect.
    """

    stimulus: str
    at: float
    outcome: Outcome
    latency_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The end of a scenario.

    Attributes:
        status: whose fault.
        reason: why not PASSED, for programs.
        message: one line for people.
        step: number of the step that decided, or None.
        evidence: what it rests on; never empty where `status` is PASSED.
        injections: every stimulus and its outcome.
    """

    status: Status
    reason: Reason = Reason.NONE
    message: str = ""
    step: int | None = None
    evidence: tuple[Evidence, ...] = ()
    injections: tuple[Injection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One reason to stop waiting.

    Attributes:
        name: id of the signature's rule, or one of `NAMES`; what a step allows.
        title: what happened, for people.
        start: offset of its first byte in the guest's output.
        end: one past its last byte; equal to `start` where it is a mark.
        at: the mark's moment, in seconds since the transcript's epoch; None where it is a finding.
    """

    name: str
    title: str
    start: int
    end: int
    at: float | None = None
