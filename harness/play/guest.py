"""What a scenario asks of a guest, whatever system it runs: the words that drivers share."""

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
        output: what it wrote, without what is not its own; line ends as the terminal made them.
        start, end: raw span of the output in the transcript.
    """

    status: int
    output: bytes
    start: int
    end: int


class Guest(Protocol):
    """A guest behind a session, for the session's thread.

    What a call may raise is what `Session.expect` does, and what its driver's own says.
    """

    @property
    def session(self) -> Session:
        """Its dialogue."""
        ...

    def reach(self, stage: Stage, deadline: Deadline) -> None:
        """Wait for `stage` of the present boot, logging in where that takes it."""
        ...

    def restarted(self) -> None:
        """Forget the stage: the guest was reset or switched off."""
        ...

    def notice(self, match: Match) -> None:
        """Take note of what somebody else awaited and consumed."""
        ...

    def send_line(self, line: bytes, deadline: Deadline, *, echo: bool = True) -> None:
        """Type `line` and Enter, and wait for no answer."""
        ...

    def run(self, command: str, deadline: Deadline) -> CommandResult:
        """Run a command in its shell and wait for its end."""
        ...

    def prove_life(self, deadline: Deadline) -> None:
        """Let it answer what it was not asked before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SacAnswer:
    """What SAC answered to a command.

    Attributes:
        lines: of its output, without page ends, events and empty edges.
        start, end: raw span of all that came between Enter and the next prompt.
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
        """Send keys as they are."""
        ...

    def await_restart(self, deadline: Deadline) -> None:
        """Wait until it begins anew, by the console alone, and mark that as RESET."""
        ...

    def rejoin(self) -> None:
        """Forget all that the console has shown, as somebody who connects late."""
        ...


OpenGuest: TypeAlias = Callable[[Session], Guest]
"""Makes the driver of a guest on a session."""
