"""qemu-img, which makes disks and reads those that are not raw."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.errors import ImageError, MissingPrerequisite

HEAD_BYTES = 1 << 20
"""How much of a disk is read: it holds the partition tables, and ttylab's SAC guest."""
_BOUND_S = 120.0
_CHECKED = frozenset({"qcow2", "vhdx", "vmdk"})
_LEAKS = 3
"""Exit code of a check that found no more than space that nothing uses (qemu-img 7.2)."""


def create_disk(path: Path, *, gib: int) -> None:
    """Make an empty qcow2 disk of `gib` GiB; after an ImageError or MissingPrerequisite there is no file."""
    try:
        _run("create", "-q", "-f", "qcow2", str(path), f"{gib}G")
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def create_overlay(path: Path, base: Path, *, disk_format: str, size: int | None) -> None:
    """Make a qcow2 disk over `base`, of which `size` bytes show, None: all; raises as `create_disk`."""
    shown = () if size is None else (str(size),)
    _run("create", "-q", "-f", "qcow2", "-b", str(base), "-F", disk_format, str(path), *shown)


def read_head(path: Path, *, disk_format: str, at: int = 0, size: int = HEAD_BYTES) -> bytes:
    """Return the first MiB of a disk as a guest sees it, or `size` bytes from byte `at` on.

    Raises OSError if it can't be read; if it is not raw, ImageError and MissingPrerequisite as `create_disk`.
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


def damage(path: Path, *, disk_format: str) -> str:
    """Return what `qemu-img check` has against a disk, as that it is cut off; empty for formats without one.

    Clusters that nothing uses are no harm. Raises ImageError and MissingPrerequisite as `create_disk`.
    """
    if disk_format not in _CHECKED:
        return ""
    done = _start("check", "-q", "-U", "-f", disk_format, str(path))
    if done.returncode in {0, _LEAKS}:
        return ""
    return f"it is cut off or damaged: qemu-img check: {_last_line(done.stderr or done.stdout)}"


def convert_disk(path: Path, copy: Path, *, disk_format: str, bound_s: float) -> None:
    """Write a qcow2 copy of a disk to `copy`, within `bound_s` seconds; errors are those of `create_disk`."""
    _run("convert", "-q", "-f", disk_format, "-O", "qcow2", str(path), str(copy), bound_s=bound_s)


def _run(*arguments: str, bound_s: float = _BOUND_S) -> None:
    done = _start(*arguments, bound_s=bound_s)
    if done.returncode != 0:
        raise ImageError(f"qemu-img {arguments[0]} failed: {_last_line(done.stderr)}")


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "backslashreplace").splitlines() or ["no message"]
    return lines[-1].removeprefix("qemu-img: ")


def _start(*arguments: str, bound_s: float = _BOUND_S) -> subprocess.CompletedProcess[bytes]:
    argv = ("qemu-img", *arguments)
    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=bound_s, check=False
        )
    except FileNotFoundError as error:
        raise MissingPrerequisite("qemu-img", remedy="apt-get install qemu-utils") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"qemu-img {arguments[0]}: no end after {bound_s:.0f} s") from error
