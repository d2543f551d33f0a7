"""Find the QEMU to use, and refuse one that would only fail later."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from emulator.clock import Deadline
from emulator.errors import MissingPrerequisite
from emulator.machine.argv import QemuVersion
from emulator.machine.bounded import run_bounded

PROGRAM = "qemu-system-x86_64"
ENVIRONMENT = "TTYLAB_QEMU"
OLDEST = QemuVersion(7, 2)
VERSION_BOUND_S = 5.0
_REMEDY = f"apt-get install qemu-system-x86, or name another one in {ENVIRONMENT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuBinary:
    """A QEMU that answered.

    Attributes:
        path: absolute path of the program.
        version: what it says it is.
    """

    path: Path
    version: QemuVersion

    def sha256(self) -> str:
        """Return the hash of the program in hex; reads about 20 MB."""
        with self.path.open("rb") as program:
            return hashlib.file_digest(program, "sha256").hexdigest()


def find_qemu(path: str | None = None) -> QemuBinary:
    """Return the QEMU at `path`, else at $TTYLAB_QEMU, else on PATH.

    The version is asked for once per process and file; a changed file is asked again.

    Raises:
        MissingPrerequisite: there is none, it does not answer as QEMU, or it is older than 7.2.
    """
    wanted = path or os.environ.get(ENVIRONMENT) or PROGRAM
    found = shutil.which(wanted)
    if found is None:
        raise MissingPrerequisite(wanted, remedy=_REMEDY)
    program = Path(found).absolute()
    facts = program.stat()
    version = _remembered_version(program, facts.st_mtime_ns, facts.st_size)
    if version < OLDEST:
        raise MissingPrerequisite(f"QEMU {OLDEST} or newer ({program} is {version})", remedy=_REMEDY)
    return QemuBinary(path=program, version=version)


def query_version(program: Path, *, deadline: Deadline) -> QemuVersion:
    """Ask a program for its version; it is killed when the deadline comes.

    Raises:
        MissingPrerequisite: it does not answer as QEMU, or `setpriv` is missing.
    """
    try:
        answer = run_bounded([str(program), "--version"], deadline=deadline)
    except OSError as error:
        raise MissingPrerequisite(
            f"setpriv ({error.strerror})", remedy="apt-get install util-linux"
        ) from error
    version = QemuVersion.parse(answer.stdout.decode("utf-8", "replace"))
    if answer.exit_code != 0 or version is None:
        symptom = _symptom(answer.exit_code)
        raise MissingPrerequisite(f"a working {PROGRAM} ({program} {symptom})", remedy=_REMEDY)
    return version


@lru_cache(maxsize=8)
def _remembered_version(program: Path, _mtime_ns: int, _size: int) -> QemuVersion:
    return query_version(program, deadline=Deadline.after(VERSION_BOUND_S))


def _symptom(exit_code: int | None) -> str:
    if exit_code is None:
        return "does not answer --version"
    return (
        "answers --version without a version of QEMU"
        if exit_code == 0
        else f"ends with exit code {exit_code}"
    )
