"""What a machine says and leaves behind when something breaks, on a real QEMU."""

import os
import select
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.console.transcript import load_transcript
from emulator.errors import ControlError, LabError, LaunchError, MachineGone, MissingPrerequisite
from emulator.machine.ledger import Entry, Ledger, collect_garbage, list_machines
from emulator.machine.machine import open_machine
from emulator.machine.power import MachineState, PowerCycle
from emulator.machine.qemu_binary import find_qemu
from emulator.machine.run_dir import remove_temp_dir
from emulator.machine.spec import Disk, DiskBus, MachineSpec, MachineType

pytestmark = pytest.mark.qemu

SPEC = MachineSpec(name="faulty", machine=MachineType.PC, memory_mib=128, firmware_on_serial=True)


def soon():
    return Deadline.after(30)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))


@pytest.fixture
def run_dir(tmp_path):
    return tmp_path / "run"


def wait_for(machine, condition):
    deadline, version = soon(), machine.transcript.version
    while not condition():
        assert not deadline.expired(), (machine.transcript.marks, machine.stderr)
        version = machine.transcript.wait_change(version, deadline)


def marks(machine, name):
    return [mark for mark in machine.transcript.marks if mark.name == name]


def assert_nothing_left(entry):
    assert Ledger().read() == ()
    assert not Path(entry.temp_dir).exists()
    assert entry.pid is None or not Path(f"/proc/{entry.pid}").exists()


def wrapped(tmp_path, script):
    """Return a QEMU that is a shell script around the real one, "$@"."""
    real = find_qemu()
    program = tmp_path / "qemu"
    program.write_text(f"#!/bin/sh\n{script.replace('QEMU', str(real.path))}\n")
    program.chmod(stat.S_IRWXU)
    return replace(real, path=program)


# -- starting ----------------------------------------------------------------------------------


def test_launch_fails_with_argv_exit_and_stderr_when_qemu_refuses(run_dir, tmp_path):
    disk = Disk(path=tmp_path / "no-such-disk", bus=DiskBus.SATA)
    with (
        pytest.raises(LaunchError, match="QEMU refused to start") as caught,
        open_machine(replace(SPEC, disks=(disk,)), run_dir=run_dir),
    ):
        pytest.fail("it started")
    assert caught.value.exit_code == 1
    assert b"no-such-disk" in caught.value.stderr
    assert str(disk.path) in str(caught.value)
    assert "argv: " in str(caught.value)
    assert Ledger().read() == ()
    assert load_transcript(run_dir).marks == ()


def test_launch_fails_when_the_program_is_missing(run_dir, tmp_path):
    missing = replace(find_qemu(), path=tmp_path / "no-qemu")
    with (
        pytest.raises(LaunchError, match="no-qemu") as caught,
        open_machine(SPEC, run_dir=run_dir, qemu=missing),
    ):
        pytest.fail("it started")
    assert caught.value.exit_code == 127
    assert Ledger().read() == ()


def test_launch_names_what_to_install_when_there_is_no_qemu(run_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPrerequisite, match="qemu-system-x86_64"), open_machine(SPEC, run_dir=run_dir):
        pytest.fail("it started")
    assert Ledger().read() == ()


def test_launch_fails_and_ends_a_qemu_that_never_greets(run_dir, tmp_path):
    with open_machine(SPEC, run_dir=run_dir, qemu=wrapped(tmp_path, "exec sleep 60"), start=False) as machine:
        with pytest.raises(LaunchError, match=r"no QMP greeting within 0\.\d s, it is alive \(state S\)"):
            machine.power_on(Deadline.after(0.3))
        assert machine.state is MachineState.OFF
        assert machine.exit.code == -9
        assert list_machines()[0].pid is None


def test_launch_can_be_tried_again_after_a_failure(run_dir, tmp_path):
    once = wrapped(tmp_path, f'[ -e {tmp_path}/tried ] && exec QEMU "$@"; touch {tmp_path}/tried; exit 3')
    with open_machine(SPEC, run_dir=run_dir, qemu=once, start=False) as machine:
        with pytest.raises(LaunchError) as caught:
            machine.power_on(soon())
        assert caught.value.exit_code == 3
        machine.power_on(soon())
        assert machine.state is MachineState.RUNNING


