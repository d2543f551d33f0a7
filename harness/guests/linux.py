"""Drive a Linux guest over its console: reach a prompt, run commands, prove that it is alive."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.guest_text.linux import BEGINS, KERNEL, LinuxProfile
from emulator.guest_text.printable import escape
from harness.guests.framing import Frame, Shell, make_challenge, make_frame
from harness.guests.kernel_log import KernelReader, Spans
from harness.guests.prompts import Prompt, find_prompt, is_prompt
from harness.guests.stage_watch import StageWatch
from harness.guests.typist import Typist
from harness.play.guest import CommandResult
from harness.play.session import Match, Session
from harness.scenario.errors import CommandFailed, ExpectTimeout, Unsupported, WrongOutput
from harness.scenario.stages import Stage, is_before
from harness.scenario.steps import View

_TURNS = 12
"""Prompts that a login may show; the usual ones are three."""
_GIVEN_UP_S = 1.0
"""Rest at a prompt after which a shell has given up the line that it was to run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    """How a framed command ended, and the raw span of all that came in between."""

    status: int
    start: int
    end: int
    gave_up: bool = False


class LinuxGuest:
    """The guest behind a session, for the session's thread; calls raise as `Session.expect`.

    Attributes:
        session: the dialogue with its console.
        profile: its prompts and account.
        become: a command that starts root's shell, given once for each boot; empty for none.
        errands: commands that are run once for each boot, when its shell is first reached.
        conditions: why nothing can be played, with the word TTY for a command's output, by that command; they
            are run before the errands.
        no_password: what to say, as Unsupported, of a password that is asked for and that nobody gave; empty
            where that is the guest's failure.
    """

    def __init__(self, session: Session, profile: LinuxProfile | None = None) -> None:
        self.session = session
        self.profile = profile or LinuxProfile()
        self.become = ""
        self.errands: tuple[str, ...] = ()
        self.conditions: Mapping[str, str] = {}
        self.no_password = ""
        self._has_become = self._ran_errands = False
        self._typist = Typist(session)
        self._kernel = KernelReader(session)
        self._watch = StageWatch(session)
        self._watch.resume()
        self._shell: Shell | None = None
        self._prompt = b""

    @property
    def prompt(self) -> bytes:
        """The line at which the shell last waited; empty before there was one."""
        return self._prompt

    @property
    def stage(self) -> Stage:
        """The last stage that was seen."""
        return self._watch.stage

    def reach(self, stage: Stage, deadline: Deadline) -> None:
        """Wait for `stage` of the present boot; for SHELL, log in where the guest asks for it.

        A guest that logs somebody in by itself is at SHELL when LOGIN is awaited. Raises WrongOutput as
        `log_in`, CommandFailed of an errand, Unsupported of a condition.
        """
        if self._watch.notice_restart():
            self._lose_shell(boots=True)
        if stage in {Stage.FIRMWARE, Stage.LOADER}:
            return
        if stage is Stage.KERNEL and is_before(self.stage, stage):
            self.session.expect(KERNEL, deadline)
            self._watch.arrive(Stage.KERNEL)
        if stage is Stage.KERNEL:
            return
        if is_before(self.stage, Stage.LOGIN):
            self._await_somebody(deadline)
        if stage is Stage.SHELL and self.stage is Stage.LOGIN:
            self.log_in(deadline)
        if stage is Stage.SHELL:
            self._prepare(deadline)

    def restarted(self) -> None:
        """Forget the stage: the guest was reset or switched off."""
        self._watch.forget()
        self._lose_shell(boots=True)

    def await_restart(self, deadline: Deadline) -> None:
        """Wait for a kernel's first line, which is not consumed, and mark it as RESET."""
        start = self.session.expect(KERNEL, deadline).start
        self.restarted()
        detail = {"seen": "a kernel's first line", "from": start}
        self.session.transcript.mark(MarkKind.MACHINE, "RESET", detail)
        self.session.position = start

    def send_line(self, line: bytes, deadline: Deadline, *, echo: bool = True) -> None:
        """Type `line` and Enter, at the pace of the echo unless there is none; raises as `Session.send`."""
        if echo:
            self._typist.type_line(line, deadline)
        else:
            self.session.send_line(line, deadline, echo=False)

    def notice(self, match: Match) -> None:
        """Take note of a stage that shows in a match which was consumed without this driver."""
        if BEGINS in match.data:
            self._watch.arrive(Stage.KERNEL)
        if re.search(self.profile.login + rb"\Z", match.data):
            self._watch.arrive(Stage.LOGIN)
        if is_before(self.stage, Stage.SHELL):
            self._lose_shell()

    def log_in(self, deadline: Deadline) -> None:
        """Answer the login prompt that has just appeared, and whatever is asked until there is a shell.

        Raises WrongOutput if the account is refused, wants another password, or has no shell for commands;
        Unsupported as `no_password` says.
        """
        self._typist.type_line(self.profile.user, deadline)
        answered = False
        for _ in range(_TURNS):
            prompt = self._await_prompt(deadline, logging_in=True, answered=answered)
            if prompt is Prompt.SHELL:
                break
            if prompt is Prompt.REFUSED or (answered and prompt in {Prompt.LOGIN, Prompt.PASSWORD}):
                raise self._refused()
            if prompt is Prompt.RENEWAL:
                raise self._wrong(f"the guest wants another password of {self._user}; set one first")
            if prompt is Prompt.PASSWORD:
                answered = True
                self._typist.type_secret(self.profile.password, deadline)
            else:
                self._typist.type_line(b"" if prompt is Prompt.ENTER else self.profile.user, deadline)
        else:
            raise self._refused()
        self._prove_shell(deadline)

    def run(self, command: str, deadline: Deadline) -> CommandResult:
        """Run a command of one or more lines in the guest's shell; raises WrongOutput without a shell.

        The shell is the user's own if it is a POSIX one, so what a command sets stays set; from others (fish,
        csh) `sh` is started first. The frame of markers that the typed line does not hold keeps the echo, the
        prompt and what surrounds them out of the output; lines that look like the kernel's are told from its
        records by a second look at its log.
        """
        if self._shell is None:
            self._prove_shell(deadline)
        ran = self._run_framed(command, deadline)
        own, records = self._kernel.sort(ran.start, ran.end, self._run_quietly, deadline)
        output = b"".join(self.session.transcript.read(*span) for span in own)
        added = 0 if ran.gave_up else 2 if output.endswith(b"\r\n") else int(output.endswith(b"\n"))
        output, end = output[: len(output) - added], _end_without(added, own, ran.start)
        return CommandResult(status=ran.status, output=output, start=ran.start, end=end, records=records)

    def check_output(self, command: str, deadline: Deadline) -> bytes:
        """Run `command` and return its output; raises CommandFailed if its status is not 0."""
        result = self.run(command, deadline)
        if result.status != 0:
            message = f"{self.session.transcript.name}: {command!r} ended with status {result.status}, need 0"
            raise CommandFailed(message, status=result.status, output=result.output)
        return result.output

    def prove_life(self, deadline: Deadline) -> None:
        """Let the guest compute a new number; raises WrongOutput if it is wrong, or as `check_output`."""
        factor = 100_000 + secrets.randbelow(850_000)  # the product always has as many digits
        output = self.check_output(f"echo $(({factor} * 104729))", deadline)
        if output.strip() != str(factor * 104729).encode():
            raise WrongOutput(f"{self.session.transcript.name}: the guest computed {output!r}")

    # -- inside --------------------------------------------------------------------------------

    def _prepare(self, deadline: Deadline) -> None:
        """Become root, once for each shell, and run conditions and errands, once for each boot."""
        if self.become and not self._has_become:
            self._has_become = True
            if self._shell is None:
                self._prove_shell(deadline)
            self._typist.type_line(self.become.encode(), deadline)
            self._await_shell(deadline)
            self._prove_shell(deadline)
        if self._ran_errands:
            return
        self._ran_errands = True
        for command, why in self.conditions.items():
            result = self.run(command, deadline)
            if result.status != 0:
                raise Unsupported(why.replace("TTY", escape(result.output.strip())))
        if self.errands:
            self.check_output(" && ".join(self.errands), deadline)

    def _lose_shell(self, *, boots: bool = False) -> None:
        """Forget the shell, which has ended; after a boot, all that was done in one."""
        self._shell, self._has_become = None, False
        if boots:
            self._ran_errands = False

    def _await_somebody(self, deadline: Deadline) -> None:
        """Wait for a login prompt, or for a shell that asked for no login."""
        for _ in range(_TURNS):
            prompt = self._await_prompt(deadline, logging_in=False)
            if prompt is Prompt.LOGIN:
                self._watch.arrive(Stage.LOGIN)
                return
            if prompt is Prompt.SHELL:
                self._prove_shell(deadline)
                return
            self._typist.type_line(b"", deadline)
        raise self._wrong("the guest asks for Enter again and again")

    def _await_prompt(self, deadline: Deadline, *, logging_in: bool, answered: bool = False) -> Prompt:
        awaited = "a prompt of a shell or for a password" if logging_in else "a login prompt"
        return self._typist.await_sign(
            lambda text: find_prompt(text, self.profile, logging_in=logging_in, answered=answered),
            deadline,
            awaited=awaited,
        )

    def _prove_shell(self, deadline: Deadline) -> None:
        """Find out what shell answers, and start `sh` from one that is no POSIX shell."""
        for start in (b"exec sh", b""):
            challenge, first = make_challenge(_number()), self.session.position
            for line in challenge.lines:
                self._typist.type_line(line, deadline)
            refusals = [self.profile.refused] if is_before(self.stage, Stage.SHELL) else []
            end = self.session.expect([challenge.end, *refusals], deadline, view=View.USER)
            if end.index:
                raise self._refused()
            self._shell = challenge.shell(self._text(first, end.start))
            if self._shell is not None:
                break
            if not start:
                raise self._wrong("what answers at the prompt is no POSIX shell, and it has no sh")
            self._await_shell(deadline)
            self._typist.type_line(start, deadline)
            self._await_shell(deadline)
        self._await_shell(deadline)
        if is_before(self.stage, Stage.SHELL):
            self._watch.arrive(Stage.SHELL)

    def _await_shell(self, deadline: Deadline) -> None:
        """Wait for the prompt behind a command, or until a shell that shows none we know has rested."""
        self._prompt = self._typist.await_sign(
            lambda text: is_prompt(text, self.profile), deadline, awaited="the shell's prompt"
        )

    def _run_framed(self, command: str, deadline: Deadline) -> _Ran:
        frame = make_frame(command, _number(), self._shell or Shell())
        for line in frame.before:
            self._typist.type_line(line, deadline)
            self._await_shell(deadline)
        self._typist.type_line(frame.line, deadline)
        start = self.session.expect([frame.begin], deadline, view=View.USER).end
        ran = self._await_end(frame, start, deadline)
        self._await_shell(deadline)
        return ran

    def _await_end(self, frame: Frame, start: int, deadline: Deadline) -> _Ran:
        """Wait for the end marker; ask for it again where the shell is back at its prompt without it."""
        missed = self.session.missing(repr(frame.end.pattern)[1:], deadline.clock)
        size, given_up = -1, -1
        while True:
            try:
                end = self.session.expect([frame.end], deadline.sooner(_GIVEN_UP_S), view=View.USER)
            except ExpectTimeout:
                if deadline.expired():
                    raise missed(None) from None
            else:
                break
            before, size = size, len(self.session.transcript)
            if before == size and self._typist.stands_at(self.profile.login):
                self._watch.arrive(Stage.LOGIN)
                self._lose_shell()
                raise self._wrong("the shell has ended: the guest is back at its login prompt")
            rests = before == size and given_up < 0 and bool(self._prompt)
            if rests and self._typist.stands_at(re.escape(self._prompt)):
                given_up = self._typist.line_start()
                self._typist.type_line(frame.again, deadline)
        status = int(end.groups[0] or b"0")
        if given_up < 0:
            return _Ran(status=status, start=start, end=end.start)
        # mksh has forgotten by then that something was wrong
        return _Ran(status=max(1, status), start=start, end=given_up, gave_up=True)

    def _run_quietly(self, command: str, deadline: Deadline) -> bytes:
        ran = self._run_framed(command, deadline)
        return self._text(ran.start, ran.end)

    def _text(self, start: int, end: int) -> bytes:
        view = self.session.listener.view
        return view.read(view.user_offset(start), view.user_offset(end))

    @property
    def _user(self) -> str:
        return escape(self.profile.user)

    def _refused(self) -> WrongOutput | Unsupported:
        if not self.profile.password and self.no_password:
            return Unsupported(f"the guest asks for the password of {self._user}, {self.no_password}")
        why = "wrong password?" if self.profile.password else "no password was given"
        return self._wrong(f"the guest refused the account {self._user}: {why}")

    def _wrong(self, text: str) -> WrongOutput:
        return WrongOutput(f"{self.session.transcript.name}: {text}")


def _end_without(added: int, own: Spans, start: int) -> int:
    """Return where the spans end without their last `added` bytes, between which a record may lie."""
    for first, last in reversed(own):
        if added < last - first:
            return last - added
        added -= last - first
    return start


def _number() -> str:
    return f"{secrets.randbelow(10**8):08d}"
