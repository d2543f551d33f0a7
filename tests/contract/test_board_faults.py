"""Boards whose command fails, hangs or is missing: the cell is broken in one clear line."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from emulator.console.pump import open_console
from harness.report.model import load_run
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_USAGE
from tests.support.own_lab import environment
from tests.support.socket_server import open_socket_server

MATRIX = """
[matrix]
name = "bench"
description = "boards with faults"

[[block]]
targets = {boards}
scenarios = ["boot-login"]
"""
BOARD = """
[boards.{name}]
console = "{console}"
off_s = 0
command_s = 1
power_off = ["true"]
power_on = {power_on}
{more}
"""
FAULTS = {
    "fails": '["sh", "-c", "echo outlet 3 is locked >&2; exit 4"]',
    "hangs": '["sh", "-c", "echo $$ > hanging; sleep 1000"]',
    "absent": '["./no-such-program"]',
}


def run(place, boards, more=""):
    with ExitStack() as stack:
        tables = []
        for name in boards:
            console = stack.enter_context(open_console())
            host, port = stack.enter_context(open_socket_server(console))
            url = f"socket://{host}:{port}"
            tables.append(BOARD.format(name=name, console=url, power_on=FAULTS[name], more=more))
        (place / "lab.toml").write_text("".join(tables))
        (place / "m.toml").write_text(MATRIX.format(boards=list(boards)))
        command = [sys.executable, "-P", "-m", "harness.cli", "run", "m.toml", "--no-allure"]
        return subprocess.run(
            [*command, f"--run-dir={place / 'run'}"],
            cwd=place,
            env=environment(),
            timeout=300,
            capture_output=True,
            check=False,
            text=True,
        )


def test_cells_of_faulty_boards_are_broken_and_say_why(tmp_path):
    ended = run(tmp_path, FAULTS)
    assert ended.returncode == EXIT_BROKEN, ended.stderr
    cells = {one.cell.image: one for one in load_run(tmp_path / "run").cells}
    says = {
        "fails": "ended with exit code 4: outlet 3 is locked",
        "hangs": "did not end within 1 s",
        "absent": f"{tmp_path / 'no-such-program'} is not there, or can't be executed",
    }
    for name, text in says.items():
        cell = cells[name]
        assert (cell.status, cell.reason, cell.target) == ("broken", "lab", name)
        assert cell.message.startswith(f"board {name}: power_on (")
        assert cell.message.endswith(text)
        assert f"{name}.board.none.1.boot-login: board {name}: power_on (" in ended.stdout + ended.stderr
    assert not Path(f"/proc/{(tmp_path / 'hanging').read_text().strip()}").exists()
    log = tmp_path / "run" / cells["fails"].directory / "commands.log"
    assert "outlet 3 is locked" in log.read_text()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('login = { password_env = "TTYLAB_TEST_UNSET" }', "TTYLAB_TEST_UNSET, which is not set"),
        ('login = { password_file = "none" }', "none: No such file or directory"),
        ("baud = 1", "boards.fails.baud"),
    ],
)
def test_wrong_board_is_refused_before_anything_runs(tmp_path, more, says):
    assert "TTYLAB_TEST_UNSET" not in os.environ
    ended = run(tmp_path, ["fails"], more)
    assert ended.returncode == EXIT_USAGE
    assert says in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()
