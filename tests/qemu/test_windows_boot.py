"""Windows' machine on real QEMU, with guests that stand in for Windows: parts, boot, scenario, diagnosis."""

import json
import subprocess
from contextlib import contextmanager
from dataclasses import replace

import pytest

from emulator.clock import Deadline
from emulator.errors import SpecError
from emulator.images.image import linux_spec
from emulator.images.store import ImageStore
from emulator.machine.machine import open_machine
from emulator.machine.power import MachineState
from emulator.machine.process import read_stat
from emulator.machine.run_dir import COM2_FILE, FIRMWARE_FILE
from emulator.machine.spec import Accelerator, Board, Firmware, MachineType, WindowsParts
from emulator.sac.image import SacBoot, sac_spec, write_sac_disk
from emulator.sac.knobs import Hang, SacKnobs
from emulator.sac.profile import IDENTITY, load_profile
from emulator.windows.answer_file import Answers, render_answer_file
from emulator.windows.image import Level, WindowsImage, ensure_spcr, spcr_table, windows_spec
from emulator.windows.install import write_answer_iso
from emulator.windows.registry import WindowsRegistry, identify
from harness import cli
from harness.cells.cell import parse_cell_id
from harness.cells.matrix import read_matrix
from harness.guests.linux import LinuxGuest
from harness.guests.sac import SacGuest
from harness.play.session import Session
from harness.run.cell_run import CellRun
from harness.scenario.errors import SacUnavailable
from harness.scenario.stages import Stage
from harness.scenarios import find_scenario
from harness.snapshots.lab import Lab
from tests.support.boot_sectors import DISK_SIZE, IDLE, SWITCH_OFF
from tests.support.sac_guest import TCG
from tests.support.windows_media import COM2, saying_on, write_media

pytestmark = pytest.mark.qemu
PASSWORD = "Passw0rd!"


def soon(seconds=120):
    return Deadline.after(seconds)


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))


def image_of(path, *, firmware=Firmware.SEABIOS, **fields):
    level = Level.ISO if path.suffix == ".iso" else Level.DISK
    disk_format = None if level is Level.ISO else (path.suffix[1:] if path.suffix != ".img" else "raw")
    fields = {"release": "2022", "disk_format": disk_format, "level": level, "name": "stand-in"} | fields
    return WindowsImage(path=path, identity=identify(path), firmware=firmware, **fields)


@contextmanager
def booted(image, tmp_path, **fields):
    spec = windows_spec(image, memory_mib=512, root=tmp_path, **fields)
    with open_machine(spec, run_dir=tmp_path / "run", accelerator=TCG) as machine:
        from_cd = image.level is Level.ISO
        session = Session(machine.console)
        said = (machine.run_dir / FIRMWARE_FILE).read_bytes
        yield machine, SacGuest(session, load_profile("2022"), boots_from_cd=from_cd, firmware_said=said)


# -- parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("firmware", [Firmware.SEABIOS, Firmware.OVMF])
def test_linux_guest_sees_spcr_com2_and_network_card(tmp_path, firmware):
    parts = WindowsParts(acpi_tables=(ensure_spcr(tmp_path),))
    plain = linux_spec(ImageStore().ensure("bookworm"), Board(machine=MachineType.Q35, firmware=firmware))
    spec = replace(plain, windows=parts)
    with open_machine(spec, run_dir=tmp_path / "run", accelerator=TCG) as machine:
        guest = LinuxGuest(Session(machine.console))
        guest.reach(Stage.SHELL, soon())
        dump = "od -An -v -tx1 /sys/firmware/acpi/tables/SPCR"
        assert bytes.fromhex(guest.run(dump, soon()).output.decode()) == spcr_table()
        assert b"0x10d3" in guest.run("cat /sys/bus/pci/devices/*/device", soon()).output  # e1000e
        guest.run("echo told > /dev/ttyS1", soon())
        said = (machine.run_dir / COM2_FILE).read_bytes()  # OVMF shows itself there too
        assert said.endswith(b"told\r\n")
        assert (b"\x1b[" in said) == (firmware is Firmware.OVMF)


