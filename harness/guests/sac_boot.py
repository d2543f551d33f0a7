"""Watch a SAC guest boot: to its `machine-info`, or to where it will not come to SAC, and say which.

The banner proves nothing: it is redrawn whenever SAC's channel is viewed. `machine-info` is sent once a boot
and inside a bugcheck's XML, and never redrawn (spec/windows-sac.md 1.4, 1.7, 1.11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from emulator.clock import Deadline
from emulator.images.sac.profile import SacProfile
from harness.errors import ExpectTimeout, SacUnavailable
from harness.guests.sac_machine_info import MACHINE_INFO, MachineInfo, parse_machine_info
from harness.guests.sac_screen import Picture, Showing, read_screen
from harness.scenario import View
from harness.screen import Screen
from harness.session import Session

LOOK_S = 1.0
"""How often the screen is looked at while a boot is awaited."""
PATIENCE_S = 20.0
"""How long a menu may stand still before it is said to wait."""

_BUGCHECK = rb'<INSTANCE CLASSNAME="BLUESCREEN">'
_BUGCHECK_END = rb"</INSTANCE>"
_ELSEWHERE: tuple[tuple[bytes, str, str], ...] = (
    (
        rb"======== Microsoft Azure VM Health Report - Start",
        "EMS is off",
        "the Azure health report stands where SAC would be; `bcdedit /ems on` in the guest",
    ),
    (
        rb"KDTARGET: |iiii[\x00-\x0c]\x00|0000[\x01-\x0c]\x00",
        "a kernel debugger has the port",
        "KD packets instead of SAC, which takes no input; `bcdedit /debug off`, or another port for it",
    ),
    (rb"Linux version [^\n]*\n|GNU GRUB", "no Windows", "Linux, or its loader, is what boots"),
)
"""What says that SAC will not come: a pattern of the raw bytes, where the guest is, why.

A firmware that finds nothing to boot is an alarm of every session."""


@dataclass(slots=True)
class BootWatch:
    """Waits on one console's boot, for the session's thread."""

    session: Session
    screen: Screen
    profile: SacProfile

    def look(self) -> Picture:
        """Return what the screen shows now."""
        self.screen.update()
        cursor = self.screen.cursor
        lines = self.screen.lines()
        return read_screen(lines, row=cursor.row, column=cursor.column, profile=self.profile)

    def await_machine_info(self, deadline: Deadline) -> MachineInfo:
        """Wait for the `machine-info` of a boot, and consume up to its end.

        Raises:
            SacUnavailable: the guest is where it will not come to SAC.
            ExpectTimeout, GuestDied, MachineGone, ConsoleClosed: as `Session.expect`.
        """
        elsewhere = [pattern for pattern, _, _ in _ELSEWHERE]
        patterns = [_BUGCHECK, MACHINE_INFO, *elsewhere]
        still = _Stillness(self.session)
        while True:
            try:
                match = self.session.expect(patterns, deadline.sooner(LOOK_S), view=View.RAW)
            except ExpectTimeout:
                self.refuse_menu(still)
                if deadline.expired():
                    raise
                continue
            if match.index == 0:
                self.session.expect(_BUGCHECK_END, deadline)
            elif match.index == 1:
                return parse_machine_info(match.data) or MachineInfo()
            else:
                _, state, why = _ELSEWHERE[match.index - 2]
                raise self.unavailable(state, why)

    def await_menu(self, deadline: Deadline) -> None:
        """Wait for the boot menu.

        Raises:
            ExpectTimeout, GuestDied, MachineGone, ConsoleClosed: as `Screen.wait_for`.
        """
        self.screen.wait_for(lambda _: self.look().showing is Showing.MENU, deadline, says="the boot menu")

    def refuse_menu(self, still: _Stillness) -> None:
        """Say so if a menu waits for somebody's choice.

        Raises:
            SacUnavailable: it does.
        """
        picture = self.look()
        if picture.showing is Showing.RECOVERY:
            raise self.unavailable("the recovery menu", "Windows did not load, and asks what to do")
        if picture.showing is Showing.TOOLS and still.lasts(PATIENCE_S):
            raise self.unavailable("the advanced boot options", "they wait for a choice")
        if picture.showing is Showing.MENU and still.lasts(PATIENCE_S):
            raise self.unavailable("the boot menu", "its countdown was stopped, or it has none: Enter starts")

    def unavailable(self, state: str, why: str) -> SacUnavailable:
        """Return the error that the guest is at `state`; the screen is in a note."""
        name = self.session.transcript.name
        error = SacUnavailable(f"{name}: no SAC prompt: {state}: {why}", state=state)
        error.add_note("\n".join(line for line in self.screen.lines() if line))
        return error

    def find_elsewhere(self, data: bytes) -> SacUnavailable | None:
        """Return the error that `data`, raw, is what no SAC guest sends; None if it may be one."""
        for pattern, state, why in _ELSEWHERE:
            if re.search(pattern, data):
                return self.unavailable(state, why)
        return None


class _Stillness:
    """For how long the guest has written nothing."""

    def __init__(self, session: Session) -> None:
        self._transcript = session.transcript

    def lasts(self, seconds: float) -> bool:
        """Tell whether the last byte is `seconds` old."""
        chunks = self._transcript.chunks
        return bool(chunks) and self._transcript.now() - chunks[-1].at >= seconds
