"""An unattended installation of Windows: from the user's ISO to a sealed base image, or to nothing at all.

Setup reports its stages on COM2, and finally that the image is ready; then the guest switches itself off.
Unfinished files are kept in a directory of their own. It is removed at the end, or, if this process is
killed, by the next installation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pycdlib

from emulator.clock import Deadline
from emulator.disks.formats import DiskFormat
from emulator.disks.qemu_img import create_disk
from emulator.errors import DeadlineExceeded, EmulatorError, ImageError, MachineGone
from emulator.files import open_owned_directory
from emulator.guest_text.escapes import seen
from emulator.machine.machine import Machine, open_machine
from emulator.machine.power import MachineState
from emulator.machine.run_dir import COM2_FILE, FIRMWARE_FILE
from emulator.machine.spec import MachineSpec, MachineType, WindowsParts
from emulator.windows.answer_file import ANSWER_FILE, READY, STAGE, Answers, render_answer_file
from emulator.windows.image import ensure_spcr, windows_disk

VOLUME = "TTYLAB_ANSWER"
_SHORT_NAME = "/AUTOUNAT.XML;1"


def write_answer_iso(path: Path, answer_file: bytes) -> None:
    """Write a CD with the answer file, whose password makes it 0600; after an ImageError no file is left."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, vol_ident=VOLUME)
    try:
        content = BytesIO(answer_file)
        iso.add_fp(content, len(answer_file), _SHORT_NAME, joliet_path=f"/{ANSWER_FILE}")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w+b") as file:
            iso.write_fp(file)
    except FileExistsError as error:
        raise ImageError(f"{path}: the file exists already") from error
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ImageError(f"{path}: can't be written: {error.strerror}") from error
    finally:
        iso.close()


