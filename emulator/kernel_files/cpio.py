"""Writes initramfs archives (cpio "newc") whose bytes depend on nothing but their content. Pure."""

from __future__ import annotations

import gzip
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from emulator.errors import SpecError

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One entry of an archive, owned by root.

    Attributes:
        path: relative to the root of the guest, without a leading slash.
        mode: type and permission bits, as in `stat.st_mode`.
        data: content of a file, or target of a symbolic link.
        device: major and minor number of a device node.
    """

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str, mode: int = 0o755) -> Node:
    """Return a directory."""
    return Node(path=path, mode=stat.S_IFDIR | mode)


def file(path: str, data: bytes, mode: int = 0o644) -> Node:
    """Return a regular file."""
    return Node(path=path, mode=stat.S_IFREG | mode, data=data)


def symlink(path: str, target: str) -> Node:
    """Return a symbolic link."""
    return Node(path=path, mode=stat.S_IFLNK | 0o777, data=target.encode())


def character_device(path: str, major: int, minor: int) -> Node:
    """Return a character device that only root may open."""
    return Node(path=path, mode=stat.S_IFCHR | 0o600, device=(major, minor))


def write_archive(nodes: Iterable[Node]) -> bytes:
    """Return the archive of `nodes`, sorted by path, with their parents; a wrong path raises SpecError."""
    entries = sorted(_with_parents(nodes), key=lambda node: node.path)
    body = b"".join(_entry(node, inode) for inode, node in enumerate(entries, start=1))
    archive = body + _entry(Node(path=_TRAILER, mode=0), 0)
    return archive + b"\0" * (-len(archive) % 512)


def write_initramfs(nodes: Iterable[Node]) -> bytes:
    """Return the archive of `nodes`, compressed by gzip without a time stamp or a name."""
    return gzip.compress(write_archive(nodes), compresslevel=9, mtime=0)


def _with_parents(nodes: Iterable[Node]) -> list[Node]:
    entries: dict[str, Node] = {}
    for node in nodes:
        parts = node.path.split("/")
        if any(part in {"", ".", ".."} for part in parts):
            raise SpecError(f"archive path {node.path!r}: must be relative, without empty, '.' or '..' parts")
        if node.path in entries:
            raise SpecError(f"archive path {node.path!r}: given twice")
        entries[node.path] = node
    for path in list(entries):
        for parent in map(str, PurePosixPath(path).parents[:-1]):
            entries.setdefault(parent, directory(parent))
    return list(entries.values())


def _entry(node: Node, inode: int) -> bytes:
    name = node.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(node.mode) else 1
    major, minor = node.device
    numbers = (inode, node.mode, 0, 0, links, 0, len(node.data), 0, 0, major, minor, len(name), 0)
    header = _MAGIC + b"".join(b"%08X" % number for number in numbers)
    return _padded(header + name) + _padded(node.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
