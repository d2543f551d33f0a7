"""`ttylab images add-windows` and what follows: refusals, list, machine of a cell, keyboard, driver."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.guest_images.kinds import REGISTERED, image_features
from emulator.machine.spec import Firmware, MachineType
from emulator.windows.image import Level, WindowsImage
from emulator.windows.registry import WindowsRegistry, identify
from harness import cli
from harness.cells.cell import parse_cell_id
from harness.cells.matrix import misfit
from harness.commands import add_windows
from harness.guests.drivers import open_guest
from harness.play.session import Session
from harness.run.cell_run import CellRun
from harness.run.wanted import guest_spec
from harness.scenarios import find_scenario
from harness.snapshots.lab import Lab
from harness.targets import find_target
from harness.terminal.interactive import interactive_spec
from tests.support.fake_sac import make_sac_target
from tests.support.windows_media import CORE, write_media

SECRET = "Secret-99"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "My Disk.raw"
    head = bytearray(1 << 20)
    head[450], head[510:512] = 0x07, b"\x55\xaa"
    path.write_bytes(head)
    return path


@pytest.fixture
def image(disk):
    image = WindowsImage(
        name="ws",
        level=Level.DISK,
        path=disk,
        disk_format="raw",
        identity=identify(disk),
        release="2019",
        firmware=Firmware.SEABIOS,
        user="joe",
        domain="corp",
        password=SECRET,
    )
    WindowsRegistry().add(image)
    return image


def add(*words):
    return cli.main(["images", "add-windows", *map(str, words)])


# -- the command -------------------------------------------------------------------------------


def test_disk_is_registered_with_its_notes(disk, tmp_path, capfd):
    (tmp_path / "pw").write_text(f"{SECRET}\r\nsecond line\n")
    assert add("--disk", disk, "--release", "2019", "--password-file", tmp_path / "pw", "--user", "joe") == 0
    said = capfd.readouterr()
    assert said.out == f"my-disk: {disk} (disk, 2019, seabios)\nnext: ttylab boot my-disk\n"
    image = WindowsRegistry().open("my-disk")
    assert (image.user, image.password) == ("joe", SECRET)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "say either --iso FILE or --disk FILE"),
        (("--iso", "a", "--disk", "b"), "say either --iso FILE or --disk FILE"),
        (("--disk", "a", "--install"), "go with --iso, not with --disk"),
        (("--disk", "a", "--edition", "1"), "go with --iso, not with --disk"),
        (("--iso", "a", "--edition", "1"), "--edition goes with --install"),
        (("--iso", "nope.iso"), "there is no such file"),
        (("--disk", "."), "is a directory, not a file"),
        (("--disk", "DISK", "--firmware", "uefi"), "--firmware is 'uefi'; allowed: seabios, ovmf"),
        (("--disk", "DISK", "--format", "vdi"), "--format is 'vdi'; allowed: raw, qcow2, vpc, vhdx, vmdk"),
        (("--disk", "DISK", "--release", "7"), "release is '7'; allowed: 2003 2016"),
        (("--disk", "DISK", "--name", "A B"), "name is 'A B'; allowed"),
        (("--disk", "DISK", "--name", "bookworm"), "there is an image 'bookworm' already"),
        (("--disk", "DISK", "--name", "sac-2016"), "there is an image 'sac-2016' already"),
        (("--disk", "DISK", "--password-file", "nope"), "--password-file nope: can't be read"),
        (("--disk", "DISK", "--password-file", "/dev/null"), "its first line is empty"),
        (("--iso", "DISK"), "not an ISO image"),
        (("--iso", "a", "--disk-gib", "1"), "--disk-gib"),
    ],
)
def test_wrong_words_end_with_2_and_register_nothing(disk, capfd, words, text):
    assert add(*(str(disk) if word == "DISK" else word for word in words)) == 2
    said = capfd.readouterr().err
    assert text in said
    assert "Traceback" not in said
    assert WindowsRegistry().images() == {}


def test_editions_are_listed_and_nothing_is_registered(tmp_path, capfd):
    assert add("--iso", write_media(tmp_path / "s.iso", CORE), "--list-editions") == 0
    assert capfd.readouterr().out == (
        f"  1  Windows Server 2022 Serverstandard 1  ({CORE}, ServerStandard, Server Core, build 20348)\n"
    )
    assert add("--iso", write_media(tmp_path / "pe.iso"), "--list-editions") == 0
    assert "nothing to install" in capfd.readouterr().out
    assert WindowsRegistry().images() == {}


@pytest.mark.parametrize(
    ("media", "words", "text"),
    [
        ({"names": ()}, (), "has nothing to install; it is WinPE alone"),
        ({"names": (CORE, "Other")}, (), "--install needs --edition"),
        ({"names": (CORE,), "kind": "Client"}, (), "client Windows has no SAC as it is installed"),
        ({"names": (CORE,)}, ("--language", "x"), "language is 'x'"),
    ],
)
def test_installation_that_can_not_be_is_refused_before_it_begins(tmp_path, capfd, media, words, text):
    names = media.pop("names")
    iso = write_media(tmp_path / "s.iso", *names, **media)
    assert add("--iso", iso, "--install", *words) == 2
    assert text in capfd.readouterr().err
    assert not (WindowsRegistry().root / "bases").exists()


def test_password_is_asked_for(monkeypatch):
    monkeypatch.setattr(add_windows.getpass, "getpass", lambda prompt: f"<{prompt}>")
    assert add_windows.read_secret(Path("-"), "--password-file") == "<password: >"


def test_list_shows_what_is_registered_and_no_password(image, capfd):
    assert cli.main(["images", "list"]) == 0
    assert "Windows, by your word" in capfd.readouterr().out
    assert cli.main(["images", "list", "--json"]) == 0
    said = capfd.readouterr().out
    assert SECRET not in said
    (own,) = [one for one in json.loads(said) if one["name"] == "ws"]
    assert (own["real_windows"], own["release"], own["path"]) == (True, "2019", str(image.path))


def test_list_tells_the_sac_guest_from_windows(image, capfd):
    WindowsRegistry().add(replace(image, name="guest", is_sac_guest=True))
    assert cli.main(["images", "list", "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capfd.readouterr().out)}
    assert not found["guest"]["real_windows"]
    assert "not Windows" in found["guest"]["guest"]


def test_removed_image_is_forgotten_and_its_file_stays(image, capfd):
    assert cli.main(["images", "remove-windows", "ws"]) == 0
    assert capfd.readouterr().out == "forgot ws; its file is untouched\n"
    assert image.path.exists()
    assert cli.main(["images", "remove-windows", "ws"]) == 2
    assert "there are: none" in capfd.readouterr().err


# -- what follows ------------------------------------------------------------------------------


def test_registered_image_is_an_image_like_the_others(image):
    assert image_features()["ws"] == image.features
    registered = {name for name, features in image_features().items() if REGISTERED in features}
    assert registered == {"ws"}
    assert Lab(run_dir=Path("/nonexistent")).guest_image("ws") == image


def test_cell_has_the_machine_of_its_image(image):
    cell = parse_cell_id("ws.q35.seabios.2.sac-boot")
    spec = guest_spec(cell, find_scenario("sac-boot"), image)
    assert (spec.vcpus, spec.memory_mib, spec.machine) == (2, 4096, MachineType.Q35)
    assert spec.disks[0].path == image.path
    assert spec.windows is not None
    assert spec == guest_spec(cell, find_scenario("sac-boot"), image)
    with pytest.raises(SpecError, match="is for Linux; image ws is none"):
        guest_spec(cell, find_scenario("boot-login"), image)


@pytest.mark.parametrize(
    ("scenario", "firmware", "target", "reason"),
    [
        ("sac-boot", "seabios", find_target(), None),
        ("sac-boot", "ovmf", find_target(), "ws is registered as booting under another firmware"),
        (
            "sac-boot",
            "seabios",
            find_target("service"),
            "the service has no images that their users registered",
        ),
        ("sac-paging", "seabios", find_target(), "the guest has no has_knobs"),
        ("sac-ems-off", "seabios", find_target(), "the guest has no has_knobs"),
    ],
)
def test_scenarios_that_do_not_fit_are_left_out_with_a_reason(image, scenario, firmware, target, reason):
    cell = parse_cell_id(f"ws.q35.{firmware}.1.{scenario}")
    assert misfit(cell, find_scenario(scenario), image.features, target=target) == reason


def test_windows_has_no_disk_that_the_host_could_read(image):
    scenario = replace(find_scenario("sac-dump-nmi"), modules=frozenset())
    cell = parse_cell_id("ws.q35.seabios.1.sac-dump-nmi")
    assert misfit(cell, scenario, image.features) == "only the SAC guest's disk can be read from here"


def test_windows_boots_at_the_keyboard_with_what_suits_it(image):
    words = {
        "machine": None,
        "firmware": None,
        "vcpus": None,
        "memory_mib": None,
        "append": (),
        "devices": (),
    }
    spec = interactive_spec(image, **words)
    assert (spec.machine, spec.firmware, spec.vcpus) == (MachineType.Q35, Firmware.SEABIOS, 2)
    assert spec.memory_mib == 4096
    own = interactive_spec(image, **(words | {"machine": "pc", "vcpus": 1, "memory_mib": 2048}))
    assert (own.machine, own.vcpus, own.memory_mib) == (MachineType.PC, 1, 2048)
    with pytest.raises(SpecError, match="firmware is ovmf; allowed: seabios, as ws is registered"):
        interactive_spec(image, **(words | {"firmware": "ovmf"}))
    with pytest.raises(SpecError, match="Windows takes no words from ttylab"):
        interactive_spec(image, **(words | {"append": ("quiet",)}))


def test_driver_has_the_images_account_and_release(image):
    target, _, _ = make_sac_target()
    guest = open_guest(find_scenario("sac-cmd"), image)(Session(target.channel))
    assert (guest.account.user, guest.account.domain, guest.account.password) == ("joe", "corp", SECRET)
    assert guest.profile.name == "2019"


def test_cell_waits_for_windows_as_long_as_its_release_says(image, tmp_path, monkeypatch):
    cell = parse_cell_id("ws.q35.seabios.1.sac-boot")
    run = CellRun(cell=cell, scenario=find_scenario("sac-boot"), lab=Lab(run_dir=tmp_path / "run"))
    asked = []

    def stop(_self, *_, slow):
        asked.append(slow)
        raise SpecError("stop")

    monkeypatch.setattr(CellRun, "_play", stop)
    with pytest.raises(SpecError, match="stop"):
        run.run()
    assert asked == [image.profile.boot_timeout_s / 90]
