"""The life of a machine on a real QEMU; the guests are boot sectors, which cost next to nothing."""

import json
import socket
import stat
import threading
from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.console.marks import MarkKind, boot_starts
from emulator.console.transcript import load_transcript
from emulator.errors import StateError
from emulator.machine.control import Capability
from emulator.machine.ledger import Ledger, list_machines
from emulator.machine.machine import open_machine
from emulator.machine.power import MachineState
from emulator.machine.spec import Disk, Firmware, MachineSpec, MachineType
from emulator.values import read_value

pytestmark = pytest.mark.qemu

DISK_SIZE = 1 << 20  # SeaBIOS starts no disk of a single sector
IDLE = bytes.fromhex("fa f4 eb fd")  # cli; hlt; jmp
SWITCH_OFF = bytes.fromhex("ba 04 06 b8 00 20 ef") + IDLE  # ACPI: SLP_EN to port 0x604
RESET = bytes.fromhex("b0 fe e6 64") + IDLE  # the keyboard controller pulls the reset line
ECHO = bytes.fromhex("ba fd 03 ec a8 01 74 fb ba f8 03 ec ee eb f1")  # COM1: wait for a byte, send it back


def printing(count):
    """Code that writes `count` times "x" to COM1, each after the last one has left."""
    return (
        b"\xb9"
        + count.to_bytes(2, "little")
        + bytes.fromhex("ba fd 03 ec a8 20 74 fb ba f8 03 b0 78 ee e2 f0")
    )


def soon():
    return Deadline.after(30)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))


@pytest.fixture
def machine_spec(tmp_path):
    def build(code=IDLE, **fields):
        path = tmp_path / "boot-sector.img"
        path.write_bytes((code.ljust(510, b"\0") + b"\x55\xaa").ljust(DISK_SIZE, b"\0"))
        disk = Disk(path=path, read_only=True)
        return MachineSpec(name="sector", machine=MachineType.PC, memory_mib=128, disks=(disk,), **fields)

    return build


@pytest.fixture
def open_(tmp_path, machine_spec):
    def opener(code=IDLE, *, directory="run", **fields):
        options = {name: fields.pop(name) for name in ("label", "start") if name in fields}
        return open_machine(machine_spec(code, **fields), run_dir=tmp_path / directory, **options)

    return opener


def wait_for(machine, condition):
    deadline, version = soon(), machine.transcript.version
    while not condition():
        assert not deadline.expired(), (machine.transcript.marks, machine.transcript.read(), machine.stderr)
        version = machine.transcript.wait_change(version, deadline)


def names(machine, kind=MarkKind.MACHINE):
    return [mark.name for mark in machine.transcript.marks if mark.kind is kind]


def open_descriptors():
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_machine_shows_the_first_and_the_last_byte_of_its_guest(open_):
    with open_(printing(30_000) + SWITCH_OFF) as machine:
        wait_for(machine, lambda: machine.state is MachineState.OFF)
        assert machine.transcript.read() == b"x" * 30_000
        assert (machine.exit.reason, machine.exit.expected) == ("guest-shutdown", True)
        (off,) = [mark for mark in machine.transcript.marks if mark.name == "off"]
        assert off.offset == 30_000
    assert names(machine) == ["started", "running", "off"]


def test_machine_keeps_evidence_and_leaves_nothing_else(open_, tmp_path):
    before = (threading.active_count(), open_descriptors())
    with open_(printing(5), label="a cell") as machine:
        wait_for(machine, lambda: len(machine.transcript) == 5)
        (entry,) = list_machines()
        assert (entry.pid, entry.label, entry.run_dir) == (machine.pid, "a cell", str(machine.run_dir))
        assert Path(entry.console) == machine.console.endpoint.path
        assert stat.S_IMODE(Path(entry.temp_dir).stat().st_mode) == 0o700
        assert Path(entry.console_socket).is_socket()
        assert Path(entry.control_socket).is_socket()
    assert not Path(f"/proc/{entry.pid}").exists()
    assert not Path(entry.temp_dir).exists()
    assert Ledger().read() == ()
    assert (threading.active_count(), open_descriptors()) == before
    kept = load_transcript(tmp_path / "run")
    assert (kept.read(), kept.truncated) == (b"xxxxx", None)
    facts = json.loads((tmp_path / "run/argv.json").read_text())
    assert tuple(facts["argv"]) == machine.argv
    assert read_value(facts["spec"], MachineSpec, origin="here", whole=True) == machine.spec
    assert machine.stderr == b""


