"""A real QEMU takes every argv, with paths that need care, and has the parts that were asked for."""

import json
import os
import shutil
import socket
import struct
import subprocess
import tty
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.machine.argv import Wiring, build_argv
from emulator.machine.qemu_binary import find_firmware, find_qemu, open_private_vars
from emulator.machine.spec import Device, Disk, DiskBus, Firmware, MachineSpec, MachineType

pytestmark = pytest.mark.qemu
BOUND_S = 60.0


class Paused:
    """A QEMU that was started from a spec and never continued."""

    def __init__(self, spec, directory, *, stack):
        qemu = find_qemu(architecture=spec.architecture)
        firmware = find_firmware(spec.firmware)
        master, slave = os.openpty()
        stack.callback(os.close, master)
        stack.callback(os.close, slave)
        tty.setraw(slave)
        self._qmp, far = self._pair(stack)
        bulk = self._pair(stack)[1] if spec.bulk_console else None
        wiring = Wiring(
            console_path=Path(os.ttyname(slave)),
            console_logfile=directory / "console.log",
            qmp_fd=far.fileno(),
            bulk_fd=bulk.fileno() if bulk else None,
            vars_file=stack.enter_context(open_private_vars(firmware, run_dir=directory))
            if firmware
            else None,
        )
        argv = build_argv(
            spec, qemu=qemu.path, accelerator="tcg", wiring=wiring, version=qemu.version, firmware=firmware
        )
        fds = [far.fileno(), *([bulk.fileno()] if bulk else [])]
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *argv],
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        stack.callback(self._end)
        far.close()
        self._qmp.settimeout(BOUND_S)
        self._lines = stack.enter_context(self._qmp.makefile("rb"))

    @staticmethod
    def _pair(stack):
        return [stack.enter_context(closing(end)) for end in socket.socketpair()]

    def _end(self):
        self.process.kill()
        self.process.communicate(timeout=BOUND_S)

    def ask(self, command, **arguments):
        self._qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        for line in self._lines:
            answer = json.loads(line)
            if "return" in answer or "error" in answer:
                return answer["return"]
        pytest.fail(f"QEMU ended: {self.process.communicate(timeout=BOUND_S)[1].decode()}")


@pytest.fixture
def paused(tmp_path):
    with ExitStack() as stack:

        def start(spec):
            directory = tmp_path / "a, b"
            directory.mkdir(exist_ok=True)
            machine = Paused(spec, directory, stack=stack)
            machine.ask("qmp_capabilities")
            return machine

        yield start


def spec_of(machine, tmp_path, **fields):
    blank = tmp_path / "blank, disk.raw"
    blank.write_bytes(bytes(1 << 20))
    other = shutil.copy(blank, tmp_path / "other,disk.raw")
    if machine is not MachineType.MICROVM:
        fields |= {
            "devices": frozenset(Device),
            "bulk_console": True,
            "disks": (Disk(path=blank, discard_writes=True), Disk(path=Path(other), bus=DiskBus.SATA)),
        }
    return MachineSpec(name="m.1_a-b", machine=machine, vcpus=2, seed=1, **fields)


@pytest.mark.parametrize("firmware", [Firmware.SEABIOS, Firmware.OVMF])
@pytest.mark.parametrize("machine", [MachineType.PC, MachineType.Q35])
def test_qemu_takes_the_argv_and_waits_for_cont(paused, tmp_path, machine, firmware):
    qemu = paused(spec_of(machine, tmp_path, firmware=firmware))
    assert qemu.ask("query-status")["status"] == "prelaunch"
    assert {"ttyS0", "bulk", "qmp"} <= {chardev["label"] for chardev in qemu.ask("query-chardev")}
    files = {block["inserted"]["image"]["filename"] for block in qemu.ask("query-block")}
    assert str(tmp_path / "other,disk.raw") in files
    assert qemu.ask("query-name")["name"] == "m.1_a-b"
    assert len(qemu.ask("query-cpus-fast")) == 2


def test_qemu_takes_the_argv_of_virt_with_every_part(paused, tmp_path):
    kernel = tmp_path / "no, kernel"
    kernel.write_bytes(bytes(0x38) + b"ARMd" + bytes(0x1000))
    fields = {"kernel": kernel, "command_line": ("a",), "firmware": Firmware.NONE}
    spec = spec_of(MachineType.Q35, tmp_path)
    disks = tuple(replace(disk, bus=DiskBus.VIRTIO) for disk in spec.disks)
    qemu = paused(replace(spec, machine=MachineType.VIRT, disks=disks, **fields))
    assert qemu.ask("query-status")["status"] == "prelaunch"
    files = {block["inserted"]["image"]["filename"] for block in qemu.ask("query-block")}
    assert str(tmp_path / "other,disk.raw") in files
    assert len(qemu.ask("query-cpus-fast")) == 2


def test_qemu_takes_the_argv_of_a_microvm(paused, tmp_path):
    kernel = tmp_path / "no, kernel"
    kernel.write_bytes(pvh_kernel())
    qemu = paused(spec_of(MachineType.MICROVM, tmp_path, kernel=kernel, command_line=("a",)))
    assert qemu.ask("query-status")["status"] == "prelaunch"
    assert "ttyS0" in {chardev["label"] for chardev in qemu.ask("query-chardev")}


def pvh_kernel():
    """Return the least ELF that QEMU starts by PVH: a page of hlt, and the note that names its entry."""
    entry, offset, page = 0x100000, 0x1000, 0x1000
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen", entry)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, entry, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    code = struct.pack("<IIQQQQQQ", 1, 5, offset, entry, entry, page, page, page)
    notes = struct.pack("<IIQQQQQQ", 4, 4, 0x200, 0, 0, len(note), len(note), 4)
    return (header + code + notes).ljust(0x200, b"\0") + note.ljust(offset - 0x200, b"\0") + b"\xf4" * page
