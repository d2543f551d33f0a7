"""Watch a SAC guest boot until its `machine-info`, or until it stands where no SAC comes, and say where.

The banner proves nothing: it is redrawn whenever SAC's channel is viewed. `machine-info` is sent once per
boot and inside a bugcheck's XML, and is never redrawn (docs/facts/sac.md 1.4, 1.7, 1.11).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from emulator.clock import Deadline
from emulator.guest_text.sac import BUGCHECK, BUGCHECK_END, CMD_AVAILABLE, ENTER, LOGIN, PROMPT, SHELL_PROMPT
from emulator.guest_text.sac_documents import MACHINE_INFO, MachineInfo, parse_machine_info
from emulator.guest_text.sac_elsewhere import (
    CMD_UNAVAILABLE,
    ELSEWHERE,
    NO_BOOT_ALARMS,
    NO_CMD,
    NOTHING_BOOTS,
    SILENCE,
    describe_silence,
    find_elsewhere,
    found_nothing,
)
from emulator.sac.profile import SacProfile
from harness.play.screen import Screen
from harness.play.session import Session
from harness.scenario.errors import ExpectTimeout, GuestDied, SacUnavailable
from harness.scenario.steps import View

_SHELL = re.compile(SHELL_PROMPT.decode())
_POWERSHELL = re.compile(r"(?:>> ?|PS [A-Z]:\\[^<>|]*> ?)")
_LOGIN = re.compile(LOGIN.decode())
_FIRST = re.compile(r"%|\n")


class Showing(StrEnum):
    """What a screen shows."""

    NOTHING = "nothing"
    SAC_PROMPT = "the SAC prompt"
    HEADER = "a channel's header"
    SHELL = "cmd's prompt"
    POWERSHELL = "PowerShell's prompt"
    LOGIN = "a login prompt"
    PAGE = "the end of a page"
    CRASHED = "the prompt after a bugcheck"
    MENU = "the boot menu"
    TOOLS = "the boot menu's advanced options"
    RECOVERY = "the recovery menu"
    OTHER = "something else"


_SIGNS = (
    ("menu.recovery", Showing.RECOVERY),
    ("menu.error_recovery", Showing.RECOVERY),
    ("menu.advanced_title", Showing.TOOLS),
    ("menu.choose", Showing.MENU),
    ("channel.header_keys", Showing.HEADER),
)
"""Texts of a profile by which a whole screen is recognised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A screen, read.

    Attributes:
        showing: what it shows.
        typed: what follows the prompt in the cursor's row.
    """

    showing: Showing
    typed: str = ""


def read_screen(lines: Sequence[str], *, row: int, column: int, profile: SacProfile) -> Picture:
    """Return what `lines` show, with the cursor at `row` and `column`, counted from 0."""
    here = lines[row][:column] if row < len(lines) else ""
    if _stands(profile, "sac.more", [here]):
        return Picture(showing=Showing.PAGE)
    for pattern, showing in ((re.compile("SAC>"), Showing.SAC_PROMPT), (_POWERSHELL, Showing.POWERSHELL),
                             (_SHELL, Showing.SHELL), (_LOGIN, Showing.LOGIN)):  # fmt: skip
        found = pattern.match(here)
        if found:
            return Picture(showing=showing, typed=here[found.end() :])
    return _whole(lines, profile)


def _whole(lines: Sequence[str], profile: SacProfile) -> Picture:
    if not any(lines):
        return Picture(showing=Showing.NOTHING)
    if any(line.startswith("!SAC>") for line in lines):
        return Picture(showing=Showing.CRASHED)
    found = (showing for key, showing in _SIGNS if _stands(profile, key, lines))
    return Picture(showing=next(found, Showing.OTHER))


def _stands(profile: SacProfile, key: str, lines: Sequence[str]) -> bool:
    """Tell whether `lines` contain the first line of a profile's text, up to its first field."""
    beginning = _FIRST.split(profile.texts[key].text.strip())[0].strip()
    return bool(beginning) and any(beginning in line for line in lines)


LOOK_S = 1.0
"""Seconds between two looks at the screen while waiting for a boot."""
STILL_S = 20.0
"""Seconds without output after which a menu counts as waiting for a choice."""

_CD_PROMPT = rb"Press any key to boot from CD or DVD\.\."


