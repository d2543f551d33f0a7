"""Find OVMF on the host, and give each machine its own variable store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.errors import MissingPrerequisite
from emulator.machine.argv import FirmwareFiles

_OVMF = (
    ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),  # Debian 11+, Ubuntu 20.10+
    ("usr/share/edk2/x64/OVMF_CODE.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd"),  # Arch
    ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),  # Fedora
    ("usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd"),  # older Debian and Ubuntu
)
_VARS_NAME = "ovmf-vars.fd"


def find_ovmf(root: Path = Path("/")) -> FirmwareFiles:
    """Return OVMF's files, the code and the variable store of the same build.

    Raises:
        MissingPrerequisite: no known place below `root` has both.
    """
    for code, variables in _OVMF:
        if (root / code).is_file() and (root / variables).is_file():
            return FirmwareFiles(code=root / code, vars_template=root / variables)
    raise MissingPrerequisite("OVMF (OVMF_CODE_4M.fd and OVMF_VARS_4M.fd)", remedy="apt-get install ovmf")


@contextmanager
def open_private_vars(files: FirmwareFiles, *, run_dir: Path) -> Iterator[Path]:
    """Give a machine its own empty variable store in `run_dir`; it is gone afterwards.

    Raises:
        OSError: the template can't be read or the copy not written (disk full); no copy stays.
    """
    copy = run_dir / _VARS_NAME
    try:
        copy.touch(mode=0o600)
        shutil.copyfile(files.vars_template, copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)
