"""Modules of a kernel: what is in their files, and the order in which they load. Pure."""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import zstandard

from emulator.errors import ImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A loadable module, unpacked.

    Attributes:
        name: as `lsmod` shows it, with underscores.
        depends: names of the modules that must be loaded before it.
        data: the ELF object.
    """

    name: str
    depends: tuple[str, ...]
    data: bytes


def module_name(path: str) -> str:
    """Return the name of the module at a path such as "kernel/drivers/char/hw_random/virtio-rng.ko.xz"."""
    return PurePosixPath(path).name.partition(".ko")[0].replace("-", "_")


def parse_module(path: str, packed: bytes) -> Module:
    """Return the module of a .ko, .ko.xz or .ko.zst file; raises ImageError if it holds none."""
    data = _unpack(path, packed)
    if b"vermagic=" not in data:
        raise ImageError(f"{path}: not a kernel module")
    depends = _modinfo(data, b"depends")
    names = tuple(module_name(name) for name in depends.split(",") if name)
    return Module(name=module_name(path), depends=names, data=data)


def load_order(wanted: Iterable[str], modules: Mapping[str, Module]) -> list[Module]:
    """Return those modules that exist, each once, after what it depends on; ImageError: that is not there."""
    order: dict[str, Module] = {}
    for name in wanted:
        if name in modules:
            _append(name, modules, order=order, path=())
    return list(order.values())


def _append(
    name: str, modules: Mapping[str, Module], *, order: dict[str, Module], path: tuple[str, ...]
) -> None:
    if name in order:
        return
    if name in path:
        raise ImageError(f"modules depend on each other: {' -> '.join((*path, name))}")
    if name not in modules:
        raise ImageError(f"module {path[-1]} depends on {name}, which the kernel package does not have")
    for dependency in modules[name].depends:
        _append(dependency, modules, order=order, path=(*path, name))
    order[name] = modules[name]


def _unpack(path: str, packed: bytes) -> bytes:
    try:
        if path.endswith(".xz"):
            return lzma.decompress(packed)
        if path.endswith(".zst"):
            return zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    except (lzma.LZMAError, zstandard.ZstdError) as error:
        raise ImageError(f"{path}: damaged: {error}") from error
    return packed


def _modinfo(data: bytes, key: bytes) -> str:
    """Return a value of .modinfo; its strings are delimited by NUL bytes, so no ELF parser is needed."""
    start = data.find(b"\0" + key + b"=")
    if start < 0:
        return ""
    start += len(key) + 2
    return data[start : data.index(b"\0", start)].decode("ascii", "replace")
