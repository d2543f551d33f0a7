"""A CMD channel of SAC: login, commands with their status and output, and logging out.

cmd of 2022 writes lines. That of earlier releases draws cells, so lines that have scrolled away are nowhere
in the stream, and a command's output is what the screen still shows of it (docs/facts/sac.md 1.8).
"""

from __future__ import annotations

import re

from emulator.clock import Deadline
from emulator.guest_text.sac import SHELL_PROMPT
from emulator.sac.image import Account
from emulator.sac.profile import SacProfile
from harness.guests.sac_keyboard import Keyboard
from harness.play.guest import CommandResult
from harness.play.screen import Screen
from harness.play.session import Session
from harness.scenario.steps import View

_PROMPT = re.compile(SHELL_PROMPT.decode())
_USERNAME = r"Username *:"
_REFUSED = "Unable to authenticate."

DRAWN_S = 0.05
"""Seconds of silence after which a prompt counts as complete: the blank after it comes last."""


class ShellChannel:
    """The CMD channel that has the terminal, for the session's thread; calls raise as `Session.expect`."""

    def __init__(self, session: Session, screen: Screen, keyboard: Keyboard, profile: SacProfile) -> None:
        self._session = session
        self._screen = screen
        self._keyboard = keyboard
        self._profile = profile
        self._count = 0

    def log_in(self, account: Account, deadline: Deadline) -> bool:
        """Answer the login prompts; False if the account is refused; raises as `Keyboard.type_in_channel`."""
        deadline = deadline.sooner(2 * self._profile.command_timeout_s)
        stars = b"*" * len(account.password)
        for label, value, shown in (
            (_USERNAME, account.user, None),
            (r"Domain *:", account.domain, None),
            (r"Password *:", account.password, stars),
        ):
            self._await_line(label, deadline)
            with self._session.transcript.typing_secret(wanted=shown is not None):
                self._keyboard.type_in_channel(value.encode("ascii"), deadline, shown=shown)
            self._keyboard.enter(deadline)
        self._screen.wait_for(
            lambda screen: _is_prompt(screen) or any(_REFUSED in line for line in screen.lines()),
            deadline,
            says="cmd's prompt, or a refusal",
        )
        self._session.skip()
        return _is_prompt(self._screen)

    def run(self, command: str, deadline: Deadline) -> CommandResult:
        """Run one line in cmd and ask for its status; raises WrongOutput as `Keyboard.type_in_channel`."""
        self._await_prompt(deadline)
        draws = self._profile.vt_mode == "screen"
        if draws:
            self._enter("cls", deadline)
        start = self._enter(command, deadline)
        output = self._rows(command) if draws else self._written(start)
        end = self._screen.position if draws else self._raw_end(start, len(output))
        if draws:
            self._enter("cls", deadline)  # on an empty screen the status is drawn completely
        return CommandResult(status=self._status(deadline), output=output, start=start, end=end)

    def leave(self, deadline: Deadline) -> None:
        """Type `exit`, which closes the channel; raises as `run`."""
        self._keyboard.type_in_channel(b"exit", deadline)
        self._session.skip()
        self._keyboard.enter(deadline)

    def _enter(self, line: str, deadline: Deadline) -> int:
        """Type a line, press Enter, wait for the next prompt; return the raw offset of the answer."""
        self._keyboard.type_in_channel(line.encode("ascii"), deadline)
        self._session.skip()
        self._keyboard.enter(deadline)
        # Where cells are drawn, Enter's echo is a move of the cursor, which this view shows as a line end.
        start = self._session.expect(rb"\r\n", deadline, view=View.PLAIN).end
        self._await_prompt(deadline)
        return start

    def _status(self, deadline: Deadline) -> int:
        self._count += 1
        marker = f"ttylab-{self._count:04d}"
        self._session.position = self._enter(f"echo {marker}:%ERRORLEVEL%", deadline)
        match = self._session.expect(marker.encode() + rb":(-?\d+)[ ]*\r\n", deadline, view=View.PLAIN)
        self._session.skip()
        return int(match.groups[0] or b"0")

    def await_login(self, deadline: Deadline) -> None:
        """Wait until the channel asks for a user name; raises as `Screen.wait_for`."""
        self._await_line(_USERNAME, deadline)

    def _await_line(self, label: str, deadline: Deadline) -> None:
        """Wait until the cursor is and stays right after `label`: a screen is drawn with its blanks."""
        line = re.compile(label + " {0,2}")

        def asks(screen: Screen) -> bool:
            return line.fullmatch(screen.line_before_cursor()) is not None

        self._screen.wait_for(asks, deadline, says=repr(label))
        self._session.wait_quiet(DRAWN_S, deadline)
        self._screen.wait_for(asks, deadline, says=repr(label))

    def _await_prompt(self, deadline: Deadline) -> None:
        self._screen.wait_for(_is_prompt, deadline, says="cmd's prompt")

    def _written(self, start: int) -> bytes:
        """Return what was written from the raw offset `start` up to the prompt."""
        view = self._session.listener.plain
        text = view.read(view.user_offset(start), view.user_offset(self._screen.position))
        return re.sub(rb"(?:\r\n)?" + SHELL_PROMPT + rb"\Z", b"", text)

    def _raw_end(self, start: int, length: int) -> int:
        view = self._session.listener.plain
        first = view.user_offset(start)
        return view.raw_span(first, first + length)[1]

    def _rows(self, command: str) -> bytes:
        """Return the rows between the command and the prompt, as far as they are still on the screen."""
        lines = self._screen.lines()
        last = self._screen.cursor.row
        typed = [
            row for row in range(last) if _PROMPT.match(lines[row]) and command[:20].rstrip() in lines[row]
        ]
        first = typed[-1] + 1 + (len(lines[typed[-1]]) + 79) // 80 - 1 if typed else 0
        rows = [line.encode("utf-8", "replace") for line in lines[first:last]]
        while rows and not rows[-1]:
            rows.pop()
        return b"".join(row + b"\r\n" for row in rows)


def _is_prompt(screen: Screen) -> bool:
    return _PROMPT.fullmatch(screen.before_cursor(screen.cursor.column)) is not None