@dataclass(slots=True)
class SacBootWatch:
    """Waits for the boot of one guest, for the session's thread; calls raise as `Session.expect`."""

    session: Session
    screen: Screen
    profile: SacProfile
    boots_from_cd: bool = False
    firmware_said: Callable[[], bytes] = bytes

    def look(self) -> Picture:
        """Return what the screen shows now."""
        self.screen.update()
        cursor = self.screen.cursor
        lines = self.screen.lines()
        return read_screen(lines, row=cursor.row, column=cursor.column, profile=self.profile)

    def await_machine_info(self, deadline: Deadline) -> MachineInfo:
        """Wait for the `machine-info` of a boot, and consume up to its end; raises SacUnavailable.

        If the guest is to boot from a CD, Enter is pressed when the CD asks for a key.
        """
        elsewhere = [one.pattern for one in ELSEWHERE]
        patterns: list[bytes | re.Pattern[bytes]] = [BUGCHECK, MACHINE_INFO, _CD_PROMPT, *elsewhere]
        start, began = self.session.position, self.session.transcript.now()
        while True:
            try:
                match = self.session.expect(patterns, deadline.sooner(LOOK_S), view=View.RAW)
            except ExpectTimeout:
                self._refuse_menu()
                self._refuse_idle_firmware()
                if deadline.expired():
                    self._refuse_silence(start)
                    seconds = self.session.transcript.now() - began
                    awaited = "awaited the machine-info of a guest with SAC, which did not come"
                    raise self.session.late(f"{awaited} in {seconds:.1f} s", began) from None
                continue
            except GuestDied as error:
                if error.alarm.name not in NO_BOOT_ALARMS:
                    raise
                raise self._nothing_boots(error.alarm.title) from error
            if match.index == 0:
                self.session.expect(BUGCHECK_END, deadline)
            elif match.index == 1:
                return parse_machine_info(match.data) or MachineInfo()
            elif match.index == 2:
                self._answer_cd(deadline)
            else:
                one = ELSEWHERE[match.index - 3]
                raise self.unavailable(one.state, one.why)

    def await_menu(self, deadline: Deadline, *, since: int = 0) -> None:
        """Wait for the menu of the boot that begins at raw offset `since`; raises SacUnavailable."""

        def shows(_: Screen) -> bool:
            if self.look().showing is Showing.MENU:
                return True
            self.refuse_elsewhere(since)
            return False

        self.screen.wait_for(shows, deadline, says="the boot menu")

    def await_cmd(self, deadline: Deadline) -> None:
        """Wait until SAC says that CMD is available; raises SacUnavailable if it does not."""
        wait = deadline.sooner(self.profile.cmd_event_timeout_s)
        try:
            match = self.session.expect([CMD_AVAILABLE + PROMPT, CMD_UNAVAILABLE], wait, view=View.PLAIN)
        except ExpectTimeout as error:
            why = "its service (sacsvr) did not register in time, or is not there, as on client Windows"
            raise self.unavailable(NO_CMD, why) from error
        if match.index == 1:
            raise self.unavailable(NO_CMD, "SAC says that the CMD command is unavailable; is sacsvr running?")

    def _refuse_menu(self) -> None:
        """Refuse to wait on if a menu is waiting for a choice; raises SacUnavailable if it is."""
        showing, chunks = self.look_beyond_recovery(), self.session.transcript.chunks
        if not chunks or self.session.transcript.now() - chunks[-1].at < STILL_S:
            return
        if showing is Showing.TOOLS:
            raise self.unavailable("the advanced boot options", "they wait for a choice")
        if showing is Showing.MENU:
            raise self.unavailable("the boot menu", "its countdown was stopped, or it has none: Enter starts")

    def look_beyond_recovery(self) -> Showing:
        """Return what the screen shows now; raises SacUnavailable if it shows the recovery menu."""
        showing = self.look().showing
        if showing is Showing.RECOVERY:
            raise self.unavailable("the recovery menu", "Windows did not load, and asks what to do")
        return showing

    def unavailable(self, state: str, why: str) -> SacUnavailable:
        """Return the error that says that the guest is in `state`; the screen is in a note."""
        name = self.session.transcript.name
        error = SacUnavailable(f"{name}: no SAC prompt: {state}: {why}", state=state)
        error.add_note("\n".join(line for line in self.screen.lines() if line))
        return error

    def refuse_elsewhere(self, since: int) -> None:
        """Raise SacUnavailable if the output from the raw offset `since` on shows that no SAC will come."""
        data = self.session.transcript.read(since)
        found = None if parse_machine_info(data) else find_elsewhere(data)
        if found is not None:
            raise self.unavailable(found.state, found.why)

    def _answer_cd(self, deadline: Deadline) -> None:
        if self.boots_from_cd:
            self.session.send(ENTER, deadline, echo=False)

    def _refuse_idle_firmware(self) -> None:
        if found_nothing(self.firmware_said()):
            raise self._nothing_boots("SeaBIOS says: No bootable device")

    def _nothing_boots(self, says: str) -> SacUnavailable:
        why = f"the firmware found neither disk nor CD that it can start: {says}"
        return self.unavailable(NOTHING_BOOTS, why)

    def _refuse_silence(self, since: int) -> None:
        why = describe_silence(self.session.transcript.read(since))
        if why is not None:
            raise self.unavailable(SILENCE, why)
