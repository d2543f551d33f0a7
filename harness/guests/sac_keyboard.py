"""Type at a SAC guest: one character at a time, each checked on the screen, and again if one was lost.

Characters right after a fresh prompt are eaten, and of two equal ones typed quickly the second is lost
(docs/facts/sac.md 1.8), so Enter is pressed only once the line stands there as intended.
"""

from __future__ import annotations

from collections.abc import Iterator

from emulator.clock import Deadline
from emulator.guest_text.printable import escape
from emulator.guest_text.sac import BACKSPACE, ENTER, WIPE, echo_pattern
from harness.play.screen import Screen
from harness.play.session import Session
from harness.scenario.errors import ExpectTimeout, GuestError, WrongOutput
from harness.scenario.steps import View

_ECHO_S = 0.7
"""Seconds that one character's echo may take; longer in further tries."""
_BETWEEN_EQUAL_S = (0.03, 0.4, 1.6)
"""Pauses between two equal characters: the usual one, then longer ones for a guest that has lost one (Oxide
waits 1.5 s on 2016 and 2019)."""
_REST_S = 0.25
"""Pause before another try, after which a prompt eats no more characters."""
_TRIES = 6
"""How often a line is tried."""


class Keyboard:
    """Types on one console, for the session's thread; calls raise as `Session.expect`."""

    def __init__(self, session: Session, screen: Screen) -> None:
        self._session = session
        self._screen = screen
        self._equal_s = _BETWEEN_EQUAL_S[0]
        self._echo_s = _ECHO_S

    def press(self, keys: bytes, deadline: Deadline) -> None:
        """Send `keys` without waiting for an echo; raises as `Session.send`."""
        self._session.send(keys, deadline, echo=False)

    def type_at_sac(self, line: bytes, deadline: Deadline) -> None:
        """Type `line` at the SAC prompt, without Enter; an event may interrupt it anywhere.

        Raises WrongOutput if after several tries the guest still shows another line.
        """
        since = self._session.transcript.now()
        for _ in self._tries():
            if self._type_by_stream(line, deadline):
                return
            if deadline.expired():
                break
            self.press(WIPE, deadline)  # the line may hold more than was typed here
            self._rest(deadline)
            self._session.skip()
        raise self._not_shown(line, deadline, since)

    def type_in_channel(self, line: bytes, deadline: Deadline, *, shown: bytes | None = None) -> None:
        """Type `line`, printable ASCII, in a CMD channel, without Enter; raises as `type_at_sac`.

        `shown` is what its echo looks like, if not like the line itself (a password's stars).
        """
        echo = line if shown is None else shown
        before, since = self._screen_before(), self._session.transcript.now()
        for _ in self._tries():
            if self._type_by_screen(line, before, echo.decode("ascii"), deadline):
                return
            self._rest(deadline)
            before = self._erase(before, len(line) + 1, deadline)
            if deadline.expired():
                break
        raise self._not_shown(echo, deadline, since)

    def enter(self, deadline: Deadline) -> None:
        """Press Enter: CR, since cmd does not take LF for it."""
        self.press(ENTER, deadline)

    def _rest(self, deadline: Deadline) -> None:
        self._session.wait_quiet(_REST_S, deadline.sooner(4 * _REST_S))

    def _tries(self) -> Iterator[int]:
        """Yield the number of each try, with more time for echoes: what looked lost may have been late."""
        for count in range(_TRIES):
            self._echo_s = _ECHO_S * 2 ** (count // 2)
            yield count

    def _not_shown(self, line: bytes, deadline: Deadline, since: float) -> GuestError:
        if deadline.expired():
            return self._session.late(
                f"awaited the echo of '{escape(line)}', not all of which was typed", since
            )
        name = self._session.transcript.name
        return WrongOutput(f"{name}: the guest does not show what is typed: {line!r}")

    def _erase(self, before: str, most: int, deadline: Deadline) -> str:
        """Erase what was typed, back to the prompt: by backspace, since 7f deletes a word under PSReadLine.

        Backspaces are equal characters too, so each must show before the next. Returns what the line shows
        then: `before`, or more blanks if the cursor had yet to move to its place when `before` was read.
        """
        for _ in range(most):
            now = self._screen_before()
            if now.rstrip() == before.rstrip() or deadline.expired():
                break
            self.press(BACKSPACE, deadline)
            self._shows(now[:-1], deadline.sooner(self._echo_s))
            self._sleep(self._equal_s, deadline)
        return self._screen_before()

    def _type_by_stream(self, line: bytes, deadline: Deadline) -> bool:
        for at in range(len(line)):
            typed = line[at : at + 1]
            if not self._press_one(line, at, deadline):
                return False
            try:
                soon = deadline.sooner(self._echo_s)
                match = self._session.expect(echo_pattern(typed), soon, view=View.PLAIN)
            except ExpectTimeout:
                return False
            if match.index != 0:
                return False
        return True

    def _type_by_screen(self, line: bytes, before: str, echo: str, deadline: Deadline) -> bool:
        for at in range(len(line)):
            if not self._press_one(line, at, deadline):
                return False
            if not self._shows(before + echo[: at + 1], deadline.sooner(self._echo_s)):
                if at > 0 and line[at - 1] == line[at]:
                    self._slow_down()
                return False
        return True

    def _press_one(self, line: bytes, at: int, deadline: Deadline) -> bool:
        """Pause, then send one character of `line`; return False if the deadline has come."""
        if at > 0 and line[at - 1] == line[at]:
            self._sleep(self._equal_s, deadline)
        if deadline.expired():
            return False
        self.press(line[at : at + 1], deadline)
        return True

    def _slow_down(self) -> None:
        """Leave more time between equal characters from now on: this guest loses them."""
        longer = (pause for pause in _BETWEEN_EQUAL_S if pause > self._equal_s)
        self._equal_s = next(longer, self._equal_s)

    def _screen_before(self) -> str:
        """Return the cursor's line now: a prompt, and what was typed so far."""
        self._screen.update()
        return self._screen.line_before_cursor()

    def _shows(self, wanted: str, deadline: Deadline) -> bool:
        count = len(wanted)
        try:
            self._screen.wait_for(
                lambda screen: screen.before_cursor(count) == wanted, deadline, says="what was typed"
            )
        except ExpectTimeout:
            return False
        return True

    @staticmethod
    def _sleep(seconds: float, deadline: Deadline) -> None:
        deadline.clock.sleep(min(seconds, deadline.remaining()))
