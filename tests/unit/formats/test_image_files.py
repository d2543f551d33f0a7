"""Formats about images: manifest and seal of a built one, the registry of a user's Windows."""

import json
import re
from pathlib import Path

import pytest

from emulator.errors import ImageError
from emulator.images.image import FILES, Manifest
from emulator.images.package import Package
from emulator.images.seal import is_sealed, read_manifest, seal
from emulator.images.windows.registry import REGISTRY, WindowsRegistry
from emulator.images.windows.windows_image import FileIdentity, Level, WindowsImage
from tests.support.sample_files import GONE, damaged, sample

MANIFEST = Manifest(
    name="bookworm", suite="bookworm", flavour="cloud", kernel_request="latest", kernel_version="6.1.176-1",
    kernel_release="6.1.0-50-cloud-amd64", modules=("i6300esb", "spin"), recipe="ef" * 32,
    packages=(
        Package(name="busybox-static", version="1:1.35.0-4", sha256="01" * 32),
        Package(name="dash", version="0.5", sha256="02" * 32, architecture="all"),
    ),
    sha256={"vmlinux": "cd" * 32, "bzimage": "ab" * 32, "initrd": "ef" * 32, "disk.img": "12" * 32},
)  # fmt: skip
IDENTITY = FileIdentity(size=3 << 30, mtime_ns=1_700_000_000_123_456_789, ends_sha256="ab" * 32)
WINDOWS = (
    WindowsImage(
        name="ws", level=Level.DISK, path=Path("/disks/ws.vhdx"), identity=IDENTITY, release="2019",
        firmware="ovmf", disk_format="vhdx", tpm=True, user="Made Up", domain="D", password="x",
        is_sac_guest=True,
    ),
    WindowsImage(
        name="media", level=Level.ISO, path=Path("/disks/ws.iso"), identity=IDENTITY, release="2022",
        firmware="seabios",
    ),
)  # fmt: skip


def test_manifest_of_an_image_is_as_it_was(tmp_path):
    (tmp_path / "manifest.json").write_bytes(sample("image.json"))
    assert read_manifest(tmp_path) == MANIFEST
    assert MANIFEST.to_json().encode() == sample("image.json")


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (["recipe"], GONE), (["format"], GONE), (["format"], "x"), (["modules"], "spin"), (["more"], 1),
        (["packages", 0, "architecture"], GONE), (["sha256", "vmlinux"], 5),
    ],
)  # fmt: skip
def test_manifest_of_an_image_says_no(tmp_path, keys, to):
    (tmp_path / "manifest.json").write_bytes(damaged(sample("image.json"), *keys, to=to))
    with pytest.raises(ImageError):
        read_manifest(tmp_path)


def test_seal_of_an_image_is_as_it_was(tmp_path):
    for size, name in enumerate((*FILES, "disk.img", "manifest.json")):
        (tmp_path / name).write_bytes(bytes(size))
    seal(tmp_path)
    assert is_sealed(tmp_path)
    written = (tmp_path / "seal.json").read_bytes()
    found = [(tmp_path / name).stat() for name in json.loads(written)]
    places = [(one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino) for one in found]
    assert [tuple(one) for one in json.loads(written).values()] == places
    assert re.sub(rb", \d+, \d+, \d+\]", b", 1, 2, 3]", written) == sample("seal.json")
    for wrong in (sample("seal.json"), b"{}", b"", damaged(written, "vmlinux", to=GONE)):
        (tmp_path / "seal.json").write_bytes(wrong)
        assert not is_sealed(tmp_path)


def test_registry_of_windows_is_as_it_was(tmp_path):
    registry = WindowsRegistry(tmp_path)
    for image in WINDOWS:
        registry.add(image)
    assert (tmp_path / REGISTRY).read_bytes() == sample("windows.json")
    (tmp_path / REGISTRY).write_bytes(sample("windows.json"))
    assert list(registry.images().items()) == [(one.name, one) for one in reversed(WINDOWS)]


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (["images"], GONE), (["format"], 2), (["format"], GONE), (["more"], 1), (["images", 0, "tpm"], GONE),
        (["images", 0, "level"], "odd"), (["images", 0, "path"], None), (["images", 0, "release"], "1999"),
        (["images", 0, "identity", "size"], "x"), (["images", 0, "more"], 1),
    ],
)  # fmt: skip
def test_registry_of_windows_says_no(tmp_path, keys, to):
    (tmp_path / REGISTRY).write_bytes(damaged(sample("windows.json"), *keys, to=to))
    with pytest.raises(ImageError):
        WindowsRegistry(tmp_path).images()