@pytest.mark.parametrize("machine", [MachineType.PC, MachineType.Q35])
@pytest.mark.parametrize("firmware", [Firmware.SEABIOS, Firmware.OVMF])
def test_qemu_takes_the_whole_machine_and_its_tpm_lives_and_ends_with_it(tmp_path, machine, firmware):
    iso, answers = tmp_path / "a, b.iso", tmp_path / "answers.iso"
    write_media(iso)
    write_answer_iso(answers, b"<unattend/>")
    write_sac_disk(tmp_path / "sac.raw")
    image = image_of(tmp_path / "sac.raw", firmware=firmware, tpm=True)
    spec = windows_spec(image, machine=machine, root=tmp_path)
    spec = replace(spec, windows=replace(spec.windows, cdroms=(iso, answers)))
    with open_machine(spec, run_dir=tmp_path / "run", accelerator=TCG) as opened:
        for _ in range(2):
            swtpm = opened._bench.tpm.pid
            assert read_stat(swtpm) is not None
            (tpm,) = opened.query("query-tpm", deadline=soon())
            assert (tpm["model"], tpm["options"]["type"]) == ("tpm-crb", "emulator")
            files = [
                one.get("inserted", {}).get("file") for one in opened.query("query-block", deadline=soon())
            ]
            assert {str(iso), str(answers)} <= set(files)
            assert "com2" in {one["label"] for one in opened.query("query-chardev", deadline=soon())}
            opened.power_off(soon())
            opened.power_on(soon())
        temp_dir = opened.links_dir
    assert opened.state is MachineState.OFF
    assert not temp_dir.exists()
    assert opened._bench.tpm.pid is None


def test_answer_iso_is_read_by_another_program(tmp_path):
    document = render_answer_file(Answers(image_index=1, password="Secret-99"))
    write_answer_iso(tmp_path / "answers.iso", document)
    argv = ["xorriso", "-osirrox", "on", "-indev", "answers.iso", "-extract", "/Autounattend.xml", "read.xml"]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "read.xml").read_bytes() == document
    assert (tmp_path / "answers.iso").stat().st_mode & 0o777 == 0o600


# -- a disk that stands in for Windows ---------------------------------------------------------


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """Register the SAC guest's disk, in some format, as a user does."""
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    write_sac_disk(tmp_path / "own.raw")
    (tmp_path / "password").write_text(f"{PASSWORD}\n")

    def register(disk_format, *options):
        disk = tmp_path / f"own.{disk_format}"
        if disk_format != "raw":
            argv = ["qemu-img", "convert", "-O", disk_format, str(tmp_path / "own.raw"), str(disk)]
            subprocess.run(argv, check=True)
        words = ["--disk", str(disk), "--name", "own", "--password-file", str(tmp_path / "password")]
        assert cli.main(["images", "add-windows", *words, *options]) == 0
        return disk

    return register


@pytest.mark.parametrize(
    ("disk_format", "firmware", "scenarios"),
    [
        ("raw", "seabios", ("sac-boot", "sac-cmd", "sac-nmi-prompt", "sac-reset-cmd")),
        ("qcow2", "seabios", ("sac-cmd", "sac-power-button-prompt")),
        ("vhdx", "ovmf", ("sac-cmd",)),
    ],
)
def test_registered_disk_plays_scenarios_and_stays_as_it_is(
    tmp_path, registered, disk_format, firmware, scenarios
):
    disk = registered(disk_format, "--firmware", firmware)
    before = disk.read_bytes()
    lab = Lab(run_dir=tmp_path / "run", accelerator=Accelerator.TCG)
    for name in scenarios:
        cell = parse_cell_id(f"own.q35.{firmware}.2.{name}")
        result = CellRun(cell=cell, scenario=find_scenario(name), lab=lab).run()
        assert (result.status, result.message) == ("passed", "")
        assert result.image["guest"] == f"{IDENTITY}, registered by its user"
    assert disk.read_bytes() == before
    assert PASSWORD not in json.dumps(result.image)


def test_matrix_names_a_registered_image_and_all_does_not(tmp_path, registered):
    registered("raw")
    matrix = tmp_path / "matrix.toml"

    def cells(images, firmwares):
        matrix.write_text(
            f"""[matrix]
name = "own"
description = "x"
[[block]]
images = {images}
machines = ["q35"]
firmwares = {firmwares}
vcpus = [1]
scenarios = ["sac-boot", "sac-menu-choice", "sac-dump-nmi"]
"""
        )
        found = read_matrix(matrix)
        return [cell.id for cell in found.cells], {one.cell.id: one.reason for one in found.excluded}

    ran, left_out = cells('["own"]', '["seabios", "ovmf"]')
    assert ran == ["own.q35.seabios.1.sac-boot"]
    assert left_out["own.q35.ovmf.1.sac-boot"] == "own is registered as booting under another firmware"
    assert {reason for reason in left_out.values() if "knobs" in reason} == {"the guest has no has_knobs"}
    assert not [cell for cell in cells('"all"', '["seabios"]')[0] if cell.startswith("own.")]


