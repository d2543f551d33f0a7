"""A board as a target: real hardware behind a serial port, with commands for power, reset and NMI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.console.port_address import with_lines
from emulator.console.returning_wire import is_absent
from emulator.console.serial_port import open_serial_console
from emulator.console.transcript import DirectorySink
from emulator.errors import ConsoleClosed, ControlError, LabError, SpecError
from emulator.guest_images.own_profile import profile_of
from emulator.lab_file.boards import LabBoard
from emulator.machine.control import Capability
from emulator.machine.spec import MachineSpec
from harness.guests.prompts import find_prompt
from harness.guests.typist import Typist
from harness.play.session import Session
from harness.play.target import Target
from harness.scenario.errors import ExpectTimeout, GuestError, Unsupported
from harness.scenario.scenario import Scenario
from harness.scenario.steps import BOOT_S, Expect, Inject, Signals
from harness.scenario.stimulus import Button, Press
from harness.snapshots.stage import snapshot_stage
from harness.targets.board_commands import BoardCommands, Key
from harness.targets.serial_port import KNOCK_S, SerialControl, chosen_parts, port_turn
from harness.targets.target_kind import TargetPlace, lacking

if TYPE_CHECKING:
    from harness.snapshots.start import WantedGuest

REST_S = 5.0
"""Seconds of silence after which a board shows no prompt of its own accord."""
_NO_SWITCH = "nobody here can switch it on: it has no power_off and power_on, and no reset"
_LOUDER = b"\x11\x03"
"""Before the second knock: XON, for a console that was stopped, and Ctrl-C, for a program that still runs."""
_NEEDS: Mapping[Capability, tuple[Key, ...]] = {
    Capability.NMI: ("nmi",),
    Capability.UNKNOWN_NMI: ("nmi",),
    Capability.RESET: ("reset",),
    Capability.POWER_CYCLE: ("power_off", "power_on"),
}
_TOLD = {Button.POWER_OFF: "off", Button.POWER_ON: "started"}
"""What is known of a board without its console, since a command did it; RESET is seen on the console too."""


def board_capabilities(board: LabBoard) -> frozenset[Capability]:
    """Return what a board's commands can do."""
    given = board.table
    return frozenset(one for one, keys in _NEEDS.items() if all(getattr(given, key) for key in keys))


class BoardControl(SerialControl):
    """What a board's commands and its serial line can do; implements `emulator.machine.control.Control`.

    A boot that a command begins is marked before the command, so that no byte of it precedes its mark.
    """

    def __init__(self, commands: BoardCommands) -> None:
        super().__init__()
        self._commands = commands

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What has commands, and SERIAL_BREAK if the line carries a BREAK."""
        return super().capabilities | board_capabilities(self._commands.board)

    def nmi(self, deadline: Deadline) -> None:
        """Run the command `nmi`; as all commands here it raises as `BoardCommands.run`."""
        self._commands.run("nmi", deadline)

    def reset(self, deadline: Deadline) -> None:
        """Run the command `reset`; a console that vanishes meanwhile is opened again."""
        self._boot("reset", deadline)

    def power_off(self, deadline: Deadline) -> None:
        """Run the command `power_off`, and rest for `off_s`; its console may be gone until it is on."""
        self._console.let_go()
        self._commands.run("power_off", deadline)
        self._console.drain(deadline)
        self._mark("off", "power_off")
        self._commands.clock.sleep(self._commands.board.table.off_s)

    def power_on(self, deadline: Deadline) -> None:
        """Run the command `power_on`; a console that the power feeds is opened again."""
        self._boot("power_on", deadline)

    def _boot(self, key: Key, deadline: Deadline) -> None:
        self._console.let_go()
        if key == "reset":
            self._mark("RESET", key)
        self._mark("started", key)
        self._commands.run(key, deadline)
        try:
            self._console.rejoin(deadline)
        except SpecError as error:
            who = f"board {self._commands.board.name}"
            raise ConsoleClosed(f"{who}: after {key} the console is gone: {error}") from error

    def _mark(self, name: str, key: Key) -> None:
        self._console.transcript.mark(MarkKind.MACHINE, name, {"by": key})

    def target(self) -> Target:
        """Return the board as a target; what it has no commands for is an obstacle."""
        target, board = super().target(), self._commands.board
        without = {
            one: f"boards.{board.name} has no {' and no '.join(missing)}"
            for one, keys in _NEEDS.items()
            if (missing := [key for key in keys if getattr(board.table, key) is None])
        }
        return replace(target, name=board.name, obstacles={**without, **target.obstacles})


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardTargets:
    """One board of a lab.toml, as a kind of target.

    Attributes:
        board: the board.
        is_emulated: false.
    """

    board: LabBoard
    is_emulated: bool = False

    @property
    def name(self) -> str:
        """The board's name."""
        return self.board.name

    def misfit(self, scenario: Scenario, features: frozenset[str], spec: MachineSpec) -> str | None:
        """Return what the board lacks, or what would have to be set before its guest boots."""
        del features, spec
        if snapshot_stage(scenario) is None and not self.board.table.can_restart:
            return f"{self.name}: {_NO_SWITCH}"
        if (reason := chosen_parts(scenario)) is not None:
            return f"on a board: {reason}"
        if unseen := sorted(_signals(scenario)):
            return f"on a board: nobody reports {', '.join(unseen)}"
        able = board_capabilities(self.board) | {Capability.SERIAL_BREAK}
        return lacking(scenario, able, self.name)

    @contextmanager
    def open(self, wanted: WantedGuest, place: TargetPlace) -> Iterator[Target]:
        """Join a board that shows a prompt when asked; else, and for a boot, restart it by its commands."""
        board = self.board
        commands = BoardCommands(board=board, directory=place.directory, clock=place.lab.clock)
        with port_turn(board.table.console, place.on_turn), ExitStack() as stack:
            target = None if wanted.stage is None else self._join(stack, wanted.knock, place, commands)
            if target is None:
                if not board.table.can_restart:
                    raise Unsupported(f"{self.name}: {_NO_SWITCH}")
                target = stack.enter_context(_open(commands, boots=True, sink=_sink(stack, place)))
            yield replace(target, name=place.label)

    def _join(
        self, stack: ExitStack, knock: bytes, place: TargetPlace, commands: BoardCommands
    ) -> Target | None:
        """Open the console and knock; None if nobody answers and the board can be restarted."""
        able = self.board.table.can_restart
        with ExitStack() as trial:
            try:
                target = trial.enter_context(_open(commands, boots=False, sink=_sink(trial, place)))
            except SpecError as error:
                if able and is_absent(error):
                    return None
                raise
            if able and not self._answers(target, knock, place):
                return None
            if not able:
                target.channel.write(knock, Deadline.after(KNOCK_S, place.lab.clock))
            stack.push(trial.pop_all())
            return target

    def _answers(self, target: Target, knock: bytes, place: TargetPlace) -> bool:
        """Tell whether the guest comes to a prompt: at once, or at the end of a boot that is under way."""
        clock, scale = place.lab.clock, place.lab.time_scale
        profile = profile_of(self.board.table, where=f"board {self.name}")
        limit = Deadline.after((self.board.table.boot_timeout_s or BOOT_S) * scale, clock)
        session = Session(target.channel)
        for data in (knock, _LOUDER + knock):
            target.channel.write(data, Deadline.after(KNOCK_S, clock))
            writes = True
            while writes and not limit.expired():
                try:
                    Typist(session).await_sign(
                        lambda text: find_prompt(text, profile, logging_in=False),
                        limit.sooner(REST_S * scale),
                        awaited="a prompt",
                    )
                except ExpectTimeout as error:
                    writes = error.answers
                except (GuestError, LabError):
                    return False
                else:
                    return True
        return False


