"""A real serial port as a target: a console, and BREAK where the line carries it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from emulator import places
from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.console.marks import FAR_END_GONE
from emulator.console.port_address import with_lines
from emulator.console.serial_port import SerialConsole, open_serial_console, port_identity
from emulator.console.transcript import DirectorySink
from emulator.errors import ConsoleClosed, LabError, SpecError, StateError
from emulator.files import make_private_directory
from emulator.machine.control import Capability, answer_request
from emulator.machine.spec import MachineSpec
from emulator.sac.knobs import SacKnobs
from harness.play.target import Target
from harness.scenario.scenario import Scenario
from harness.snapshots.stage import TESTS_BOOT
from harness.snapshots.start import WantedGuest
from harness.targets.target_kind import TargetKind, TargetPlace, lacking

BAUD = 115200
KNOCK_S = 10.0
TURN_S = 600.0


class SerialControl:
    """What a serial line can do to the machine behind it: at most a BREAK.

    Implements `emulator.machine.control.Control`. Power and NMI of a board are wired elsewhere (a
    PDU, a BMC); what is not wired is absent from `capabilities`, so that scenarios that need it are skipped.
    """

    def __init__(self) -> None:
        self._open: SerialConsole | None = None

    def connect(self, console: SerialConsole) -> None:
        """Give it the console, which needs its control before it can be opened."""
        self._open = console

    @property
    def _console(self) -> SerialConsole:
        if self._open is None:
            raise StateError("the serial port is not open yet")
        return self._open

    @property
    def capabilities(self) -> frozenset[Capability]:
        """SERIAL_BREAK if the line carries a BREAK, else nothing."""
        return frozenset({Capability.SERIAL_BREAK} if self._console.break_obstacle is None else set())

    def send_break(self, deadline: Deadline) -> None:
        """Hold the line in BREAK once."""
        self._console.send_break(deadline)

    def sysrq(self, key: str, deadline: Deadline) -> None:
        """Make a system request: pause, BREAK, key."""
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

    def target(self) -> Target:
        """Return what is at the other end as a target, with what it can't do as it stands now."""
        console, why = self._console, self._console.break_obstacle
        return Target(
            name=console.transcript.name,
            channel=console,
            control=self,
            obstacles={} if why is None else {Capability.SERIAL_BREAK: why},
            ended=lambda: console.far_end_gone,
        )

    def _unable(self, what: str, deadline: Deadline) -> StateError:
        del deadline  # nothing is waited for
        return StateError(f"{what}: {self._console.transcript.name} is a serial line and can't do that")


def chosen_parts(scenario: Scenario) -> str | None:
    """Return what a scenario asks for that no guest can be given that runs on its own; None if nothing."""
    if scenario.devices or scenario.knobs != SacKnobs():
        return "the guest's devices and knobs can't be chosen"
    return "nobody here can read the guest's disk" if scenario.keeps_disk else None


class SerialTargets:
    """Guests that run on their own at the other end of a serial line, out of reach of power control."""

    name = "serial"
    is_emulated = False

    def misfit(self, scenario: Scenario, features: frozenset[str], spec: MachineSpec) -> str | None:
        """Return what a line can't do, or what would have to be set before the guest boots."""
        del features, spec
        if TESTS_BOOT in scenario.tags:
            return "over a serial line: nobody here can switch the guest on"
        if (reason := chosen_parts(scenario)) is not None:
            return f"over a serial line: {reason}"
        return lacking(scenario, frozenset({Capability.SERIAL_BREAK}), "a serial line")

    @contextmanager
    def open(self, wanted: WantedGuest, place: TargetPlace) -> Iterator[Target]:
        """Open the port that the address names, and make the guest show its prompt again."""
        if not isinstance(place.address, str) or not place.address:
            raise SpecError('target is "serial"; it needs a port: any URL that pyserial knows')
        sink = DirectorySink(place.directory, console=place.address)
        with (
            closing(sink),
            port_turn(place.address, place.on_turn),
            open_port(place.address, sink=sink, clock=place.lab.clock) as target,
        ):
            if wanted.knock:
                target.channel.write(wanted.knock, Deadline.after(KNOCK_S, place.lab.clock))
            yield replace(target, name=place.label, start="joined")


@contextmanager
def port_turn(url: str, on_turn: Callable[[], None]) -> Iterator[None]:
    """Keep other cells off a port, which has one dialogue at a time; LabError if one has it for too long.

    `on_turn` is called when the wait is over, for whatever reason.
    """
    name = hashlib.sha256(port_identity(url).encode()).hexdigest()[:16]
    lock = FileLock(make_private_directory(places.ports()) / f"{name}.lock", timeout=TURN_S)
    try:
        lock.acquire()
    except Timeout:
        raise LabError(f"{url}: another cell has been on this port for {TURN_S:g} s") from None
    finally:
        on_turn()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def open_port(
    url: str,
    *,
    baudrate: int = BAUD,
    dtr: bool | None = None,
    rts: bool | None = None,
    sink: DirectorySink | None = None,
    clock: Clock = SYSTEM_CLOCK,
    links_dir: Path | None = None,
) -> Iterator[Target]:
    """Open a serial port as a target; raises SpecError if there is none, LabError if the pump failed.

    Args:
        url: any that pyserial knows: a device, `socket://`, `rfc2217://`.
        baudrate: of the line.
        dtr: whether DTR is asserted on open; None: as the URL says, else it is.
        rts: the same for RTS.
        sink: where its transcript is kept.
        clock: of stamps.
        links_dir: directory for the sockets by which `ttylab attach` and a terminal join it; None: none.
    """
    control = SerialControl()
    opened = open_serial_console(
        with_lines(url, dtr=dtr, rts=rts),
        baudrate=baudrate,
        sink=sink,
        clock=clock,
        links_dir=links_dir,
        on_control=control.answer,
    )
    with opened as console:
        control.connect(console)
        yield control.target()


def loss_of(target: Target) -> ConsoleClosed | None:
    """Return the error that says how a port's far end was lost; None while it is there."""
    marks = [mark for mark in target.channel.transcript.marks if mark.name == FAR_END_GONE]
    return ConsoleClosed(f"{target.name}: {marks[0].detail['reason']}") if marks else None


KIND: TargetKind = SerialTargets()
