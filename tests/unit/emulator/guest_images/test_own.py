"""Users' images by name: what a file is, what an image of it is called, what is known before it is opened."""

from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.guest_images.own import file_kind, linux_names, own_features, own_name, own_tables
from emulator.lab_file.read import VARIABLE
from emulator.lab_file.tables import NAME
from emulator.machine.architectures import UNKNOWN
from tests.support.own_files import bios_disk, tiny_kernel


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a lab.toml and use it."""

    def write(text: str) -> Path:
        (tmp_path / "lab.toml").write_text(text)
        monkeypatch.setenv(VARIABLE, str(tmp_path / "lab.toml"))
        return tmp_path / "lab.toml"

    return write


def test_what_a_file_is_stands_in_its_first_bytes(tmp_path: Path) -> None:
    assert file_kind(tiny_kernel(tmp_path / "disk.qcow2")) == "kernel"
    assert file_kind(bios_disk(tmp_path / "bzImage")) == "disk"
    cut = tmp_path / "cut"
    cut.write_bytes((tmp_path / "disk.qcow2").read_bytes()[:700])
    assert file_kind(cut) == "kernel"
    with pytest.raises(SpecError, match="nope: No such file"):
        file_kind(tmp_path / "nope")
    with pytest.raises(SpecError, match="is a directory, not a file"):
        file_kind(tmp_path)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("bzImage", "bzimage"),
        ("vmlinuz-6.1.0-50-amd64", "vmlinuz-6.1.0-50-amd64"),
        ("My Disk (2).QCOW2", "my-disk-2-qcow2"),
        ("..odd..", "odd"),
        ("ü\udcff", "image"),
        ("bookworm", "bookworm-2"),
        ("x" * 90, "x" * 40),
    ],
)
def test_a_files_name_becomes_an_images(file: str, name: str) -> None:
    found = own_name(Path("/x") / file, {"bookworm"})
    assert NAME.fullmatch(found)
    assert found == name


def test_names_of_a_lab_are_images_of_vms_too(lab) -> None:
    lab('[images.server]\ndisk = "d"\n')
    assert {"server", "bookworm"} <= linux_names()
    assert "sac" not in linux_names()


def test_nothing_is_known_of_modules_that_cant_be_read(lab) -> None:
    lab('[images.mine]\nkernel = "k"\ninitrd = "ttylab"\nmodules = "m"\n')
    assert own_features() == {"mine": {"own", UNKNOWN}}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[images.x]\ndisk = "d"\nfirmware = "bios"\n', "images.x: unknown firmware 'bios'; "),
        ('[images.x]\ndisk = "d"\nmachine = "pcc"\n', "images.x: unknown machine 'pcc'; did you mean pc"),
        ('[images.bookworm]\ndisk = "d"\n', "images.bookworm: ttylab itself has an image of that name"),
        ('[images.sac]\ndisk = "d"\n', "images.sac: ttylab itself has an image of that name"),
    ],
)
def test_an_image_that_cant_be_is_told(lab, text: str, complaint: str) -> None:
    file = lab(text)
    with pytest.raises(SpecError) as told:
        own_tables()
    assert f"{file}: {complaint}" in str(told.value)
