"""Every exception that the emulator raises, by who is at fault.

EmulatorError                 never raised itself
├── SpecError                 the caller's: a value or a file is wrong (also ValueError)
├── StateError                the caller's: the right call at the wrong time
├── MissingPrerequisite       something that can be installed is missing
├── CloudError                the platform's answer to a request that it can't meet: status, code, message
└── LabError                  the lab's: a verdict of BROKEN, never of FAILED
    ├── LaunchError           QEMU did not start: argv, exit and stderr are in the text
    ├── MachineGone           QEMU ended unasked
    ├── ControlError          QMP refused, closed or did not answer in time
    ├── ConsoleClosed         the console ended, or was closed, while it was in use
    ├── ImageError            an image can't be built, fetched or verified
    ├── SnapshotError         a snapshot can't be made, found whole or loaded
    ├── FileError             a file can't be written; an old one is unchanged
    └── DeadlineExceeded      the lab itself took too long (guests raise harness errors)
"""

from __future__ import annotations

import difflib
from collections.abc import Collection


class EmulatorError(Exception):
    """Root of the tree; catch it, never raise it."""


class SpecError(EmulatorError, ValueError):
    """A value that the caller gave is wrong; the text says what, where and what would be right."""


class StateError(EmulatorError, RuntimeError):
    """A call came in the wrong state; the text says which state was seen and which is needed."""


class MissingPrerequisite(EmulatorError):
    """A program, file or device is missing.

    Attributes:
        missing: what is missing, in the reader's words ("qemu-system-x86_64").
        remedy: the command or action that helps ("apt-get install qemu-system-x86").
    """

    def __init__(self, missing: str, *, remedy: str) -> None:
        super().__init__(f"{missing} is missing; {remedy}")
        self.missing = missing
        self.remedy = remedy


class CloudError(EmulatorError):
    """A request to the platform can't be met.

    Attributes:
        status: HTTP status, 400 to 599.
        code: Azure's error code ("AuthorizationFailed").
        message: the reason, for people.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code} ({status}): {message}")
        self.status = status
        self.code = code
        self.message = message


class LabError(EmulatorError):
    """The lab failed, so nothing can be said of the guest."""


class LaunchError(LabError):
    """QEMU did not start.

    Attributes:
        argv: the command line.
        exit_code: exit code, negative for a signal, None if it was still running.
        stderr: the end of its stderr.
    """

    def __init__(self, reason: str, *, argv: tuple[str, ...], exit_code: int | None, stderr: bytes) -> None:
        shown = stderr[-2000:].decode("utf-8", "backslashreplace").strip()
        super().__init__(
            f"{reason} (exit {exit_code}): {shown or 'no message on stderr'}\n  argv: {' '.join(argv)}"
        )
        self.argv = argv
        self.exit_code = exit_code
        self.stderr = stderr


class MachineGone(LabError):
    """QEMU ended unasked.

    Attributes:
        exit_code: exit code, negative for a signal, None if unknown.
    """

    def __init__(self, reason: str, *, exit_code: int | None = None) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


class ControlError(LabError):
    """QMP refused a command, closed, or did not answer before the deadline."""


class ConsoleClosed(LabError):
    """The console ended while somebody read from it or wrote to it."""


class ImageError(LabError):
    """An image can't be built, fetched or verified; nothing half-made is left in the store."""


class SnapshotError(LabError):
    """A snapshot can't be made, found whole or loaded; nothing half-made is left in the cache."""


class FileError(LabError):
    """A file or directory can't be made or written; what was there before is unchanged."""


class DeadlineExceeded(LabError):
    """The lab itself took longer than its deadline."""


class LockHeld(DeadlineExceeded):
    """Another process still holds a lock file."""


def unknown_name(axis: str, value: str, known: Collection[str]) -> SpecError:
    """Return the error about a name that is not in `known`; it suggests similar ones."""
    hint = did_you_mean(value, known)
    return SpecError(f"unknown {axis} {value!r}; {hint}{' ' * bool(hint)}allowed: {', '.join(sorted(known))}")


def did_you_mean(value: str, known: Collection[str], *, most: int = 3) -> str:
    """Return a question with up to `most` names of `known` that are like `value`; empty without one."""
    close = difflib.get_close_matches(value, sorted(known), n=most)
    return f"did you mean {' or '.join(close)}?" if close else ""