def test_registered_disk_that_was_changed_is_no_longer_booted(tmp_path, registered):
    disk = registered("raw")
    with disk.open("ab") as file:
        file.write(b"more")
    with pytest.raises(SpecError, match="was changed since it was registered"):
        Lab(run_dir=tmp_path / "run").guest_image("own")
    assert WindowsRegistry().remove("own") is None


# -- where a guest is that will not come to SAC ------------------------------------------------


@pytest.mark.parametrize("firmware", [Firmware.SEABIOS, Firmware.OVMF])
def test_empty_disk_is_named(tmp_path, firmware):
    (tmp_path / "empty.img").write_bytes(bytes(DISK_SIZE))
    with booted(image_of(tmp_path / "empty.img", firmware=firmware), tmp_path) as (_, guest):
        with pytest.raises(SacUnavailable) as caught:
            guest.reach(Stage.SAC, soon())
        assert caught.value.state == "nothing boots"


def test_silent_boot_record_is_named_as_far_as_it_can_be(tmp_path):
    (tmp_path / "mbr.img").write_bytes((IDLE.ljust(510, b"\0") + b"\x55\xaa").ljust(DISK_SIZE, b"\0"))
    with booted(image_of(tmp_path / "mbr.img"), tmp_path) as (_, guest):
        with pytest.raises(SacUnavailable, match="nothing was written") as caught:
            guest.reach(Stage.SAC, soon(5))
        assert caught.value.state == "silence"


@pytest.mark.parametrize(
    ("firmware", "stage"),
    [
        (Firmware.SEABIOS, Stage.LOADER),
        (Firmware.SEABIOS, Stage.SAC),
        (Firmware.SEABIOS, None),
        (Firmware.OVMF, Stage.SAC),
    ],
)
def test_linux_disk_is_named(tmp_path, firmware, stage):
    disk = ImageStore().ensure("bookworm-grub").disk
    with booted(image_of(disk, firmware=firmware, disk_format="raw"), tmp_path) as (_, guest):
        with pytest.raises(SacUnavailable) as caught:
            guest.sync(soon()) if stage is None else guest.reach(stage, soon())
        assert caught.value.state == "no Windows"


@pytest.mark.parametrize(
    ("hang", "state"),
    [(Hang.EMS_OFF, "EMS is off"), (Hang.KERNEL_DEBUGGER, "a kernel debugger has the port")],
)
@pytest.mark.parametrize("stage", [Stage.LOADER, Stage.CMD, None])
def test_windows_without_sac_is_named(tmp_path, hang, state, stage):
    knobs = SacKnobs(hang=hang, menu=False)
    spec = sac_spec(way=SacBoot.BIOS_DISK, knobs=knobs, root=tmp_path / "images")
    with open_machine(spec, run_dir=tmp_path / "run", accelerator=TCG) as machine:
        guest = SacGuest(Session(machine.console), load_profile("2022"))
        with pytest.raises(SacUnavailable) as caught:
            guest.sync(soon()) if stage is None else guest.reach(stage, soon())
        assert caught.value.state == state


def test_sac_without_cmd_is_named(tmp_path):
    spec = sac_spec(way=SacBoot.PVH, knobs=SacKnobs(cmd_event_ms=-1), root=tmp_path / "images")
    with open_machine(spec, run_dir=tmp_path / "run", accelerator=TCG) as machine:
        guest = SacGuest(Session(machine.console), load_profile("2022"))
        guest.reach(Stage.SAC, soon())
        with pytest.raises(SacUnavailable) as caught:
            guest.reach(Stage.CMD, soon(3))
        assert caught.value.state == "SAC without CMD"


def test_media_that_ask_for_a_key_get_one(tmp_path):
    knobs = SacKnobs(cd_prompt_s=60)
    spec = sac_spec(way=SacBoot.PVH, knobs=knobs, root=tmp_path / "images")
    with open_machine(spec, run_dir=tmp_path / "run", accelerator=TCG) as machine:
        guest = SacGuest(Session(machine.console), load_profile("2022"), boots_from_cd=True)
        guest.reach(Stage.CMD, soon())


def test_media_boot_as_they_are_from_a_cd(tmp_path):
    iso = write_media(tmp_path / "pe.iso", boot=saying_on(COM2, b"booted\r\n", SWITCH_OFF))
    with booted(image_of(iso), tmp_path) as (machine, guest):
        with guest.session.expecting("shutdown", "off"):
            guest.session.wait_mark(frozenset({"off"}), soon(), since=0)
        assert (machine.run_dir / COM2_FILE).read_bytes() == b"booted\r\n"
