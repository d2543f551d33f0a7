"""qemu-img, which makes disks and reads those that are not raw."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.errors import ImageError, MissingPrerequisite

HEAD_BYTES = 1 << 20
"""How much of a disk is read: it holds the partition tables, and ttylab's SAC guest."""
_BOUND_S = 120.0


def create_disk(path: Path, *, gib: int) -> None:
    """Make an empty qcow2 disk of `gib` GiB, which takes almost no space at first.

    Raises:
        ImageError: it can't be made; no file is left behind.
        MissingPrerequisite: qemu-img is not installed.
    """
    try:
        _run("create", "-q", "-f", "qcow2", str(path), f"{gib}G")
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def read_head(path: Path, *, disk_format: str, at: int = 0, size: int = HEAD_BYTES) -> bytes:
    """Return the first MiB of a disk as a guest sees it, or `size` bytes from byte `at` on.

    Raises:
        ImageError: the disk is damaged.
        MissingPrerequisite: qemu-img, which every format but raw needs, is not installed.
        OSError: it can't be read.
    """
    if disk_format == "raw":
        with path.open("rb") as file:
            file.seek(at)
            return file.read(size)
    with TemporaryDirectory(prefix="ttylab-head-") as name:
        head = Path(name) / "head"
        # dd counts from the disk's beginning, also what it skips; it takes 20 s for 64 MiB in sectors.
        first, last = at // HEAD_BYTES, (at + size - 1) // HEAD_BYTES + 1
        part = (f"bs={HEAD_BYTES}", f"count={last}", f"skip={first}")
        _run("dd", "-f", disk_format, "-O", "raw", *part, f"if={path}", f"of={head}")
        return head.read_bytes()[at % HEAD_BYTES :][:size]


def _run(*arguments: str) -> None:
    argv = ("qemu-img", *arguments)
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_BOUND_S, check=False
        )
    except FileNotFoundError as error:
        raise MissingPrerequisite("qemu-img", remedy="apt-get install qemu-utils") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"qemu-img {arguments[0]}: no end after {_BOUND_S:.0f} s") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "backslashreplace").splitlines() or ["no message"]
        raise ImageError(f"qemu-img {arguments[0]} failed: {lines[-1]}")