INSTALLING = ".install-"
"""What the names of directories for unfinished files begin with."""
_LOOK_S = 1.0
_ENTER_S = 30.0
"""How long Enter is pressed once a second: media ask for a key before they boot, and show a menu whose
countdown any other key would stop (docs/facts/sac.md 4.2)."""
_COMMAND_S = 5.0
_LONGEST_TEXT = 256
_NOTHING_BOOTS = re.compile(
    rb"BdsDxe: No bootable option or device was found|UEFI Interactive Shell v|No bootable device\."
)
_STAGE = re.compile(rb"^" + STAGE.encode() + rb" ([a-z-]{1,40})[ ]*\r?$", re.MULTILINE)
_READY = re.compile(rb"^" + READY.encode() + rb"[ ]*\r?$", re.MULTILINE)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is to be installed, and on what machine.

    Attributes:
        name: name of the base image.
        iso: the user's media.
        answers: what setup is told.
        tpm: whether the machine has a TPM 2.0.
        vcpus: 1 to 4.
        memory_mib: MiB.
        disk_gib: size of the disk in GiB; its file only takes what is written to it.
    """

    name: str
    iso: Path
    answers: Answers
    tpm: bool = False
    vcpus: int = 2
    memory_mib: int = 4096
    disk_gib: int = 40


def install_windows(
    wanted: Installation, *, root: Path, run_dir: Path, deadline: Deadline, tell: Tell
) -> Path:
    """Install Windows and return the sealed base image: `bases/NAME.qcow2` below `root`, read-only.

    Unfinished files are kept in `root` too; the transcript and the output of COM2 and QEMU stay in `run_dir`,
    whatever happens. `tell` is told each stage once.

    Raises:
        ImageError: the guest ended without being ready, nothing booted, or the disk is full.
        DeadlineExceeded: it took too long.
        MissingPrerequisite: qemu-img, QEMU, its firmware or swtpm is not installed.
        LaunchError, MachineGone, LabError: QEMU failed. No base image is left after any of these.
    """
    base = root / "bases" / f"{wanted.name}.qcow2"
    if base.exists():
        raise ImageError(f"{base} exists already; remove or rename it")
    with _workshop(root) as directory:
        disk, answers = directory / "disk.qcow2", directory / "answers.iso"
        create_disk(disk, gib=wanted.disk_gib)
        write_answer_iso(answers, render_answer_file(wanted.answers))
        spec = MachineSpec(
            name=f"install-{wanted.name}",
            machine=MachineType.Q35,
            firmware=wanted.answers.firmware,
            vcpus=wanted.vcpus,
            memory_mib=wanted.memory_mib,
            disks=(windows_disk(disk, DiskFormat.QCOW2),),
            windows=WindowsParts(
                cdroms=(wanted.iso, answers), acpi_tables=(ensure_spcr(root),), tpm=wanted.tpm
            ),
        )
        for name in (COM2_FILE, FIRMWARE_FILE):  # of an earlier installation
            (run_dir / name).unlink(missing_ok=True)
        with open_machine(spec, run_dir=run_dir, label=f"install {wanted.name}") as machine:
            tell("booting the media")
            _await_end(machine, deadline, tell)
        try:
            disk.chmod(0o400)
            base.parent.mkdir(mode=0o700, exist_ok=True)
            return disk.rename(base)
        except OSError as error:
            raise ImageError(f"{base}: can't be written: {error.strerror}") from error


def _await_end(machine: Machine, deadline: Deadline, tell: Tell) -> None:
    """Wait until the guest has reported that it is ready and has switched itself off."""
    transcript, firmware = machine.transcript, machine.run_dir / FIRMWARE_FILE
    known = seen = 0
    keys_until = deadline.clock.monotonic() + _ENTER_S
    while True:
        is_off = machine.state is MachineState.OFF
        said = (machine.run_dir / COM2_FILE).read_bytes()  # QEMU makes it before the guest runs
        stages = stages_in(said)
        for stage in stages[known:]:
            tell(stage)
        known = len(stages)
        console = transcript.read(seen) + firmware.read_bytes()
        require_hope({mark.name for mark in transcript.marks}, console, where=machine.run_dir)
        seen = max(seen, len(transcript) - _LONGEST_TEXT)
        if is_off:
            if machine.exit is not None and not machine.exit.expected:
                raise MachineGone(f"QEMU ended during the installation: {machine.exit.reason}")
            if not is_ready(said):
                what = f"the guest switched itself off without saying {READY} on COM2"
                raise ImageError(f"{what}; {_last(stages, machine.run_dir)}")
            return
        if deadline.expired():
            last = _last(stages, machine.run_dir)
            raise DeadlineExceeded(f"the installation was not ready in time; {last}")
        if not stages and deadline.clock.monotonic() < keys_until:
            with suppress(EmulatorError):  # it may just have ended; the next round will notice
                machine.press_keys(("ret",), Deadline.after(_COMMAND_S))
        deadline.clock.sleep(min(_LOOK_S, deadline.remaining()))


def stages_in(said: bytes) -> tuple[str, ...]:
    """Return the stages that a guest has reported on COM2, in order; an incomplete line doesn't count."""
    whole = said[: said.rfind(b"\n") + 1]
    return tuple(found[1].decode("ascii") for found in _STAGE.finditer(_lines(whole)))


def is_ready(said: bytes) -> bool:
    """Tell whether a guest has reported on COM2 that it is ready."""
    return _READY.search(_lines(said)) is not None


def _lines(said: bytes) -> bytes:
    """Return what was said, with line ends in place of escape sequences, which OVMF writes on COM2 first."""
    return seen(said, instead=b"\n")


def require_hope(marks: set[str], console: bytes, *, where: Path) -> None:
    """Raise ImageError, with `where`, once QEMU's events, or COM1 and the firmware, leave no hope."""
    if "BLOCK_IO_ERROR" in marks:
        raise ImageError(f"a disk can't be written: the host's is full, or failed; see {where}")
    if _NOTHING_BOOTS.search(console):
        what = "the firmware found neither disk nor CD that it can start"
        raise ImageError(f"nothing boots: {what}; see {where}")


def _last(stages: tuple[str, ...], run_dir: Path) -> str:
    stage = stages[-1] if stages else "no stage at all"
    return f"last stage reported: {stage}; its console and COM2 are in {run_dir}"


@contextmanager
def _workshop(root: Path) -> Iterator[Path]:
    """Make a directory for unfinished files; those of killed installations are removed first."""
    try:
        with open_owned_directory(root, prefix=INSTALLING) as path:
            yield path
    except OSError as error:
        raise ImageError(f"{error.filename or root}: {error.strerror}") from error
