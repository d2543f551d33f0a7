"""A board as a target: what it can do by its commands, and what is left out with which reason."""

from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.console.pump import open_console
from emulator.errors import ControlError, SpecError
from emulator.guest_images.board import NO_MACHINE
from emulator.lab_file.boards import LabBoard
from emulator.lab_file.read import VARIABLE
from emulator.lab_file.tables import BoardTable
from emulator.machine.control import Capability
from harness.scenarios import LIBRARY
from harness.targets import find_target, target_of
from harness.targets.board import BoardTargets, board_capabilities, open_board

KEYBOARD = next(name for name, one in LIBRARY.items() if Capability.KEYBOARD in one.needs)
ALL = dict.fromkeys(("power_on", "power_off", "reset", "nmi"), ("true",))


def board(**keys) -> LabBoard:
    return LabBoard(name="bench1", table=BoardTable(console="x", **keys), directory=Path("/"))


def misfit(scenario, **keys):
    return BoardTargets(board=board(**keys)).misfit(LIBRARY[scenario], frozenset(), NO_MACHINE)


def test_each_command_is_a_capability_and_power_takes_two():
    assert board_capabilities(board()) == frozenset()
    assert board_capabilities(board(power_on=("true",))) == frozenset()
    assert board_capabilities(board(reset=("true",))) == {Capability.RESET}
    assert board_capabilities(board(**ALL)) == {
        Capability.RESET,
        Capability.POWER_CYCLE,
        Capability.NMI,
        Capability.UNKNOWN_NMI,
    }


@pytest.mark.parametrize(
    ("scenario", "keys", "reason"),
    [
        ("boot-login", (), "nobody here can switch it on: it has no power_off and power_on, and no reset"),
        ("boot-login", ("power_on",), "nobody here can switch it on"),
        ("boot-login", ("power_on", "power_off"), None),
        ("boot-login", ("reset",), None),
        ("reset-login", ("power_on", "power_off"), "bench1 can't do: reset"),
        ("reset-login", ("reset",), None),
        ("nmi-dazed", ("reset",), "bench1 can't do: nmi"),
        ("nmi-dazed", ("nmi",), None),
        ("power-cycle", ("reset",), "bench1 can't do: power_cycle"),
        ("power-cycle", ("power_on", "power_off"), None),
        ("reset-reboot", (), None),
        ("sysrq-help", (), None),
        ("power-button", tuple(ALL), "on a board: nobody reports SHUTDOWN, off"),
        ("watchdog-fed", tuple(ALL), "on a board: the guest's devices and knobs can't be chosen"),
        (KEYBOARD, tuple(ALL), "bench1 can't do: keyboard"),
    ],
)
def test_what_a_board_lacks_is_the_reason(scenario, keys, reason):
    found = misfit(scenario, **dict.fromkeys(keys, ("true",)))
    assert found == reason if reason is None else reason in found


@pytest.fixture
def lab(tmp_path, monkeypatch):
    with open_console() as console:
        (tmp_path / "lab.toml").write_text(
            f'[boards.bench1]\nconsole = "{console.path}"\noff_s = 0\n'
            'power_off = ["touch", "off"]\npower_on = ["touch", "on"]\nreset = ["false"]\n'
            '[boards.plain]\nconsole = "loop://"\n'
        )
        monkeypatch.setenv(VARIABLE, str(tmp_path / "lab.toml"))
        yield tmp_path


def test_boards_are_targets_by_name(lab):
    assert find_target("bench1").name == "bench1"
    assert target_of("bench1", "board").name == "bench1"
    assert target_of("bookworm", "pc").name == "machine"
    assert target_of("bookworm", "pc", "/dev/ttyS0").name == "serial"
    with pytest.raises(SpecError, match="unknown target 'bench2'; did you mean bench1"):
        find_target("bench2")
    with pytest.raises(SpecError, match=r"its console is in lab\.toml, so no --port is taken"):
        target_of("bench1", "board", "/dev/ttyS0")


def test_open_board_runs_its_commands_and_marks_what_they_did(lab):
    with open_board("bench1", boots=True) as target:
        assert target.start == "power-cycled"
        assert (lab / "off").exists()
        assert (lab / "on").exists()
        target.control.power_off(Deadline.after(60))
        with pytest.raises(ControlError, match=r"board bench1: reset \(false\) ended with exit code 1"):
            target.control.reset(Deadline.after(60))
        marks = [(mark.name, mark.detail) for mark in target.channel.transcript.marks]
    assert marks[:2] == [("started", {"by": "power_on"}), ("off", {"by": "power_off"})]
    assert target.obstacles[Capability.NMI] == "boards.bench1 has no nmi"


def test_board_that_nobody_can_restart_is_not_booted(lab):
    with (
        pytest.raises(SpecError, match="plain: nobody here can switch it on"),
        open_board("plain", boots=True),
    ):
        pass
