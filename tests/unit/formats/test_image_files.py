"""Formats about images: manifest and seal of a built one, the registry of a user's Windows."""

import json
import re

import pytest

from emulator.errors import ImageError
from emulator.images.image import FILES
from emulator.images.seal import is_sealed, read_manifest, seal
from emulator.images.windows.registry import REGISTRY, WindowsRegistry
from tests.support.sample_files import GONE, damages, sample, says_the_same

NO_IMAGE = (
    ("recipe", GONE), ("format", GONE), ("format", "x"), ("modules", "spin"), ("more", 1),
    ("packages.0.architecture", GONE), ("sha256.vmlinux", 5),
)  # fmt: skip
NO_WINDOWS = (
    ("images", GONE), ("format", 2), ("format", GONE), ("more", 1), ("images.0.tpm", GONE),
    ("images.0.level", "odd"), ("images.0.path", None), ("images.0.release", "1999"),
    ("images.0.identity.size", "x"), ("images.0.more", 1),
)  # fmt: skip


def test_manifest_of_an_image(tmp_path):
    (tmp_path / "manifest.json").write_bytes(sample("image.json"))
    manifest, table = read_manifest(tmp_path), json.loads(sample("image.json"))
    assert says_the_same(manifest, {key: one for key, one in table.items() if key != "format"})
    assert manifest.to_json().encode() == sample("image.json")
    for data in damages(sample("image.json"), NO_IMAGE):
        (tmp_path / "manifest.json").write_bytes(data)
        with pytest.raises(ImageError):
            read_manifest(tmp_path)


def test_seal_of_an_image(tmp_path):
    for size, name in enumerate((*FILES, "disk.img", "manifest.json")):
        (tmp_path / name).write_bytes(bytes(size))
    seal(tmp_path)
    assert is_sealed(tmp_path)
    written = (tmp_path / "seal.json").read_bytes()
    found = {name: (tmp_path / name).stat() for name in json.loads(written)}
    assert json.loads(written) == {
        name: [one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino] for name, one in found.items()
    }
    assert re.sub(rb", \d+, \d+, \d+\]", b", 1, 2, 3]", written) == sample("seal.json")
    for wrong in (sample("seal.json"), b"{}", b"", *damages(written, [("vmlinux", GONE)])):
        (tmp_path / "seal.json").write_bytes(wrong)
        assert not is_sealed(tmp_path)


def test_registry_of_windows(tmp_path):
    (tmp_path / REGISTRY).write_bytes(sample("windows.json"))
    images = WindowsRegistry(tmp_path).images()
    assert says_the_same([*images.values()], json.loads(sample("windows.json"))["images"])
    for image in reversed(images.values()):
        WindowsRegistry(tmp_path / "new").add(image)
    assert (tmp_path / "new" / REGISTRY).read_bytes() == sample("windows.json")
    for data in damages(sample("windows.json"), NO_WINDOWS):
        (tmp_path / REGISTRY).write_bytes(data)
        with pytest.raises(ImageError):
            WindowsRegistry(tmp_path).images()
