"""The commands of a board: how they end, what is told and kept of them, and that nothing of them is left."""

import os
import signal
from pathlib import Path

import pytest

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.errors import ControlError
from emulator.lab_file.boards import LabBoard
from emulator.lab_file.tables import BoardTable
from harness.targets.board_commands import LOG_FILE, BoardCommands


@pytest.fixture
def commands(tmp_path):
    def make(*words, **changes):
        table = BoardTable(console="/dev/null", reset=words or None, **changes)
        board = LabBoard(name="bench1", table=table, directory=tmp_path)
        return BoardCommands(board=board, directory=tmp_path)

    return make


def soon() -> Deadline:
    return Deadline.after(60.0)


def await_end(pid: int) -> None:
    """Wait until a process is gone or a zombie, which whoever reaps orphans has yet to see."""
    deadline = soon()
    while not deadline.expired():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        SYSTEM_CLOCK.sleep(0.02)
    raise AssertionError(f"process {pid} is left")


def test_command_runs_beside_lab_toml_without_a_shell_and_is_kept(commands, tmp_path):
    commands("touch", "$HOME; here").run("reset", soon())
    assert (tmp_path / "$HOME; here").exists()
    kept = (tmp_path / LOG_FILE).read_text()
    assert kept.startswith("$ reset: touch '$HOME; here': ended with exit code 0")
    assert (tmp_path / LOG_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("sh", "-c", "echo no such outlet >&2; echo more >&2; exit 7"),
            "ended with exit code 7: no such outlet",
        ),
        (("false",), "board bench1: reset (false) ended with exit code 1"),
        (("sh", "-c", "kill -9 $$"), "ended with signal 9"),
        (("python3", "-c", "raise OSError('PDU')"), "ended with exit code 1: OSError: PDU"),
        (
            ("no-such-pductl", "on"),
            "reset (no-such-pductl on) no-such-pductl is not there, or can't be executed",
        ),
        ((str(Path(__file__)),), "is not there, or can't be executed"),
        (("sh", "-c", "printf '\\033[31mred' >&2; exit 1"), "ended with exit code 1: \\x1b[31mred"),
    ],
)
def test_failure_names_board_key_command_and_what_happened(commands, words, says):
    with pytest.raises(ControlError) as caught:
        commands(*words).run("reset", soon())
    assert says in str(caught.value)
    assert "board bench1: reset (" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_key_without_a_command_is_told(commands):
    with pytest.raises(ControlError, match="board bench1 has no reset"):
        commands().run("reset", soon())


def test_command_that_hangs_is_ended_with_all_that_it_started(commands, tmp_path):
    script = "trap '' TERM; sleep 1000 & echo $! > child; echo $$ > parent; echo asked; wait; sleep 1000"
    with pytest.raises(ControlError, match=r"reset \(sh -c .*\) did not end within 0\.5 s"):
        commands("sh", "-c", script, command_s=0.5).run("reset", soon())
    for name in ("child", "parent"):
        await_end(int((tmp_path / name).read_text()))
    assert "did not end within 0.5 s" in (tmp_path / LOG_FILE).read_text()
    assert "asked" in (tmp_path / LOG_FILE).read_text()


def test_step_that_is_over_ends_the_command_too(commands):
    with pytest.raises(ControlError, match=r"did not end within 0\.2 s"):
        commands("sleep", "1000").run("reset", Deadline.after(0.2))


def test_what_a_failed_command_left_in_the_background_is_ended(commands, tmp_path):
    with pytest.raises(ControlError, match="exit code 3"):
        commands("sh", "-c", "sleep 1000 & echo $! > child; exit 3").run("reset", soon())
    await_end(int((tmp_path / "child").read_text()))


def test_what_a_command_that_succeeds_leaves_running_stays_and_is_not_waited_for(commands, tmp_path):
    commands("sh", "-c", "sleep 1000 & echo $! > child").run("reset", soon())
    pid = int((tmp_path / "child").read_text())
    os.kill(pid, signal.SIGKILL)  # it was there
    await_end(pid)
