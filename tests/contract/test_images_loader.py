"""The disk that is made with Debian's programs: the same bytes each time, and every complaint."""

from pathlib import Path

import pytest

from emulator.errors import ImageError, MissingPrerequisite
from emulator.images.image import Package, hash_file
from emulator.images.loader import LOADER_PACKAGES, write_disk
from emulator.images.recipe import disk_files, load_recipe
from emulator.images.store import ImageStore

Debs = list[tuple[Package, Path]]


@pytest.fixture(scope="module")
def store() -> ImageStore:
    return ImageStore()


@pytest.fixture(scope="module")
def debs(store: ImageStore) -> Debs:
    packages = store.ensure("bookworm-grub").packages
    return [(package, store.root / "pool" / package.file_name) for package in packages]


def test_disk_has_the_same_bytes_when_it_is_made_again(store: ImageStore, debs: Debs, tmp_path: Path):
    image = store.open("bookworm-grub")
    built = {"bzimage": image.bzimage.read_bytes(), "initrd": image.initrd.read_bytes()}
    files = disk_files(load_recipe(), built, release=image.kernel_release)
    write_disk(tmp_path / "disk.img", files, debs=debs)
    assert hash_file(tmp_path / "disk.img") == image.sha256["disk.img"]
    assert [path.name for path in tmp_path.iterdir()] == ["disk.img"]


def test_disk_is_refused_when_the_files_do_not_fit(debs: Debs, tmp_path: Path):
    with pytest.raises(ImageError, match=r"mtools -c mcopy failed: .*[Ff]ull"):
        write_disk(tmp_path / "disk.img", {"boot/grub/grub.cfg": b"", "boot/big": bytes(70 << 20)}, debs=debs)


def test_disk_is_refused_when_a_package_is_missing(debs: Debs, tmp_path: Path):
    some = [(package, path) for package, path in debs if package.name not in {"mtools", "libc6"}]
    with pytest.raises(ImageError, match="packages that a disk is made with are missing: libc6, mtools"):
        write_disk(tmp_path / "disk.img", {}, debs=some)


def test_disk_is_refused_when_a_package_is_damaged(tmp_path: Path):
    (tmp_path / "a.deb").write_bytes(b"!<arch>\n")
    damaged = [(Package(name=name, version="1", sha256=""), tmp_path / "a.deb") for name in LOADER_PACKAGES]
    with pytest.raises(ImageError, match="dpkg-deb -x failed: "):
        write_disk(tmp_path / "disk.img", {}, debs=damaged)


def test_disk_says_what_to_install_when_dpkg_is_missing(
    debs: Debs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPrerequisite, match="apt-get install dpkg"):
        write_disk(tmp_path / "disk.img", {}, debs=debs)


def test_store_refuses_a_disk_that_was_changed(store: ImageStore, tmp_path: Path):
    image = store.open("bookworm-grub")
    copy = tmp_path / "bookworm-grub" / image.directory.name
    copy.mkdir(parents=True)
    for path in (image.bzimage, image.vmlinux, image.initrd, image.directory / "manifest.json"):
        (copy / path.name).symlink_to(path)
    with pytest.raises(ImageError, match=r"disk\.img is missing; run: ttylab images build --rebuild"):
        ImageStore(tmp_path).open("bookworm-grub")
    (copy / "disk.img").write_bytes(b"other")
    with pytest.raises(ImageError, match=r"disk\.img has sha256"):
        ImageStore(tmp_path).open("bookworm-grub")