@pytest.mark.parametrize("stage", ["spawn", "greet", "execute"])
def test_interrupt_while_starting_leaves_nothing(run_dir, monkeypatch, stage):
    seen, real = [], getattr(PowerCycle, stage)

    def interrupted(self, *arguments, **options):
        real(self, *arguments, **options)
        seen.extend(list_machines())
        seen.append(self.process.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(PowerCycle, stage, interrupted)
    with pytest.raises(KeyboardInterrupt), open_machine(SPEC, run_dir=run_dir):
        pytest.fail("it started")
    entry, pid = seen[:2]
    assert_nothing_left(replace(entry, pid=pid))


# -- running -----------------------------------------------------------------------------------


def test_kill_during_boot_is_marked_at_once_with_the_signal(run_dir):
    with open_machine(SPEC, run_dir=run_dir) as machine:
        os.kill(machine.pid, signal.SIGKILL)
        wait_for(machine, lambda: marks(machine, "gone"))
        assert machine.state is MachineState.OFF
        assert (machine.exit.reason, machine.exit.expected) == ("killed by signal 9", False)
        (gone,) = marks(machine, "gone")
        expected = {"reason": "killed by signal 9", "exit_code": -9, "signal": 9, "stderr": ""}
        assert (gone.kind, gone.detail) == (MarkKind.MACHINE, expected)


def test_end_by_a_stranger_is_not_taken_for_a_shutdown(run_dir):
    with open_machine(SPEC, run_dir=run_dir) as machine:
        os.kill(machine.pid, signal.SIGTERM)
        wait_for(machine, lambda: marks(machine, "gone"))
        assert (machine.exit.reason, machine.exit.expected) == ("host-signal", False)
        assert "terminating on signal 15" in marks(machine, "gone")[0].detail["stderr"]


def test_command_in_flight_says_that_qemu_ended(run_dir):
    with open_machine(SPEC, run_dir=run_dir) as machine:
        cycle, pid = machine._cycle_for("test"), machine.pid
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(MachineGone, match="QEMU ended before it answered 'query-status'") as caught:
            cycle.execute("query-status", deadline=soon())
        assert caught.value.exit_code == -9


def test_stopped_qemu_is_named_and_ended(run_dir):
    with open_machine(SPEC, run_dir=run_dir) as machine:
        pid = machine.pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(ControlError) as caught:
            machine.nmi(Deadline.after(0.2))
        assert str(caught.value).startswith("QMP did not answer 'inject-nmi' within 0.")
        assert str(caught.value).endswith(f"QEMU ({pid}) is stopped (state T)")
        machine.power_off(soon())
        assert (machine.exit.reason, machine.exit.expected) == ("killed by signal 9", True)


def test_closed_qmp_is_a_fault_of_the_lab_and_the_machine_still_ends(run_dir):
    with open_machine(SPEC, run_dir=run_dir) as machine:
        pid = machine.pid
        machine._cycle_for("test")._link.sever()
        with pytest.raises(ControlError, match=rf"QMP is closed \(.*\), QEMU \({pid}\) lives"):
            machine.nmi(soon())
        wait_for(machine, lambda: marks(machine, "qmp-lost"))
        assert marks(machine, "qmp-lost")[0].kind is MarkKind.LAB
        machine.power_off(soon())
        assert (machine.exit.code, machine.exit.expected) == (0, True)


def test_refused_command_is_an_error_and_no_more(run_dir):
    with open_machine(SPEC, run_dir=run_dir) as machine:
        with pytest.raises(ControlError, match="QEMU refused 'send-key'"):
            machine.press_keys(("no-such-key",), soon())
        assert machine.state is MachineState.RUNNING


def test_ladder_climbs_to_sigterm_when_quit_is_not_answered(run_dir, monkeypatch):
    monkeypatch.setattr(PowerCycle, "_quit", lambda self, deadline: None)
    monkeypatch.setattr("emulator.machine.power.QUIT_GRACE_S", 0.01)
    with open_machine(SPEC, run_dir=run_dir) as machine:
        machine.power_off(soon())
        assert (machine.exit.reason, machine.exit.expected) == ("host-signal", True)


def test_ladder_goes_straight_to_sigkill_when_the_deadline_has_passed(run_dir):
    with open_machine(SPEC, run_dir=run_dir) as machine:
        machine.power_off(Deadline.after(0))
        assert (machine.exit.reason, machine.exit.expected) == ("killed by signal 9", True)


def test_ladder_says_so_when_the_process_survives_even_sigkill(run_dir, monkeypatch):
    async def no_signal(self, number):
        pass

    with open_machine(SPEC, run_dir=run_dir) as machine, monkeypatch.context() as patch:
        patch.setattr(PowerCycle, "_signal", no_signal)
        patch.setattr("emulator.machine.power.KILL_GRACE_S", 0.1)
        with pytest.raises(ControlError, match=rf"QEMU \({machine.pid}\) survived SIGKILL for 0\.1 s: alive"):
            machine.power_off(Deadline.after(0))


def test_silent_guest_has_a_whole_transcript_of_nothing(run_dir):
    with open_machine(replace(SPEC, firmware_on_serial=False), run_dir=run_dir) as machine:
        assert machine.transcript.read() == b""
    kept = load_transcript(run_dir)
    assert (kept.read(), kept.truncated) == (b"", None)


# -- the host ----------------------------------------------------------------------------------


def test_full_disk_truncates_the_transcript_and_the_machine_goes_on(run_dir):
    run_dir.mkdir()
    (run_dir / "console.bin").symlink_to("/dev/full")
    with open_machine(SPEC, run_dir=run_dir) as machine:
        wait_for(machine, lambda: machine.transcript.truncated)
        assert "No space left on device" in machine.transcript.truncated
        assert machine.state is MachineState.RUNNING


@pytest.mark.parametrize("name", ["argv.json", "qemu.stderr", "console.bin"])
def test_run_dir_that_can_not_be_written_fails_the_launch_and_leaves_nothing(run_dir, name):
    (run_dir / name / "in-the-way").mkdir(parents=True)
    with pytest.raises(LabError), open_machine(SPEC, run_dir=run_dir):
        pytest.fail("it started")
    assert Ledger().read() == ()


def test_failures_while_closing_are_all_told(run_dir, monkeypatch):
    monkeypatch.setattr(PowerCycle, "end", _end_and_complain)
    monkeypatch.setattr("emulator.machine.bench.remove_temp_dir", _complain)
    problem = "closing machine faulty failed in 2 steps"
    with (
        pytest.raises(BaseExceptionGroup, match=problem) as caught,
        open_machine(SPEC, run_dir=run_dir) as machine,
    ):
        (entry,) = list_machines()
    assert machine.state is MachineState.OFF
    assert [str(each) for each in caught.value.exceptions] == ["the end", "no removal"]
    assert [one.id for one in Ledger().read()] == [entry.id]  # still known to gc
    monkeypatch.undo()
    remove_temp_dir(Path(entry.temp_dir))


_END = PowerCycle.end


def _end_and_complain(self, deadline):
    _END(self, deadline)
    raise ControlError("the end")


def _complain(path):
    raise LabError("no removal")


# -- the owner ---------------------------------------------------------------------------------

OWNER = """
import signal, sys
from pathlib import Path
from emulator.machine.machine import open_machine
from emulator.machine.spec import MachineSpec, MachineType
signal.signal(signal.SIGINT, signal.default_int_handler)
spec = MachineSpec(name="owned", machine=MachineType.PC, memory_mib=128)
with open_machine(spec, run_dir=Path(sys.argv[1])) as machine:
    print(machine.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def owner(run_dir):
    words = [sys.executable, "-c", OWNER, str(run_dir)]
    root = Path(__file__).parents[2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=root, **pipes) as child:
        try:
            yield child
        finally:
            child.kill()


def end_owner(owner, number):
    """Send a signal to the owner when its machine runs; return the machine's entry when QEMU has ended."""
    pid = int(owner.stdout.readline())
    (entry,) = [one for one in Ledger().read() if isinstance(one, Entry)]
    assert entry.pid == pid
    handle = os.pidfd_open(pid)
    try:
        owner.send_signal(number)
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        assert poller.poll(30_000), "QEMU outlived its owner"
    finally:
        os.close(handle)
    owner.wait(30)
    return entry


def test_kill_of_the_owner_ends_qemu_and_gc_removes_the_rest(owner, run_dir):
    entry = end_owner(owner, signal.SIGKILL)
    assert Path(entry.temp_dir).exists()
    assert list_machines() == ()
    (collected,) = collect_garbage()
    assert collected.id == entry.id
    assert not collected.errors
    assert_nothing_left(replace(entry, pid=None))
    assert load_transcript(run_dir).truncated == "the timeline has no end"


def test_interrupt_of_the_owner_leaves_nothing(owner, run_dir):
    entry = end_owner(owner, signal.SIGINT)
    assert owner.returncode == -signal.SIGINT
    assert owner.stderr.read().rstrip().endswith(b"KeyboardInterrupt")
    assert_nothing_left(entry)
    assert load_transcript(run_dir).truncated is None
