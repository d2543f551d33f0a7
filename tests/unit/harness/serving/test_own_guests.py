"""`ttylab serve --disk VM=FILE`: which VM gets what, and what is refused in one line."""

import os
from pathlib import Path

import pytest

from emulator.clock import utc_now
from emulator.cloud.config import demo_config
from emulator.cloud.config_records import build_records
from emulator.cloud.records import VirtualMachine
from emulator.cloud.settings import Settings
from emulator.errors import SpecError
from emulator.guest_images.own import linux_names
from emulator.lab_file.read import VARIABLE
from emulator.machine.spec import Firmware
from emulator.service.state.store import StateDirectory
from harness.serving.access import access_to
from harness.serving.environment import render_banner
from harness.serving.own_guests import own_guests
from tests.support.own_files import bios_disk, uefi_disk

DEMO = demo_config()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with two disks."""
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.chdir(tmp_path)
    bios_disk(tmp_path / "bios.raw")
    uefi_disk(tmp_path / "uefi.raw")
    return tmp_path


def test_vms_boot_the_files_under_firmware_that_starts_them(place: Path) -> None:
    disks = ["linux1=uefi.raw", "win1=bios.raw", "linux2=bios.raw"]
    with own_guests(DEMO, disks=disks, kernels=[], state=None) as served:
        records = build_records(served, now=utc_now(), known_images=linux_names(), origin="demo")
        plans = {one.id.name: one.guest for one in records if isinstance(one, VirtualMachine)}
        names = {vm: (plans[vm].image, plans[vm].firmware, plans[vm].stands_in_for) for vm in plans}
        assert names["linux1"] == ("uefi.raw", Firmware.OVMF, None)
        assert names["win1"] == ("bios.raw", Firmware.SEABIOS, None)
        assert names["linux2"] == ("bios.raw", Firmware.SEABIOS, None)
        assert names["nodiag1"][0] not in {"bios.raw", "uefi.raw"}
        banner = render_banner(
            access_to(records, endpoint="https://localhost:8443", ca=Path("ca")), records, Settings()
        )
        assert f"linux1 (boots {place / 'uefi.raw'}), linux2 (boots {place / 'bios.raw'})" in banner
    assert os.environ[VARIABLE] == ""


def test_nothing_asked_for_changes_nothing(place: Path) -> None:
    with own_guests(DEMO, disks=[], kernels=[], state=place / "state") as served:
        assert served is DEMO
    assert not (place / "state").exists()


def test_state_directory_keeps_the_files_for_later_starts(place: Path) -> None:
    state = place / "state"
    with own_guests(DEMO, disks=["linux1=bios.raw"], kernels=[], state=state):
        pass
    with own_guests(DEMO, disks=[], kernels=[], state=state):
        assert "bios.raw" in linux_names()


@pytest.mark.parametrize(
    ("disks", "kernels", "told"),
    [
        (["x"], [], "--disk is 'x'; write VM=FILE"),
        ([], ["linux1="], "--kernel is 'linux1='; write VM=FILE"),
        (["lnux1=bios.raw"], [], "--disk lnux1=bios.raw: unknown VM 'lnux1'; did you mean linux1"),
        (["linux1=nope"], [], "nope: No such file"),
        (["linux1=bios.raw"], ["linux1=k"], "name a VM twice"),
        ([], ["linux1=bios.raw"], "kernel .*bios.raw: it is no bzImage"),
    ],
)
def test_wrong_words_are_refused(disks: list[str], kernels: list[str], told: str) -> None:
    with pytest.raises(SpecError, match=told), own_guests(DEMO, disks=disks, kernels=kernels, state=None):
        pass


def test_a_cloud_that_exists_takes_no_files(place: Path) -> None:
    (place / "state").mkdir()
    StateDirectory(path=place / "state").database.touch()
    options = {"disks": ["linux1=bios.raw"], "kernels": [], "state": place / "state"}
    with pytest.raises(SpecError, match="state holds a cloud already"), own_guests(DEMO, **options):
        pass
