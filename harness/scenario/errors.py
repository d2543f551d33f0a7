"""Every exception that the harness raises, by whose fault it is.

    HarnessError                   never raised itself
    ├── GuestError                 the guest's fault: a verdict of FAILED (also AssertionError)
    │   ├── ExpectTimeout          something expected did not appear in time
    │   ├── GuestDied              the guest showed that it cannot continue
    │   ├── GuestLeft              the guest reset or switched off unasked
    │   ├── NoEffect               a stimulus was injected and changed nothing
    │   │   └── Refused            the guest said that it won't
    │   ├── UnwantedEffect         a stimulus changed something although it must not
    │   ├── CommandFailed          a command in the guest ended with an unexpected status
    │   ├── WrongOutput            the guest's output is wrong
    │   ├── SacUnavailable         the guest is in a state that never leads to a SAC prompt
    │   └── CellFailed             a cell of a matrix failed; the verdict is in the text
    ├── CellBroken                 the lab failed to play a cell; the verdict is in the text
    ├── HostTooSlow                a time was over that the host did not give to lab and guest: BROKEN
    ├── Unsupported                the target can't do what is asked: a verdict of SKIPPED
    ├── ServiceRefused             a cloud service said no; its code and message are in the text
    ├── ServiceUnreachable         a cloud service gave no usable answer
    └── ReportError                a report can't be made or read; results stay as they are

Faults of the caller and of the lab are SpecError, StateError and LabError of `emulator.errors`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One reason to stop waiting: a finding in the guest's output, or a mark.

    Attributes:
        name: id of the signature's rule, or one of `harness.play.alarms.NAMES`; steps allow alarms by it.
        title: what happened, for people.
        start: offset of its first byte in the guest's output.
        end: one past its last byte; equal to `start` for a mark.
        at: when the mark was made, in seconds since the transcript's epoch; None for a finding.
    """

    name: str
    title: str
    start: int
    end: int
    at: float | None = None


class HarnessError(Exception):
    """Root of the tree; catch it, never raise it."""


class GuestError(HarnessError, AssertionError):
    """The guest is at fault; as an AssertionError it shows as *failed* in Allure (docs/facts/parts.md 4)."""


class ExpectTimeout(GuestError):
    """Something expected did not appear before the deadline.

    Attributes:
        answers: whether the guest still wrote something when the time was over.
        final: whether it can't appear later either, however long one waits.
    """

    def __init__(self, message: str, *, answers: bool = False, final: bool = False) -> None:
        super().__init__(message)
        self.answers = answers
        self.final = final


class GuestDied(GuestError):
    """The guest showed that it cannot continue.

    Attributes:
        alarm: the evidence, with its place in the transcript.
    """

    def __init__(self, message: str, *, alarm: Alarm) -> None:
        super().__init__(message)
        self.alarm = alarm


class GuestLeft(GuestDied):
    """The guest reset or switched off although nobody asked it to."""


class NoEffect(GuestError):
    """A stimulus was injected, and the guest did not react."""


class Refused(NoEffect):
    """The guest refused a system request, in its own words."""


class UnwantedEffect(GuestError):
    """A stimulus had an effect on the guest although it must not."""


class CommandFailed(GuestError):
    """A command in the guest ended with an unexpected status.

    Attributes:
        status: its exit status.
        output: what it wrote.
    """

    def __init__(self, message: str, *, status: int, output: bytes) -> None:
        super().__init__(message)
        self.status = status
        self.output = output


class WrongOutput(GuestError):
    """The guest's output is wrong."""


class SacUnavailable(GuestError):
    """The guest is in a state that never leads to a SAC prompt; the text says which, and why.

    Attributes:
        state: the state in a few words ("EMS is off").
    """

    def __init__(self, message: str, *, state: str) -> None:
        super().__init__(message)
        self.state = state


class CellFailed(GuestError):
    """A cell of a matrix has the verdict FAILED."""


class CellBroken(HarnessError):
    """A cell of a matrix has the verdict BROKEN."""


class HostTooSlow(HarnessError):
    """A time was over, but others used the host meanwhile: nothing can be said of the guest."""


class Unsupported(HarnessError):
    """This target can't do what is asked; the text says why."""


class ServiceRefused(HarnessError):
    """A cloud service said no.

    Attributes:
        status: HTTP status, or a WebSocket's close code.
        code: the service's error code ("AuthorizationFailed"), "" where it gave none.
        message: the service's own words; "" where it gave none.
    """

    def __init__(self, doing: str, *, status: int, code: str = "", message: str = "") -> None:
        said = ": ".join(part for part in (code, message) if part) or "the service gave no reason"
        super().__init__(f"{doing} was refused ({status}): {said}")
        self.status = status
        self.code = code
        self.message = message


class ServiceUnreachable(HarnessError):
    """A cloud service can't be reached, does not answer in time, or gives an unusable answer."""


class ReportError(HarnessError):
    """A report can't be made or read."""
