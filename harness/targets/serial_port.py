"""A real serial port as a target: a console, and BREAK where the line carries it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.clock import Deadline
from emulator.console.serial_port import SerialConsole
from emulator.errors import StateError
from emulator.machine.control import Capability, answer_request
from harness.play.target import Target


class SerialControl:
    """What a serial line can do to the machine behind it: at most a BREAK.

    Implements `emulator.machine.control.Control`. Power and NMI of a board are wired elsewhere (a
    PDU, a BMC); what is not wired is absent from `capabilities`, so that scenarios are skipped with
    that reason.
    """

    def __init__(self, console: SerialConsole | None = None) -> None:
        self._open: SerialConsole | None = console

    def connect(self, console: SerialConsole) -> None:
        """Give it the console, which could not be open before its control was there to be served."""
        self._open = console

    @property
    def _console(self) -> SerialConsole:
        if self._open is None:
            raise StateError("the serial port is not open yet")
        return self._open

    @property
    def capabilities(self) -> frozenset[Capability]:
        """SERIAL_BREAK where the line carries one, else nothing."""
        return frozenset({Capability.SERIAL_BREAK} if self._console.line_capable_of_break else set())

    def send_break(self, deadline: Deadline) -> None:
        """Hold the line in BREAK once."""
        self._console.send_break(deadline)

    def sysrq(self, key: str, deadline: Deadline) -> None:
        """Make a system request: rest, BREAK, key."""
        self._console.sysrq(key, deadline)

    def nmi(self, deadline: Deadline) -> None:
        """Refuse."""
        raise self._unable("nmi", deadline)

    def press_keys(self, keys: tuple[str, ...], deadline: Deadline) -> None:
        """Refuse."""
        raise self._unable(f"press {' '.join(keys)}", deadline)

    def reset(self, deadline: Deadline) -> None:
        """Refuse."""
        raise self._unable("reset", deadline)

    def power_button(self, deadline: Deadline) -> None:
        """Refuse."""
        raise self._unable("power_button", deadline)

    def power_off(self, deadline: Deadline) -> None:
        """Refuse."""
        raise self._unable("power_off", deadline)

    def power_on(self, deadline: Deadline) -> None:
        """Refuse."""
        raise self._unable("power_on", deadline)

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request of the control socket."""
        return answer_request(self, self._console.transcript, request)

    def _unable(self, what: str, deadline: Deadline) -> StateError:
        del deadline  # nothing is waited for
        return StateError(f"{what}: {self._console.transcript.name} is a serial line and can't do that")


def serial_target(console: SerialConsole) -> Target:
    """Return an open port as a target."""
    why = console.break_obstacle
    return Target(
        name=console.transcript.name,
        channel=console,
        control=SerialControl(console),
        obstacles={} if why is None else {Capability.SERIAL_BREAK: why},
    )
