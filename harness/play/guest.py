"""What every guest driver offers, whatever system the guest runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from emulator.clock import Deadline
from harness.play.session import Match, Session
from harness.scenario.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a command ended.

    Attributes:
        status: its exit status.
        output: what it wrote, without echo and prompt; line ends as the terminal made them.
        start, end: raw span of the output in the transcript.
        records: raw spans of kernel records in there; None if whatever looks like one counts as one.
    """

    status: int
    output: bytes
    start: int
    end: int
    records: tuple[tuple[int, int], ...] | None = None


class Guest(Protocol):
    """A guest for the session's thread; calls raise as `Session.expect`, and what the driver documents."""

    @property
    def session(self) -> Session:
        """The dialogue with its console."""
        ...

    def reach(self, stage: Stage, deadline: Deadline) -> None:
        """Wait for `stage` of the present boot, logging in where needed."""
        ...

    def restarted(self) -> None:
        """Forget the stage: the guest was reset or switched off."""
        ...

    def notice(self, match: Match) -> None:
        """Take note of a match that was awaited and consumed without this driver."""
        ...

    def await_restart(self, deadline: Deadline) -> None:
        """Wait until it restarts, judging by the console alone, and mark that as RESET."""
        ...

    def send_line(self, line: bytes, deadline: Deadline, *, echo: bool = True) -> None:
        """Type `line` and Enter, without waiting for an answer."""
        ...

    def run(self, command: str, deadline: Deadline) -> CommandResult:
        """Run a command in its shell and wait for its end."""
        ...

    def prove_life(self, deadline: Deadline) -> None:
        """Make it answer something that its console cannot have shown before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SacAnswer:
    """What SAC answered to a command.

    Attributes:
        lines: of its output, without page ends, events, and empty lines at either end.
        start, end: raw span of everything between Enter and the next prompt.
    """

    lines: tuple[bytes, ...]
    start: int
    end: int

    @property
    def text(self) -> bytes:
        """The lines, joined by line feeds."""
        return b"\n".join(self.lines)


@runtime_checkable
class SacDialogue(Protocol):
    """A guest with a Special Administration Console."""

    def run_sac(self, command: str, deadline: Deadline) -> SacAnswer:
        """Give a command at the SAC prompt and wait for its end."""
        ...

    def press_keys(self, keys: bytes, deadline: Deadline) -> None:
        """Send keys without waiting for an echo."""
        ...

    def rejoin(self) -> None:
        """Forget everything the console has shown, like someone who connects late."""
        ...


OpenGuest: TypeAlias = Callable[[Session], Guest]
"""Makes the driver of a guest on a session."""
