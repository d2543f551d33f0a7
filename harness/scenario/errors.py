"""Every exception that the harness raises, by whose fault it is.

    HarnessError                   never raised itself
    ├── GuestError                 the guest's fault: a verdict of FAILED (also AssertionError)
    │   ├── ExpectTimeout          what was awaited did not come
    │   ├── GuestDied              the guest showed that it will not go on
    │   ├── GuestLeft              the guest reset or switched off unasked
    │   ├── NoEffect               a stimulus was injected and changed nothing
    │   ├── UnwantedEffect         a stimulus that must change nothing did change something
    │   ├── CommandFailed          a command in the guest ended with another status
    │   ├── WrongOutput            the guest showed what it must not
    │   ├── SacUnavailable         the guest is where it will not come to its SAC prompt by itself
    │   └── CellFailed             a cell of a matrix failed; the verdict is in the text
    ├── CellBroken                 the lab failed to play a cell; the verdict is in the text
    ├── Unsupported                the target can't do what is asked: a verdict of SKIPPED
    ├── ServiceRefused             a cloud service said no; its code and message are in the text
    ├── ServiceUnreachable         a cloud service gave no answer that one can go by
    └── ReportError                a report can't be made or read; results stay as they are

The caller's and the lab's faults are `emulator.errors`' SpecError, StateError and LabError.
"""

from __future__ import annotations

from harness.scenario.verdict import Alarm


class HarnessError(Exception):
    """Root of the tree; catch it, never raise it."""


class GuestError(HarnessError, AssertionError):
    """The guest did wrong; being an AssertionError, it shows as *failed* in Allure.

    See docs/facts/parts.md 4.
    """


class ExpectTimeout(GuestError):
    """What was awaited did not come before the deadline."""


class GuestDied(GuestError):
    """The guest showed that it will not go on.

    Attributes:
        alarm: the evidence, with its place in the transcript.
    """

    def __init__(self, message: str, *, alarm: Alarm) -> None:
        super().__init__(message)
        self.alarm = alarm


class GuestLeft(GuestDied):
    """The guest reset or switched off although nobody asked it to."""


class NoEffect(GuestError):
    """A stimulus was injected, and the guest showed nothing of it."""


class UnwantedEffect(GuestError):
    """A stimulus that must change nothing had an effect on the guest."""


class CommandFailed(GuestError):
    """A command in the guest ended with another status than expected.

    Attributes:
        status: its exit status.
        output: what it wrote.
    """

    def __init__(self, message: str, *, status: int, output: bytes) -> None:
        super().__init__(message)
        self.status = status
        self.output = output


class WrongOutput(GuestError):
    """The guest showed what it must not."""


class SacUnavailable(GuestError):
    """The guest is where it will not come to its SAC prompt by itself; the text says where and why.

    Attributes:
        state: where it is, in a few words ("EMS is off").
    """

    def __init__(self, message: str, *, state: str) -> None:
        super().__init__(message)
        self.state = state


class CellFailed(GuestError):
    """A cell of a matrix has the verdict FAILED."""


class CellBroken(HarnessError):
    """A cell of a matrix has the verdict BROKEN."""


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
    """A cloud service can't be reached, does not answer in time, or answers what is no answer."""


class ReportError(HarnessError):
    """A report can't be made or read."""