def _signals(scenario: Scenario) -> frozenset[str]:
    """Return the reports that a scenario awaits and that no board makes."""
    found = set()
    for step in scenario.steps:
        if isinstance(step, Inject | Expect):
            known = {"RESET"}
            if isinstance(step, Inject) and isinstance(step.stimulus, Press):
                known.add(_TOLD.get(step.stimulus.button, "RESET"))
            found |= {one.name for one in step.effects if isinstance(one, Signals)} - known
    return frozenset(found)


def _sink(stack: ExitStack, place: TargetPlace) -> DirectorySink:
    sink = DirectorySink(place.directory, console=place.label)
    stack.enter_context(closing(sink))
    return sink


@contextmanager
def _open(
    commands: BoardCommands, *, boots: bool, sink: DirectorySink | None = None, links_dir: Path | None = None
) -> Iterator[Target]:
    """Open a board's console as it is; one that `boots` is switched off before, and on behind that, or reset.

    So its transcript begins with the boot. Errors are those of `open_board`.
    """
    board, control = commands.board, BoardControl(commands)
    table, clock = board.table, commands.clock
    deadline = Deadline.after(2 * table.command_s + BOOT_S if boots else 0, clock)
    failure = _switch_off(commands, deadline) if boots and table.can_cycle else None
    opened = open_serial_console(
        with_lines(table.console, dtr=table.dtr, rts=table.rts),
        baudrate=table.baud,
        name=board.name,
        sink=sink,
        clock=clock,
        links_dir=links_dir,
        on_control=control.answer,
        returns=True,
    )
    with opened as console:
        control.connect(console)
        if failure is not None and not console.is_away:  # one whose console is away is off already
            raise failure
        if not boots:
            console.rejoin(deadline)
            yield replace(control.target(), start="joined")
            return
        (control.power_on if table.can_cycle else control.reset)(deadline)
        yield replace(control.target(), start="power-cycled" if table.can_cycle else "reset")


def _switch_off(commands: BoardCommands, deadline: Deadline) -> ControlError | None:
    """Switch a board off; return how that failed."""
    try:
        commands.run("power_off", deadline)
    except ControlError as error:
        return error
    commands.clock.sleep(commands.board.table.off_s)
    return None


@contextmanager
def open_board(name: str, *, boots: bool = False, links_dir: Path | None = None) -> Iterator[Target]:
    """Open a board of the lab as a target, whose control runs its commands; if it `boots`, it is restarted.

    In `links_dir` are sockets by which a terminal joins it. Raises SpecError if there is no such board, its
    console can't be opened, or nobody here can restart it; ControlError, LabError.
    """
    from harness.targets import find_board  # noqa: PLC0415  # it imports this module

    board = find_board(name)
    if boots and not board.table.can_restart:
        raise SpecError(f"{name}: {_NO_SWITCH}")
    with _open(BoardCommands(board=board), boots=boots, links_dir=links_dir) as target:
        yield target
