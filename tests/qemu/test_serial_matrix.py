"""A matrix on guests that run by themselves behind a serial port: an RFC 2217 server, and a plain socket."""

import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

from emulator.clock import Deadline
from emulator.errors import SpecError
from emulator.machine.machine import open_machine
from emulator.machine.spec import Board, Firmware, MachineType
from harness.cells.cell import parse_cell_id
from harness.cells.matrix import read_matrix
from harness.guests.linux import LinuxGuest
from harness.play.session import Session
from harness.report.model import load_run
from harness.run.cell_run import CellRun
from harness.scenario.stages import Stage
from harness.scenarios import find_scenario
from harness.targets import find_target
from tests.support.rfc2217_server import open_rfc2217_server
from tests.support.socket_server import open_socket_server

pytestmark = [pytest.mark.qemu, pytest.mark.xdist_group("serial-matrix")]

MATRIX = """
[matrix]
name = "board"
description = "a guest that nobody here gave power"
target = "serial"
port = "{port}"

[[block]]
images = ["bookworm"]
machines = ["pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = {scenarios}
"""
SCENARIOS = ["sysrq-sync", "console-spliced-line", "nmi-panic", "boot-login"]


def soon() -> Deadline:
    return Deadline.after(120.0)


@contextmanager
def rfc2217(machine):
    """Serve a console as network serial ports do, with BREAK."""
    with open_rfc2217_server(machine.console, on_break=lambda: machine.send_break(soon())) as (host, port):
        yield f"rfc2217://{host}:{port}"


@contextmanager
def plain_socket(machine):
    """Serve a console as a terminal server's raw port does, without BREAK."""
    with open_socket_server(machine.console) as (host, port):
        yield f"socket://{host}:{port}"


@pytest.fixture
def guest(lab, tmp_path):
    """A guest that came to its login prompt before anybody joined."""
    board = Board(machine=MachineType.PC, firmware=Firmware.SEABIOS, words=("sysctl.kernel.sysrq=1",))
    with ExitStack() as stack:
        opened = open_machine(lab.guest_image("bookworm").spec(board), run_dir=tmp_path / "guest")
        machine = stack.enter_context(opened)
        LinuxGuest(Session(machine.console)).reach(Stage.LOGIN, soon())
        yield machine


def play(tmp_path, url):
    """Play the matrix, as `ttylab run` does, and return its cells' statuses and messages by scenario."""
    matrix = tmp_path / "board.toml"
    matrix.write_text(MATRIX.format(port=url, scenarios=SCENARIOS))
    command = [sys.executable, "-P", "-m", "harness.cli", "run", str(matrix), "-n", "2", "--no-allure"]
    ended = subprocess.run(
        [*command, f"--run-dir={tmp_path / 'run'}"],
        cwd=tmp_path,
        timeout=300,
        capture_output=True,
        check=False,
    )
    run = load_run(tmp_path / "run" / "run.json")
    return ended, {one.cell.scenario: (one.status, one.message, one.target, one.start) for one in run.cells}


def test_matrix_is_played_on_a_port_that_carries_break(guest, tmp_path):
    with rfc2217(guest) as url:
        ended, cells = play(tmp_path, url)
    assert ended.returncode == 0, ended.stderr
    assert cells == {
        "console-spliced-line": ("passed", "", "serial", "joined"),
        "sysrq-sync": ("passed", "", "serial", "joined"),
    }


def test_cell_that_needs_break_is_skipped_on_a_plain_socket_with_the_reason(guest, tmp_path):
    with plain_socket(guest) as url:
        ended, cells = play(tmp_path, url)
    assert ended.returncode == 0, ended.stderr
    assert cells["console-spliced-line"][0] == "passed"
    status, message, *_ = cells["sysrq-sync"]
    assert (status, "serial_break" in message) == ("skipped", True), message


def test_port_that_can_not_be_opened_breaks_the_cells_and_says_why(tmp_path):
    ended, cells = play(tmp_path, "socket://127.0.0.1:1")
    assert ended.returncode == 3
    for status, message, target, _ in cells.values():
        assert (status, target) == ("broken", "serial")
        assert "socket://127.0.0.1:1" in message
        assert "refused" in message
    assert b"--port socket://127.0.0.1:1" in ended.stdout + ended.stderr


def test_line_that_dies_breaks_the_cell_at_once(guest, tmp_path, lab):
    cell = parse_cell_id("bookworm.pc.seabios.1.console-spliced-line")
    with ExitStack() as stack:
        url = stack.enter_context(plain_socket(guest))
        run = CellRun(
            cell=cell,
            scenario=find_scenario(cell.scenario),
            lab=lab.at(tmp_path / "run"),
            target=find_target("serial"),
            address=url,
            on_step=lambda number, _: stack.close() if number == 1 else None,
        )
        result = run.run()
    assert (result.status, result.reason) == ("broken", "lab"), result.message
    assert result.duration_s < 15.0  # the step would wait for 20 s


def test_what_a_line_can_not_do_is_excluded_with_the_reason(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text(MATRIX.format(port="/dev/ttyS9", scenarios=SCENARIOS))
    reasons = {one.cell.scenario: one.reason for one in read_matrix(path).excluded}
    assert reasons == {
        "boot-login": "over a serial line: nobody here can switch the guest on",
        "nmi-panic": "a serial line can't do: nmi",
    }


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ('target = "serial"', "port is '' and target 'serial'; allowed: a port with target \"serial\""),
        ('port = "/dev/ttyS9"', "port is '/dev/ttyS9' and target 'machine'"),
        ('target = "moon"', "unknown target 'moon'; allowed: machine, serial, service"),
    ],
)
def test_port_and_target_must_fit(tmp_path, head, said):
    path = tmp_path / "board.toml"
    plain = MATRIX.format(port="x", scenarios=SCENARIOS).replace('target = "serial"\nport = "x"', head)
    path.write_text(plain)
    with pytest.raises(SpecError, match=re.escape(said)):
        read_matrix(path)
