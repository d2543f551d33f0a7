"""What a pool promises, on made-up machines and on forks of a real guest."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from emulator.clock import Deadline
from emulator.errors import LabError, MachineGone, SnapshotError
from emulator.machine.ledger import Ledger
from emulator.machine.process import Exit
from emulator.machine.qemu_binary import find_qemu
from emulator.sac.image import SacBoot, sac_spec
from emulator.snapshots.manifest import SnapshotRequest
from emulator.snapshots.pool import open_fork, open_pool
from emulator.snapshots.store import SnapshotStore
from harness.play.session import Session
from tests.support.sac_guest import TCG


def soon():
    return Deadline.after(120)


@dataclass(kw_only=True)
class Rig:
    """Where machines come from, and what can be seen of them.

    `refuse` makes every opening fail from then on.
    """

    open_one: Callable
    answers: Callable
    kill: Callable
    alive: Callable
    refuse: Callable


@contextmanager
def made_up(tmp_path):
    alive, refused = [], []

    class Machine:
        exit, runs = None, False

        def resume(self, deadline):
            self.runs = True

    @contextmanager
    def open_one():
        if refused:
            raise SnapshotError("snapshot 1a2b: it is not there any more")
        machine = Machine()
        alive.append(machine)
        try:
            yield machine
        finally:
            alive.remove(machine)

    def kill(machine):
        machine.exit = Exit(code=-9, reason="killed by signal 9", expected=False)

    yield Rig(
        open_one=open_one,
        answers=lambda machine: machine.runs,
        kill=kill,
        alive=lambda: len(alive),
        refuse=lambda: refused.append(1),
    )


def forks_below(directory):
    """Yield this process's QEMUs whose RAM lies below `directory`: other tests' machines may live beside."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if f"mem-path={directory}" in " ".join(child.cmdline()):
                yield child


@contextmanager
def real(tmp_path):
    qemu = find_qemu()
    spec = sac_spec(way=SacBoot.PVH, root=tmp_path / "images")
    request = SnapshotRequest(spec=spec, stage="sac", label="sac")

    def reach(machine, deadline):
        Session(machine.console).expect(rb"SAC>\r\nEVENT[^\r]*\r\nSAC>", deadline)

    store = SnapshotStore(root=tmp_path / "states", qemu=qemu)
    state = store.ensure(request, TCG, reach, soon())

    @contextmanager
    def open_one():
        with TemporaryDirectory(dir=tmp_path) as scratch:
            opened = open_fork(state, run_dir=Path(scratch) / "fork", qemu=qemu, accelerator=TCG)
            with opened as machine:
                yield machine

    def answers(machine):
        session = Session(machine.console, start=len(machine.transcript))
        machine.console.write(b"id\r", soon())
        return session.expect(rb"Computer Name:[^\r]*\r\n", soon())

    def kill(machine):
        os.kill(machine.pid, signal.SIGKILL)
        assert machine._cycle.ended.wait(120)

    yield Rig(
        open_one=open_one,
        answers=answers,
        kill=kill,
        alive=lambda: len(list(forks_below(tmp_path))),
        refuse=(state.directory / "vm.state").unlink,
    )
    assert Ledger().read() == ()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(("tmp", "ttylab-"))] == []


@pytest.fixture(params=[made_up, real])
def rig(request, tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "ledger"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with request.param(tmp_path) as rig:
        yield rig
        assert rig.alive() == 0


def test_machines_run_and_answer_one_after_the_other(rig):
    with open_pool(rig.open_one, size=1) as pool:
        for _ in range(3):
            with pool.take(soon()) as machine:
                assert rig.answers(machine)


def test_machines_that_were_taken_at_once_are_not_the_same(rig):
    with open_pool(rig.open_one, size=2) as pool, ExitStack() as stack:
        machines = [stack.enter_context(pool.take(soon())) for _ in range(3)]
        assert len(set(map(id, machines))) == 3
        assert all(map(rig.answers, machines))


def test_leaving_the_pool_ends_a_machine_that_another_thread_has_taken(rig):
    taken, left = threading.Event(), threading.Event()

    def hold(pool):
        with pool.take(soon()):
            taken.set()
            assert left.wait(120)

    with open_pool(rig.open_one, size=1) as pool:
        holder = threading.Thread(target=hold, args=[pool])
        holder.start()
        assert taken.wait(120)
    assert rig.alive() == 0
    left.set()
    holder.join()


def test_leaving_at_once_leaves_nothing(rig):
    with open_pool(rig.open_one, size=2):
        pass
    assert rig.alive() == 0


def test_interrupt_leaves_nothing(rig):
    with pytest.raises(KeyboardInterrupt), open_pool(rig.open_one, size=2) as pool, pool.take(soon()):
        raise KeyboardInterrupt
    assert rig.alive() == 0


def test_opening_that_fails_is_raised_where_a_machine_is_taken(rig):
    rig.refuse()
    with open_pool(rig.open_one, size=2) as pool:
        for _ in range(2):
            with pytest.raises(LabError, match="snapshot "), pool.take(soon()):
                pass


def test_machine_that_ended_while_it_waited_is_not_handed_out(rig):
    waits = []

    @contextmanager
    def open_and_tell():
        with rig.open_one() as machine:
            waits.append(machine)
            if len(waits) == 1:
                rig.kill(machine)
            yield machine

    with open_pool(open_and_tell, size=1) as pool:
        with pytest.raises(MachineGone, match="ended while it waited: killed by signal 9"), pool.take(soon()):
            pass
        with pool.take(soon()) as machine:
            assert rig.answers(machine)
