"""Kernel modules: names, dependencies, order."""

import lzma

import pytest
import zstandard

from emulator.errors import ImageError
from emulator.kernel_files.modules import Module, load_order, module_name, parse_module

KO = b"\x7fELF..\0vermagic=6.1.0 SMP\0name=virtio_rng\0depends=virtio,rng-core\0"


def module(name: str, *depends: str) -> Module:
    return Module(name=name, depends=depends, data=name.encode())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("kernel/drivers/char/hw_random/virtio-rng.ko", "virtio_rng"),
        ("usr/lib/modules/6.12/kernel/button.ko.xz", "button"),
        ("i6300esb.ko.zst", "i6300esb"),
    ],
)
def test_module_name_is_the_one_that_lsmod_shows(path: str, name: str):
    assert module_name(path) == name


@pytest.mark.parametrize(
    ("suffix", "pack"), [("", bytes), (".xz", lzma.compress), (".zst", zstandard.ZstdCompressor().compress)]
)
def test_module_is_read_when_packed_any_way(suffix: str, pack):
    read = parse_module(f"a/virtio-rng.ko{suffix}", pack(KO))
    assert (read.name, read.depends, read.data) == ("virtio_rng", ("virtio", "rng_core"), KO)


def test_module_without_dependencies_has_none():
    assert parse_module("button.ko", b"\0vermagic=6.1\0depends=\0").depends == ()


@pytest.mark.parametrize(
    ("path", "data", "complaint"),
    [
        ("a.ko", b"junk", "not a kernel module"),
        ("a.ko.xz", b"junk", "damaged"),
        ("a.ko.zst", b"junk", "damaged"),
    ],
)
def test_module_is_refused_when_damaged(path: str, data: bytes, complaint: str):
    with pytest.raises(ImageError, match=complaint):
        parse_module(path, data)


def test_load_order_puts_dependencies_first_and_leaves_out_what_is_missing():
    modules = {
        each.name: each for each in (module("a", "b", "c"), module("b", "c"), module("c"), module("d"))
    }
    order = load_order(["d", "builtin", "a", "c"], modules)
    assert [each.name for each in order] == ["d", "c", "b", "a"]


def test_load_order_refuses_a_missing_dependency():
    with pytest.raises(ImageError, match="a depends on b, which the kernel package does not have"):
        load_order(["a"], {"a": module("a", "b")})


def test_load_order_refuses_a_circle():
    with pytest.raises(ImageError, match="a -> b -> a"):
        load_order(["a"], {"a": module("a", "b"), "b": module("b", "a")})
