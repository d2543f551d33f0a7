"""Whole runs that are interrupted, killed or doubled: what they say, what they leave, on real guests.

The QEMU of these runs is a script that tells its pid through a pipe before it becomes QEMU; nobody sleeps.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from emulator.machine.architectures import X86_64
from emulator.machine.ledger import Ledger, collect_garbage

pytestmark = pytest.mark.qemu

CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 60
CELL = "bookworm.pc.seabios.1.boot-login"
WRAPPER = """\
#!/bin/sh
case "$*" in
*--version* | *isa-debug-exit*) ;;
*) echo $$ >"$TMPDIR/started" ;;
esac
exec {qemu} "$@"
"""
REFUSING = """\
#!/bin/sh
case "$*" in
*--version*) exec {qemu} "$@" ;;
esac
exit 1
"""
HELD_UP = """\
import os, pathlib, threading, pytest

@pytest.hookimpl(tryfirst=True)
def {hook}:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pathlib.Path(os.environ["TMPDIR"], "started").write_text("1")
        threading.Event().wait()
"""


class Runs:
    """Starts `ttylab` commands in one directory, with state, sockets and QEMU of their own."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.root = root
        self.temp = root / "t"
        self.temp.mkdir()
        own = ("XDG_RUNTIME_DIR", "PYTEST_")  # of the user, and of the pytest that runs this test
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        self.environment |= {"TTYLAB_STATE": str(root / "state"), "TMPDIR": str(self.temp)}
        os.mkfifo(self.temp / "started")
        self._started = os.open(self.temp / "started", os.O_RDWR)
        stack.callback(os.close, self._started)
        self._stack = stack

    def use_qemu(self, script: str) -> None:
        path = self.root / "qemu"
        path.write_text(script.format(qemu=shutil.which(X86_64.program)), encoding="utf-8")
        path.chmod(0o755)
        self.environment["TTYLAB_QEMU"] = str(path)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command as a shell does: in a process group of its own, which Ctrl-C is sent to."""
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "harness", *arguments],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._stack.enter_context(child)
        self._stack.callback(child.kill)
        return child

    def run_cell(self) -> subprocess.Popen[str]:
        self.use_qemu(WRAPPER)
        return self.start("run", str(CHECKOUT / "ci/push.toml"), "-k", CELL, "-n", "1", "--no-allure")

    def told(self) -> int:
        """Wait until a process tells that it has begun: QEMU its pid, a hook of pytest 1."""
        poller = select.poll()
        poller.register(self._started, select.POLLIN)
        assert poller.poll(PATIENCE_S * 1000), "nothing has begun"
        return int(os.read(self._started, 100))

    def result(self) -> dict:
        (file,) = (self.root / "results").glob("*/run.json")
        return json.loads(file.read_text(encoding="utf-8"))

    def left(self) -> list[str]:
        """Return what is left besides results: ledger entries and temporary files."""
        entries = [str(entry) for entry in Ledger(self.root / "state").read()]
        return entries + [path.name for path in self.temp.iterdir() if path.name != "started"]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    with ExitStack() as stack:
        yield Runs(tmp_path, stack)


def wait_for_end(pid: int) -> None:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poller = select.poll()
    poller.register(handle, select.POLLIN)
    try:
        assert poller.poll(PATIENCE_S * 1000), f"{pid} lives on"
    finally:
        os.close(handle)


def test_interrupt_during_a_cell_ends_in_one_summary_and_leaves_nothing(runs):
    run = runs.run_cell()
    qemu = runs.told()
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 130
    assert "Traceback" not in err
    assert f"NOT RUN {CELL}: the run was interrupted" in err
    assert err.count("(interrupted)") == 1
    assert not Path(f"/proc/{qemu}").exists()
    assert runs.left() == []
    assert runs.result()["interrupted"] is True


def test_second_interrupt_ends_at_once_and_leaves_nothing(runs):
    run = runs.run_cell()
    qemu = runs.told()
    os.killpg(run.pid, signal.SIGINT)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 130
    assert "Traceback" not in err
    wait_for_end(qemu)
    collect_garbage()
    assert runs.left() == []


def test_pipe_in_place_of_a_matrix_is_refused_and_not_waited_for(runs):
    matrix = runs.root / "mine.toml"
    os.mkfifo(matrix)
    run = runs.start("run", str(matrix), "--no-allure")
    out, err = run.communicate(timeout=PATIENCE_S)
    assert (run.returncode, out) == (2, "")
    assert err.startswith(f"ttylab: error: {matrix}")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "hook", ["pytest_configure(config)", "pytest_collection(session)", "pytest_sessionfinish(session)"]
)
def test_interrupt_around_the_cells_ends_in_one_line(runs, hook):
    runs.use_qemu(REFUSING)
    (runs.root / "conftest.py").write_text(HELD_UP.format(hook=hook), encoding="utf-8")
    shutil.copy(CHECKOUT / "ci/push.toml", runs.root)
    run = runs.start("run", "push.toml", "-k", CELL, "-n", "1", "--no-allure")
    runs.told()
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("ttylab: interrupted")
    assert runs.left() == []


def test_kill_of_the_worker_breaks_its_cell_and_leaves_nothing_that_gc_does_not_remove(runs):
    run = runs.run_cell()
    qemu = runs.told()
    (entry,) = Ledger(runs.root / "state").read()
    os.kill(entry.owner_pid, signal.SIGKILL)
    wait_for_end(qemu)  # without anybody's help: its parent-death signal
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 3
    assert f"BROKEN  {CELL}: the worker that ran this cell died" in err
    (cell,) = runs.result()["cells"]
    assert (cell["status"], cell["cell"]["id"]) == ("broken", CELL)
    # The kill may have come in the middle of writing the ledger, which leaves a half-written file too.
    assert entry.id in {one.id for one in collect_garbage()}
    assert runs.left() == []


def test_kill_of_the_controller_ends_every_guest_and_gc_removes_the_rest(runs):
    run = runs.run_cell()
    qemu = runs.told()
    (entry,) = Ledger(runs.root / "state").read()
    run.kill()
    wait_for_end(entry.owner_pid)
    wait_for_end(qemu)
    collect_garbage()
    assert runs.left() == []


def test_two_runs_at_once_keep_their_results_apart(runs):
    runs.use_qemu(REFUSING)
    arguments = ("run", str(CHECKOUT / "ci/push.toml"), "-k", CELL, "-n", "1", "--no-allure")
    both = [runs.start(*arguments), runs.start(*arguments)]
    assert [run.communicate(timeout=PATIENCE_S)[1].count(f"BROKEN  {CELL}") for run in both] == [1, 1]
    assert [run.returncode for run in both] == [3, 3]
    files = list((runs.root / "results").glob("*/run.json"))
    assert [json.loads(file.read_text(encoding="utf-8"))["summary"]["broken"] for file in files] == [1, 1]
    assert runs.left() == []
