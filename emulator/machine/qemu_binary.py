"""Find QEMU and its firmware, and refuse a QEMU that would only fail later."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from emulator.clock import Deadline
from emulator.errors import MissingPrerequisite
from emulator.files import identity
from emulator.machine.architectures import ARCHITECTURES, architecture_with
from emulator.machine.architectures.parts import Architecture, Uefi
from emulator.machine.argv import FirmwareFiles, QemuVersion
from emulator.machine.process import run_bounded
from emulator.machine.spec import Firmware

OLDEST = QemuVersion(7, 2)
VERSION_BOUND_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuBinary:
    """A QEMU that answered, by its absolute path, and what it says it is."""

    path: Path
    version: QemuVersion

    def sha256(self) -> str:
        """Return the hash of the program in hex; reads about 20 MB."""
        with self.path.open("rb") as program:
            return hashlib.file_digest(program, "sha256").hexdigest()


def find_qemu(path: str | None = None, *, architecture: Architecture = ARCHITECTURES[0]) -> QemuBinary:
    """Return the QEMU at `path`, else at the architecture's variable ($TTYLAB_QEMU), else on PATH.

    A program is asked for its version once per process, and again after its file has changed.

    Raises:
        MissingPrerequisite: there is none, it does not answer as QEMU does, or it is older than 7.2.
    """
    remedy = f"apt-get install {architecture.package}, or name another one in {architecture.environment}"
    wanted = path or os.environ.get(architecture.environment) or architecture.program
    found = shutil.which(wanted)
    if found is None:
        raise MissingPrerequisite(wanted, remedy=remedy)
    program = Path(found).absolute()
    version = _remembered_version(program, identity(program), remedy)
    if version < OLDEST:
        raise MissingPrerequisite(f"QEMU {OLDEST} or newer ({program} is {version})", remedy=remedy)
    return QemuBinary(path=program, version=version)


def query_version(program: Path, *, deadline: Deadline, remedy: str = "") -> QemuVersion:
    """Ask a program for its version; raises MissingPrerequisite without `setpriv` or a QEMU's answer."""
    try:
        answer = run_bounded([str(program), "--version"], deadline=deadline)
    except OSError as error:
        what = f"setpriv ({error.strerror})"
        raise MissingPrerequisite(what, remedy="apt-get install util-linux") from error
    version = QemuVersion.parse(answer.stdout.decode("utf-8", "replace"))
    if answer.exit_code != 0 or version is None:
        symptoms = {None: "does not answer --version", 0: "answers --version without a version of QEMU"}
        symptom = symptoms.get(answer.exit_code, f"ends with exit code {answer.exit_code}")
        raise MissingPrerequisite(f"a working QEMU ({program} {symptom})", remedy=remedy)
    return version


@lru_cache(maxsize=8)
def _remembered_version(program: Path, _identity: tuple[int, ...], remedy: str) -> QemuVersion:
    return query_version(program, deadline=Deadline.after(VERSION_BOUND_S), remedy=remedy)


_VARS_NAME = "ovmf-vars.fd"


def find_firmware(firmware: Firmware) -> FirmwareFiles | None:
    """Return the host's files for `firmware`, None if it comes with QEMU; errors are those of `find_uefi`."""
    architecture = architecture_with(firmware)
    return None if architecture is None else find_uefi(architecture.uefi)


def find_uefi(uefi: Uefi = ARCHITECTURES[0].uefi, *, root: Path = Path("/")) -> FirmwareFiles:
    """Return UEFI's files, code and variables of one build; raises MissingPrerequisite if there are none."""
    for code, variables in uefi.files:
        if (root / code).is_file() and (root / variables).is_file():
            return FirmwareFiles(code=root / code, vars_template=root / variables)
    what = f"{uefi.firmware.value.upper()} ({' and '.join(Path(name).name for name in uefi.files[0])})"
    raise MissingPrerequisite(what, remedy=f"apt-get install {uefi.package}")


@contextmanager
def open_private_vars(files: FirmwareFiles, *, run_dir: Path) -> Iterator[Path]:
    """Give a machine its own empty variable store in `run_dir`; no copy stays, after an OSError neither."""
    copy = run_dir / _VARS_NAME
    try:
        copy.touch(mode=0o600)
        shutil.copyfile(files.vars_template, copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)
