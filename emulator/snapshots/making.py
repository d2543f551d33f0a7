"""Makes a snapshot: boots the machine with its RAM in a file, has it driven to the stage, and saves it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from emulator.clock import Deadline, utc_now
from emulator.console.marks import MarkKind
from emulator.disks.convert import CONVERTED_MOST, SAVABLE
from emulator.errors import SnapshotError
from emulator.files import identity
from emulator.guest_text.printable import visible
from emulator.machine.argv import RamFile
from emulator.machine.disk_files import require_own_files
from emulator.machine.host import measure_tsc_khz
from emulator.machine.machine import Machine, open_machine
from emulator.machine.probe import Choice, read_host_identity
from emulator.machine.process import run_bounded
from emulator.machine.qemu_binary import QemuBinary, find_firmware
from emulator.machine.spec import MachineSpec
from emulator.snapshots.files import prepare_disks, read_facts, remembered_facts
from emulator.snapshots.manifest import Maker, Method, SnapshotManifest, SnapshotRequest, fingerprint
from emulator.snapshots.pages import PAGES_FILE, pack_ram
from emulator.snapshots.room import RAM_FILE
from emulator.snapshots.snapshot import CONSOLE, MANIFEST, SAVED, VARS_FILE, VM_STATE, snapshot_files

BOUND_S = 10.0
_ASK = b'{"execute":"qmp_capabilities"}{"execute":"query-migrate-capabilities"}{"execute":"quit"}\n'


def choose_method(qemu: QemuBinary) -> Method:
    """Return the best way in which `qemu` can keep RAM, which it is asked once per process.

    A QEMU that does not answer gets the method that every QEMU can do.
    """
    return _asked(qemu.path, identity(qemu.path))


@lru_cache(maxsize=8)
def _asked(program: Path, _identity: tuple[int, ...]) -> Method:
    words = (str(program), "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none")
    answer = run_bounded([*words, "-qmp", "stdio"], deadline=Deadline.after(BOUND_S), feed=_ASK)
    return Method.SHARED_RAM if b'"x-ignore-shared"' in answer.stdout else Method.STREAM


_ROOM = 1.5  # free disk space that making a snapshot takes at most, as a multiple of the guest's memory
_ROOM_MIB = 64  # what it takes on top of that: QEMU's own state, the console, the disks


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """A snapshot about to be made.

    Attributes:
        request: what is wanted.
        key: its fingerprint.
        maker: what makes it.
        qemu: the program.
        choice: what executes guest code.
        base: the packed RAM of another snapshot of the image, whose pages need not be kept twice.
    """

    request: SnapshotRequest
    key: str
    maker: Maker
    qemu: QemuBinary
    choice: Choice
    base: Path | None = None


def make_maker(request: SnapshotRequest, qemu: QemuBinary, choice: Choice) -> tuple[Maker, str]:
    """Return what makes `request` on this host, and the fingerprint of the snapshot.

    Raises:
        MissingPrerequisite: its firmware is not installed.
        SnapshotError: a file that it is made from can't be read, or its guest is a user's own Windows.
        SpecError: a file is none that a guest may have (`require_own_files`).
    """
    if request.spec.windows is not None:  # reading the whole disk would take longer than booting it
        raise SnapshotError("no snapshots are kept of a user's own Windows")
    require_own_files(request.spec)
    for disk in request.spec.disks:  # what QEMU would refuse after the boot
        if disk.format not in SAVABLE:
            raise SnapshotError(
                f"QEMU can't save {visible(disk.path.name)}, a disk in the format {disk.format}; for a copy "
                f"of it there is no room, or it has more than {CONVERTED_MOST >> 30} GiB"
            )
    firmware = find_firmware(request.spec.firmware)
    files = request.files if firmware is None else (*request.files, firmware.code, firmware.vars_template)
    try:
        maker = Maker(
            qemu_sha256=remembered_facts(qemu.path).sha256,
            version=qemu.version,
            accelerator=choice.accelerator,
            cpu=read_host_identity().cpu_flags if choice.accelerator == "kvm" else "",
            method=choose_method(qemu),
            firmware=firmware,
        )
        hashes = {path: remembered_facts(path).sha256 for path in files}
    except OSError as error:
        raise SnapshotError(f"{error.filename}: {error.strerror}") from error
    return maker, fingerprint(request, maker, hashes)


def make_snapshot(
    making: Making, directory: Path, reach: Callable[[Machine, Deadline], None], deadline: Deadline
) -> None:
    """Make the snapshot in an empty `directory`.

    Raises:
        SnapshotError: there is not enough disk space, or the machine can't be saved.
        MissingPrerequisite: something it needs is not installed.
        OSError: a file can't be written.
        EmulatorError: what `reach` or the machine raises.
    """
    request = making.request
    _require_room(request.spec, directory)
    spec = prepare_disks(request.common_spec, directory, plain=request.host_reads_disks)
    shares = making.maker.method is Method.SHARED_RAM
    opened = open_machine(
        spec,
        run_dir=directory / CONSOLE,
        qemu=making.qemu,
        accelerator=making.choice,
        label=f"snapshot {request.label} {request.stage}",
        asked=request.common_spec,
        ram=RamFile(path=directory / RAM_FILE, shared=True) if shares else None,
    )
    with opened as machine:
        reach(machine, deadline)
        boot_s = machine.transcript.now()
        _save(machine, directory, deadline)
    manifest = _describe(making, directory, boot_s)
    if shares:
        pack_ram(directory / RAM_FILE, directory / PAGES_FILE, base=making.base)
    (directory / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")


def _require_room(spec: MachineSpec, directory: Path) -> None:
    needed = int((spec.memory_mib * _ROOM + _ROOM_MIB) * 2**20)
    free = shutil.disk_usage(directory).free
    if free < needed:
        # RAM is a file, so a full disk would kill QEMU by SIGBUS.
        sizes = f"{free // 2**20} MiB free, the snapshot takes {needed // 2**20}"
        raise SnapshotError(f"{directory.parent}: {sizes}")


def _save(machine: Machine, directory: Path, deadline: Deadline) -> None:
    """Stop the guest, wait until no console output is under way, and save it."""
    machine.pause(deadline)
    machine.console.drain(deadline)
    machine.transcript.mark(MarkKind.LAB, SAVED)
    machine.write_state(directory / VM_STATE, deadline)
    if machine.vars_file is not None:
        shutil.copyfile(machine.vars_file, directory / VARS_FILE)


def _describe(making: Making, directory: Path, boot_s: float) -> SnapshotManifest:
    request = making.request
    names = snapshot_files(request, shares_ram=making.maker.method is Method.SHARED_RAM)
    return SnapshotManifest(
        key=making.key,
        label=request.label,
        stage=request.stage,
        method=making.maker.method,
        qemu=str(making.qemu.version),
        accelerator=making.choice.accelerator,
        tsc_khz=measure_tsc_khz() if request.spec.tell_tsc else None,
        made_utc=utc_now().isoformat(timespec="seconds"),
        boot_s=round(boot_s, 3),
        files={name: read_facts(directory / name) for name in names},
    )