def test_machine_is_off_until_it_is_powered_on_and_says_so(open_):
    with open_(printing(1), start=False) as machine:
        assert (machine.state, machine.pid, machine.exit) == (MachineState.OFF, None, None)
        with pytest.raises(StateError, match="system_reset: machine sector is off; it must be on"):
            machine.reset(soon())
        with pytest.raises(StateError, match="power_off: machine sector is off"):
            machine.power_off(soon())
        machine.power_on(soon())
        with pytest.raises(StateError, match="power_on: machine sector is running; it must be off"):
            machine.power_on(soon())
    with pytest.raises(StateError, match="is closed"):
        machine.power_on(soon())


def test_machine_boots_again_on_the_same_console_after_the_power_was_cut(open_):
    with open_(printing(5)) as machine:
        wait_for(machine, lambda: len(machine.transcript) == 5)
        first, path = machine.pid, machine.console.path
        machine.power_off(soon())
        assert (machine.state, machine.pid, machine.exit.reason) == (MachineState.OFF, None, "host-qmp-quit")
        assert [entry.pid for entry in list_machines()] == [None]
        machine.power_on(soon())
        assert machine.pid != first
        assert machine.console.path == path
        wait_for(machine, lambda: len(machine.transcript) == 10)
        starts = boot_starts(machine.transcript.marks)
        assert [mark.offset for mark in starts] == [0, 5]
    assert names(machine) == ["started", "running", "off", "started", "running", "off"]


def test_machine_forgets_typed_bytes_that_nobody_read_before_the_power_was_cut(open_):
    with open_(ECHO) as machine:
        machine.pause(soon())
        machine.console.write(b"old" * 100, soon())
        machine.power_off(soon())
        machine.power_on(soon())
        machine.console.write(b"new", soon())
        wait_for(machine, lambda: len(machine.transcript) >= 3)
        assert machine.transcript.read() == b"new"


def test_machine_stops_and_goes_on(open_):
    with open_(ECHO) as machine:
        machine.pause(soon())
        assert machine.state is MachineState.PAUSED
        assert machine.query("query-status", deadline=soon())["status"] == "paused"
        machine.resume(soon())
        assert machine.state is MachineState.RUNNING
    assert names(machine) == ["started", "running", "paused", "running", "off"]


def test_machine_takes_every_stimulus_it_says_it_can_do(open_):
    with open_(ECHO) as machine:
        machine.nmi(soon())
        machine.send_break(soon())
        machine.sysrq("h", soon())
        machine.press_keys(("alt", "sysrq", "h"), soon())
        machine.power_button(soon())
        machine.reset(soon())
        wait_for(machine, lambda: "RESET" in names(machine, MarkKind.QMP))
    assert {"POWERDOWN", "RESET"} <= set(names(machine, MarkKind.QMP))


def test_machine_refuses_what_its_board_can_not_do(tmp_path):
    spec = MachineSpec(name="small", machine=MachineType.MICROVM, kernel=tmp_path / "kernel")
    with open_machine(spec, run_dir=tmp_path / "run", start=False) as machine:
        assert Capability.POWER_BUTTON not in machine.capabilities
        with pytest.raises(StateError, match=r"machine small \(microvm\) has no power_button"):
            machine.power_button(soon())


def test_machine_marks_a_reset_by_the_guest(open_):
    with open_(printing(1) + RESET) as machine:
        wait_for(machine, lambda: "RESET" in names(machine, MarkKind.QMP))
        reset = next(mark for mark in machine.transcript.marks if mark.name == "RESET")
        assert reset.detail == {"guest": True, "reason": "guest-reset"}


