"""Drive a Linux guest over its console: reach a prompt, run commands, prove that it is alive."""

from __future__ import annotations

import re

from emulator.clock import Deadline
from emulator.guest_text.linux import BEGINS, KERNEL, LinuxProfile
from harness.guests.stage_watch import StageWatch
from harness.play.guest import CommandResult
from harness.play.session import Match, Session
from harness.scenario.errors import CommandFailed, WrongOutput
from harness.scenario.stages import Stage, is_before
from harness.scenario.steps import View

_WRAPPED = rb"(?: ?\r\n?)?"
"""What a line editor may put where a line continues in the next row."""


class LinuxGuest:
    """The guest behind a session, for the session's thread.

    Attributes:
        session: the dialogue with its console.
        profile: its prompts and account.
    """

    def __init__(self, session: Session, profile: LinuxProfile | None = None) -> None:
        self.session = session
        self.profile = profile or LinuxProfile()
        self._watch = StageWatch(session)
        self._watch.resume()
        self._count = 0

    @property
    def stage(self) -> Stage:
        """The last stage that was seen."""
        return self._watch.stage

    def reach(self, stage: Stage, deadline: Deadline) -> None:
        """Wait for `stage` of the present boot; for SHELL, log in.

        Raises:
            ExpectTimeout, GuestDied, MachineGone, ConsoleClosed: as `Session.expect`.
            WrongOutput: the guest refused the account.
        """
        self._watch.notice_restart()
        if stage in {Stage.FIRMWARE, Stage.LOADER}:
            return
        if stage is Stage.KERNEL and is_before(self.stage, stage):
            self.session.expect(KERNEL, deadline)
            self._watch.arrive(Stage.KERNEL)
        if stage is Stage.KERNEL:
            return
        if is_before(self.stage, Stage.LOGIN):
            self.session.expect(self.profile.login, deadline, view=View.USER)
            self._watch.arrive(Stage.LOGIN)
        if stage is Stage.SHELL and self.stage is Stage.LOGIN:
            self.log_in(deadline)

    def restarted(self) -> None:
        """Forget the stage: the guest was reset or switched off."""
        self._watch.forget()

    def send_line(self, line: bytes, deadline: Deadline, *, echo: bool = True) -> None:
        """Type `line` and Enter; raises as `Session.send`."""
        self.session.send_line(line, deadline, echo=echo)

    def notice(self, match: Match) -> None:
        """Take note of a stage that shows in a match which was consumed without this driver."""
        if BEGINS in match.data:
            self._watch.arrive(Stage.KERNEL)
        if re.search(self.profile.login + rb"\Z", match.data):
            self._watch.arrive(Stage.LOGIN)

    def log_in(self, deadline: Deadline) -> None:
        """Answer the login prompt that has just appeared, and consume the shell's prompt.

        Raises:
            WrongOutput: the guest refused the account.
            ExpectTimeout, GuestDied, MachineGone, ConsoleClosed: as `Session.expect`.
        """
        session, profile = self.session, self.profile
        session.send_line(profile.user, deadline)
        session.expect(profile.password_prompt, deadline, view=View.USER)
        with session.transcript.typing_secret():
            session.send_line(profile.password, deadline, echo=False)
        match = session.expect([profile.prompt, profile.refused], deadline, view=View.USER)
        if match.index == 1:
            raise WrongOutput(f"{session.transcript.name}: the guest refused the account {profile.user!r}")
        self._watch.arrive(Stage.SHELL)

    def run(self, command: str, deadline: Deadline) -> CommandResult:
        """Run one line of shell and wait for its end.

        The end shows by a marker that the typed line does not contain, so neither the echo nor kernel
        text in between can be mistaken for it.

        Raises:
            ExpectTimeout, GuestDied, MachineGone, ConsoleClosed: as `Session.expect`.
        """
        self._count += 1
        marker = f"ttylab-{self._count:04d}"
        separator = " " if command.rstrip().endswith("&") else "; "
        asks = f'echo "{marker[:4]}""{marker[4:]}:$?:"'.encode()
        self.session.send_line(f"{command}{separator}".encode() + asks, deadline)
        start = self.session.position
        end = self.session.expect(marker.encode() + rb":(\d+):\r*\n", deadline, view=View.USER)
        self.session.expect(self.profile.prompt, deadline, view=View.USER)
        start, output = self._behind_echo(asks, start, end)
        return CommandResult(status=int(end.groups[0] or b"0"), output=output, start=start, end=end.start)

    def _behind_echo(self, typed: bytes, start: int, end: Match) -> tuple[int, bytes]:
        """Return the output of a command, and its raw start, after the last echo of what was typed.

        What is typed before the shell prints its prompt is echoed at once by the terminal, and again by the
        shell after that prompt.
        """
        echoes = list(
            re.finditer(_WRAPPED.join(re.escape(bytes([b])) for b in typed) + rb"[ \r]*\n", end.before)
        )
        if not echoes:
            return start, end.before
        view, length = self.session.listener.view, echoes[-1].end()
        first = view.user_offset(start)
        return view.raw_span(first, first + length)[1], end.before[length:]

    def check_output(self, command: str, deadline: Deadline) -> bytes:
        """Run `command` and return its output.

        Raises:
            CommandFailed: its status is not 0.
            ExpectTimeout, GuestDied, MachineGone, ConsoleClosed: as `run`.
        """
        result = self.run(command, deadline)
        if result.status != 0:
            message = f"{self.session.transcript.name}: {command!r} ended with status {result.status}, need 0"
            raise CommandFailed(message, status=result.status, output=result.output)
        return result.output

    def prove_life(self, deadline: Deadline) -> None:
        """Let the guest compute a number that it was not asked for before.

        Raises:
            WrongOutput: it answered with another number.
            CommandFailed, ExpectTimeout, GuestDied, MachineGone, ConsoleClosed: as `check_output`.
        """
        factor = 7919 + self._count
        output = self.check_output(f"echo $(({factor} * 104729))", deadline)
        if output.strip() != str(factor * 104729).encode():
            raise WrongOutput(f"{self.session.transcript.name}: the guest computed {output!r}")
