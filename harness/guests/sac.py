"""Drive a Windows guest's Special Administration Console: its prompt, its channels, restart and shutdown.

It follows docs/facts/sac.md 1.11, which holds for real Windows and for ttylab's SAC guest alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.guest_text import sac as say
from emulator.guest_text.sac import find_boots
from emulator.guest_text.sac_documents import Bugcheck, MachineInfo, parse_bugcheck
from emulator.sac.image import Account
from emulator.sac.profile import SacProfile
from harness.guests.sac_boot import SacBootWatch, Showing
from harness.guests.sac_channel import ShellChannel
from harness.guests.sac_keyboard import Keyboard
from harness.guests.stage_watch import StageWatch
from harness.play.guest import CommandResult, SacAnswer
from harness.play.screen import Screen
from harness.play.session import Match, Session, watch_changes
from harness.scenario.errors import ExpectTimeout, SacUnavailable, WrongOutput
from harness.scenario.stages import Stage, is_before
from harness.scenario.steps import View

ANSWER_S = 2.0
"""Seconds that SAC may take to answer an Enter."""
QUIET_S = 0.15
"""Seconds of silence after which the screen counts as complete."""
_WAYS = {
    Showing.PAGE: say.ENTER,
    Showing.MENU: say.ENTER,
    Showing.TOOLS: b"\x1b",
    Showing.CRASHED: b"restart" + say.ENTER,
}
"""Keys that lead on where ESC TAB 0 does not."""
_ASKED = frozenset({Showing.SAC_PROMPT, Showing.NOTHING, Showing.OTHER})
"""Where an Enter shows whether SAC listens."""
_SYNC_STEPS = 12
_RESTARTS = ("reset", "shutdown", "off", "bugcheck", "sac-crash-prompt")


class SacGuest:
    """The guest behind a session, for the session's thread; calls raise as `Session.expect`.

    Attributes:
        session: the dialogue with its console.
        profile: the release whose texts and timeouts it has.
        account: who may log in.
        machine: what the guest said about itself at the last boot that was seen.
        channel: the channel that has the terminal, as far as it is known.

    Install media ask for a key before they boot; with `boots_from_cd` the driver then presses Enter.
    `firmware_said` returns what SeaBIOS has reported so far, if that is recorded.
    """

    def __init__(
        self,
        session: Session,
        profile: SacProfile,
        account: Account | None = None,
        *,
        boots_from_cd: bool = False,
        firmware_said: Callable[[], bytes] = bytes,
    ) -> None:
        self.session = session
        self.profile = profile
        self.account = account or Account()
        self.machine = MachineInfo()
        self.channel = "SAC"
        self._boots_from_cd, self._firmware_said = boots_from_cd, firmware_said
        self._watch = StageWatch(session, find_boots=find_boots)
        self._attach(session.position)
        self._booted_at = session.position
        self._sac_at = session.position
        self._is_at_prompt = False
        self._is_wiped = False
        self._is_late = False

    # -- stages --------------------------------------------------------------------------------

    @property
    def stage(self) -> Stage:
        """The last stage that was seen."""
        return self._watch.stage

    def reach(self, stage: Stage, deadline: Deadline) -> None:
        """Wait for `stage` of the present boot; for LOGIN and SHELL, open a channel and view it.

        Up to CMD nothing is typed: a boot menu that waits for a choice is an error, but `sync` starts it.
        Raises SacUnavailable, and WrongOutput if the guest refused the account or a channel.
        """
        if self._watch.notice_restart():
            self._begin_anew()
            self._booted_at = 0
        if self.stage is Stage.FIRMWARE:
            start = self._watch.boot_start()
            self._booted_at = max(self._booted_at, start)
            if start > self._screen_from:  # the old screen still shows a menu of the boot before
                self._attach(start)
        if stage is Stage.FIRMWARE:
            return
        if stage is Stage.LOADER:
            if is_before(self.stage, stage):
                self._boot.await_menu(deadline, since=self._watch.boot_start())
                self._watch.arrive(stage)
            return
        self._reach_prompt(stage, deadline)
        if stage in {Stage.LOGIN, Stage.SHELL} and self.channel == "SAC":
            self.switch(self.open_channel(deadline), deadline)
            self._shell.await_login(deadline)
            self._watch.arrive(Stage.LOGIN)
        if stage is Stage.SHELL and self.stage is not Stage.SHELL:
            self.log_in(deadline)

    def restarted(self) -> None:
        """Forget the stage: the guest was reset or switched off."""
        self._watch.forget()
        self._begin_anew()

    def notice(self, match: Match) -> None:
        """Take note that something was consumed: where the cursor is, is no longer known."""
        del match
        self._is_at_prompt = False

    def await_restart(self, deadline: Deadline) -> None:
        """Wait for a boot in the output, which is not consumed, and mark it as RESET."""
        transcript = self.session.transcript
        for _ in watch_changes(transcript, deadline):
            self.session.check()
            sign = self._watch.find_boot_on_wire()
            if sign is not None:
                transcript.mark(MarkKind.MACHINE, "RESET", {"seen": sign.name, "from": sign.start})
                return
        raise ExpectTimeout(f"{transcript.name}: awaited a restart, but no boot begins on the wire")

    def adopt(self, profile: SacProfile) -> None:
        """Drive it as the release that it turned out to be, with an empty screen from here on."""
        self.profile = profile
        self._attach(self.session.position)

    def rejoin(self) -> None:
        """Forget everything the console has shown, like someone who connects late."""
        self.session.skip()
        self._attach(self.session.position)
        self._begin_anew()
        self.machine = MachineInfo()

    # -- the SAC prompt ------------------------------------------------------------------------

    def sync(self, deadline: Deadline) -> None:
        """Get to a fresh, empty SAC prompt from any state; everything before it is consumed.

        From the boot menu this starts the highlighted entry, from `!SAC>` it restarts the machine. Raises
        SacUnavailable in a state that never leads to SAC.
        """
        has_asked = False
        for attempt in range(_SYNC_STEPS):
            self.session.wait_quiet(QUIET_S, deadline.sooner(ANSWER_S))
            showing = self._boot.look_beyond_recovery()
            if showing in _ASKED and not has_asked:
                if self._answers(deadline):
                    self._arrive_at_prompt()
                    return
                self._boot.refuse_elsewhere(self._watch.boot_start())
                has_asked = True
            else:
                is_stuck = attempt % 3 == 2 and showing in {Showing.OTHER, Showing.SHELL}
                keys = b"exit" + say.ENTER if is_stuck else _WAYS.get(showing, say.TO_SAC + say.ENTER)
                self._keyboard.press(keys, deadline)
                has_asked = False
            if deadline.expired():
                break
        raise self._unanswered()

    def run_sac(self, command: str, deadline: Deadline) -> SacAnswer:
        """Give a command at the SAC prompt, turn its pages, and wait for the next prompt.

        Raises WrongOutput if the line is too long or can't be typed; SacUnavailable as `sync`.
        """
        deadline = deadline.sooner(self.profile.command_timeout_s)
        self._order(command, deadline)
        start, output = self.session.position, b""
        ends = [say.EVENT, say.MORE, say.PROMPT]
        while True:
            match = self.session.expect(ends, deadline, view=View.PLAIN)
            output += match.before
            if match.index == 2:
                break
            if match.index == 1:
                output += match.data
                self._keyboard.enter(deadline)
        self._is_at_prompt = True
        return SacAnswer(lines=say.lines_of(output), start=start, end=match.start)

    def prove_life(self, deadline: Deadline) -> None:
        """Ask the guest what it is; raises WrongOutput if it once said otherwise, else as `run_sac`."""
        self._come_to_prompt(deadline)
        answer = self.run_sac("id", deadline)
        guid = re.escape(self.machine.guid.encode()) or rb"[0-9A-Fa-f-]{36}"
        if not re.search(rb"Computer GUID: +" + guid + rb"(?m:$)", answer.text):
            raise WrongOutput(f"{self.session.transcript.name}: `id` says {answer.text!r}, need {guid!r}")

    def press_keys(self, keys: bytes, deadline: Deadline) -> None:
        """Send keys without waiting for an echo; raises as `Session.send`."""
        self._is_at_prompt = False
        self._keyboard.press(keys, deadline)

    def send_line(self, line: bytes, deadline: Deadline, *, echo: bool = True) -> None:
        """Type `line` and Enter where the cursor is; raises as `Keyboard.type_at_sac`."""
        if not echo:
            self._keyboard.press(line, deadline)
        elif self.channel == "SAC":
            self._keyboard.type_at_sac(line, deadline)
        else:
            self._keyboard.type_in_channel(line, deadline)
        self._is_at_prompt = False
        self._keyboard.enter(deadline)

    # -- channels ------------------------------------------------------------------------------

    def open_channel(self, deadline: Deadline) -> str:
        """Open a CMD channel and return its name; raises WrongOutput if SAC refused, else as `run_sac`."""
        self._come_to_prompt(deadline)
        since = self.session.position
        answer = self.run_sac("cmd", deadline)
        if b"successfully launched" not in answer.text:
            message = b" ".join(answer.lines).decode("ascii", "replace")
            raise WrongOutput(f"{self.session.transcript.name}: no channel: {message}")
        made = rb"EVENT: +A new channel has been created\.[^\r\n]*\r\nChannel: ([^\r\n]+)\r\n"
        with self._from(since):
            soon = deadline.sooner(self.profile.command_timeout_s)
            event = self.session.expect(made + say.PROMPT, soon, view=View.PLAIN)
        return (event.groups[0] or b"").decode("ascii", "replace")

    def switch(self, name: str, deadline: Deadline) -> None:
        """Switch the terminal to the channel `name`; raises WrongOutput without one, else as `run_sac`."""
        self._come_to_prompt(deadline)
        self._order(f"ch -sn {name}", deadline)
        wrong = [
            rb"Error: Could not find a channel[^\r\n]*\r\n",
            rb"Use any other key to view this channel\.\r\n",
        ]
        match = self.session.expect(wrong, deadline.sooner(self.profile.command_timeout_s), view=View.PLAIN)
        self._is_at_prompt = False
        if match.index == 0:
            raise WrongOutput(f"{self.session.transcript.name}: no channel {name!r}")
        self.session.wait_quiet(QUIET_S, deadline)
        since = len(self.session.transcript)
        self._keyboard.enter(deadline)
        self._await_drawing(since, deadline)
        self.channel = name

    def log_in(self, deadline: Deadline, account: Account | None = None) -> None:
        """Answer the login prompts of the present channel, up to cmd's prompt.

        Raises WrongOutput if the account is refused; SAC then has the terminal again.
        """
        if not self._shell.log_in(account or self.account, deadline):
            self._keyboard.enter(deadline)
            self.sync(deadline)
            user = (account or self.account).user
            raise WrongOutput(f"{self.session.transcript.name}: the guest refused the account {user!r}")
        self._watch.arrive(Stage.SHELL)

    def run(self, command: str, deadline: Deadline) -> CommandResult:
        """Run one line in cmd, in the channel that is logged in or a new one; raises WrongOutput."""
        self.reach(Stage.SHELL, deadline)
        return self._shell.run(command, deadline)

    def run_powershell(self, script: str, deadline: Deadline) -> CommandResult:
        """Run a script by `powershell -encodedCommand`, so that it needs no quoting; raises as `run`."""
        return self.run(say.encode_powershell(script), deadline)

    def close_channel(self, deadline: Deadline) -> None:
        """Leave the channel by `exit`, and return to SAC's prompt; raises as `sync`."""
        name, since = self.channel, len(self.session.transcript)
        if name == "SAC":
            return
        self._shell.leave(deadline)
        # SAC's whole screen is redrawn, including the event: blanks follow each line.
        self.sync(deadline)
        closed = rb"EVENT: +A channel has been closed\.[ ]*\r\nChannel: " + name.encode() + rb"[ ]*\r\n"
        with self._from(since):
            self.session.expect(closed, deadline.sooner(ANSWER_S), view=View.PLAIN)

    # -- the end -------------------------------------------------------------------------------

    def restart(self, deadline: Deadline) -> None:
        """Give `restart`, and wait until the guest is at SAC's prompt again; raises as `reach`.

        SAC may wait until the guest has run for a minute; the deadline should allow for that.
        """
        self._come_to_prompt(deadline)
        with self.session.expecting(*_RESTARTS):
            self._order("restart", deadline)
            self._await_goodbye(deadline)
            self.restarted()
            self.reach(Stage.SAC, deadline)

    def shutdown(self, deadline: Deadline) -> None:
        """Give `shutdown` and wait until the guest has said goodbye; raises as `restart`."""
        self._come_to_prompt(deadline)
        with self.session.expecting(*_RESTARTS):
            self._order("shutdown", deadline)
            self._await_goodbye(deadline)
        self.restarted()

    def read_bugcheck(self) -> Bugcheck | None:
        """Return the last bugcheck of the present boot, as far as it has been shown."""
        return parse_bugcheck(self.session.transcript.read(self._booted_at))

    # -- inside --------------------------------------------------------------------------------

    def _attach(self, start: int) -> None:
        """Look at the console from the raw offset `start` on, with an empty screen."""
        self._screen_from = start
        screen = Screen(self.session, start=start)
        self._keyboard = Keyboard(self.session, screen)
        self._boot = SacBootWatch(
            self.session,
            screen,
            self.profile,
            boots_from_cd=self._boots_from_cd,
            firmware_said=self._firmware_said,
        )
        self._shell = ShellChannel(self.session, screen, self._keyboard, self.profile)

    def _begin_anew(self) -> None:
        self.channel, self._is_at_prompt, self._is_wiped = "SAC", False, False
        self._booted_at = self.session.position

    def _reach_prompt(self, stage: Stage, deadline: Deadline) -> None:
        if is_before(self.stage, Stage.KERNEL):
            with self._from(self._booted_at):
                self.machine = self._boot.await_machine_info(deadline)
                self._sac_at = self.session.position
            self._is_late = False
            self._watch.arrive(Stage.KERNEL)
        if is_before(Stage.KERNEL, stage) and is_before(self.stage, Stage.SAC):
            with self._from(self._sac_at):
                self.session.expect(say.BANNER, deadline, view=View.PLAIN)
                prompt = self.session.expect(say.PROMPT, deadline, view=View.PLAIN)
            self._is_at_prompt = self.session.position == prompt.end
            self._watch.arrive(Stage.SAC)
        if is_before(Stage.SAC, stage) and is_before(self.stage, Stage.CMD):
            if not self._is_late:  # else the event may have come before this driver listened
                with self._from(self._sac_at):
                    self._boot.await_cmd(deadline)
            self._watch.arrive(Stage.CMD)

    def _come_to_prompt(self, deadline: Deadline) -> None:
        if not self._is_at_prompt:
            self.sync(deadline)

    def _order(self, command: str, deadline: Deadline) -> None:
        """Type a command at the SAC prompt, press Enter, and consume Enter's echo."""
        if len(command) > say.LINE_MOST:
            raise WrongOutput(f"{command!r} has {len(command)} characters; SAC takes {say.LINE_MOST}")
        self._come_to_prompt(deadline)
        if not self._is_wiped:
            self._wipe_line(deadline)
        self._keyboard.type_at_sac(command.encode("ascii"), deadline)
        self._is_at_prompt = False
        self._keyboard.enter(deadline)
        self.session.expect(rb"\r\n", deadline, view=View.PLAIN)

    def _await_drawing(self, since: int, deadline: Deadline) -> None:
        """Wait until a channel's screen is drawn, 0.2 s at 115200 baud: half of it looks like a prompt."""
        transcript, soon = self.session.transcript, deadline.sooner(ANSWER_S)
        for _ in watch_changes(transcript, soon):
            self.session.check()
            if len(transcript) > since:
                break
        self.session.wait_quiet(QUIET_S, soon)

    def _await_goodbye(self, deadline: Deadline) -> None:
        self.session.expect(rb"The SAC will become unavailable soon\.[^\n]*\n", deadline, view=View.PLAIN)

    @contextmanager
    def _from(self, raw: int) -> Iterator[None]:
        """Look again from the raw offset `raw` on; what was consumed stays consumed."""
        consumed, self.session.position = self.session.position, raw
        try:
            yield
        finally:
            self.session.position = max(consumed, self.session.position)

    def _arrive_at_prompt(self) -> None:
        self.channel, self._is_at_prompt = "SAC", True
        self._is_late = self._is_late or is_before(self.stage, Stage.KERNEL)
        if is_before(self.stage, Stage.SAC) or not is_before(self.stage, Stage.LOGIN):
            self._watch.arrive(Stage.SAC)

    def _wipe_line(self, deadline: Deadline) -> None:
        """Empty the line: it may hold unseen characters, typed before an event or under way at a reset."""
        self._keyboard.press(say.WIPE, deadline)
        self.session.wait_quiet(QUIET_S, deadline.sooner(ANSWER_S))
        self.session.skip()
        self._is_wiped = True

    def _answers(self, deadline: Deadline) -> bool:
        """Empty the line, press Enter, and tell whether a SAC prompt follows."""
        self._wipe_line(deadline)
        self._keyboard.enter(deadline)
        try:
            self.session.expect(rb"\n" + say.PROMPT, deadline.sooner(ANSWER_S), view=View.PLAIN)
        except ExpectTimeout:
            return False
        self.session.wait_quiet(QUIET_S, deadline.sooner(ANSWER_S))
        picture = self._boot.look()
        if picture.showing is not Showing.SAC_PROMPT or picture.typed:
            return False
        self.session.skip()
        return True

    def _unanswered(self) -> SacUnavailable | ExpectTimeout:
        transcript = self.session.transcript
        self._boot.refuse_elsewhere(self._watch.boot_start())
        picture = self._boot.look()
        if picture.showing is Showing.NOTHING:
            return ExpectTimeout(f"{transcript.name}: awaited the SAC prompt, but nothing answers")
        return self._boot.unavailable(picture.showing.value, "what answers is no SAC")