def test_machine_marks_a_reset_behind_the_bytes_that_came_before_it(open_):
    """QMP is quicker than the console; a boot must not begin with the last words of the one before."""
    with open_(printing(40) + RESET) as machine:
        wait_for(machine, lambda: names(machine, MarkKind.QMP).count("RESET") >= 20)
    ends = [mark.offset for mark in machine.transcript.marks if mark.name == "RESET"]
    assert min(ends) == 40
    assert {end % 40 for end in ends} == {0}


def test_machine_keeps_its_firmware_variables_while_the_power_is_cut(tmp_path):
    spec = MachineSpec(name="uefi", machine=MachineType.Q35, firmware=Firmware.OVMF)
    with open_machine(spec, run_dir=tmp_path / "run") as machine:
        (entry,) = list_machines()
        store = Path(entry.temp_dir) / "ovmf-vars.fd"
        before = store.stat().st_ino
        machine.power_off(soon())
        machine.power_on(soon())
        assert f"file={store}" in " ".join(machine.argv)
        assert store.stat().st_ino == before
    assert not store.exists()


def test_machine_shows_its_screen(open_, tmp_path):
    with open_() as machine:
        machine.screendump(tmp_path / "screen.png", soon())
        machine.screendump(tmp_path / "screen.ppm", soon())
    assert (tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "screen.ppm").read_bytes().startswith(b"P6")


def test_machine_has_a_new_bulk_console_for_each_power_on(open_):
    with open_(bulk_console=True) as machine:
        first = machine.bulk
        assert first.transcript.epoch == machine.transcript.epoch
        machine.power_off(soon())
        assert first.far_end_gone
        machine.power_on(soon())
        assert machine.bulk is not first
        assert first.transcript.closed
    assert machine.bulk.transcript.closed
    assert sorted(path.name for path in machine.run_dir.glob("bulk*")) == ["bulk", "bulk.2"]


def ask(entry, request):
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        link.connect(entry.control_socket)
        link.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(link.makefile("rb").readline())


def test_machine_obeys_its_control_socket(open_):
    with open_() as machine:
        (entry,) = list_machines()
        assert ask(entry, {"do": "nmi"}) == {"ok": True}
        assert ask(entry, {"do": "power_off"}) == {"ok": True}
        assert machine.state is MachineState.OFF
        assert ask(entry, {"do": "nmi"})["error"] == "inject-nmi: machine sector is off; it must be on"
        assert ask(entry, {"do": "power_on"}) == {"ok": True}
        assert machine.state is MachineState.RUNNING
        assert ask(entry, {"do": "dance"})["ok"] is False
    assert names(machine, MarkKind.STIMULUS) == ["nmi", "power_off", "nmi", "power_on"]


def test_control_socket_makes_a_whole_system_request_or_says_why_not(open_):
    with open_(ECHO) as machine:
        (entry,) = list_machines()
        assert ask(entry, {"do": "sysrq", "key": "h"}) == {"ok": True}
        wait_for(machine, lambda: b"h" in machine.transcript.read())
        assert ask(entry, {"do": "sysrq", "key": "hh"})["error"].startswith("sysrq key 'hh'")
        machine.power_off(soon())
        assert (
            ask(entry, {"do": "sysrq", "key": "h"})["error"] == "sysrq: machine sector is off; it must be on"
        )
    assert [typed.data for typed in machine.transcript.typed] == [b"h"]
    assert names(machine, MarkKind.STIMULUS) == ["sysrq-h", "sysrq-h"]


def test_two_machines_live_side_by_side(open_):
    with open_(printing(7)) as one, open_(printing(7), directory="other") as two:
        wait_for(one, lambda: len(one.transcript) == 7)
        wait_for(two, lambda: len(two.transcript) == 7)
        assert {entry.pid for entry in list_machines()} == {one.pid, two.pid}
        one.power_off(soon())
        assert two.query("query-status", deadline=soon())["running"] is True
