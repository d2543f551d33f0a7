"""A kernel or a disk on the command line: what it becomes, and what is refused in one line."""

import os
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.lab_file.read import VARIABLE, read_lab
from harness import cli
from harness.cells.matrix import read_matrix
from harness.commands.own_options import OwnOptions, guest_of
from harness.scenario.exit_codes import EXIT_PASSED, EXIT_USAGE
from harness.snapshots.lab import Lab
from tests.support.own_files import bios_disk, tiny_kernel, uefi_disk

PUSH = str(Path(__file__).parents[4] / "ci" / "push.toml")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a kernel, disks and a password; a cache without images."""
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(VARIABLE, "")  # put back at the end, whatever a command sets
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    tiny_kernel(here / "bzImage")
    tiny_kernel(here / "old", is_64=False)
    bios_disk(here / "Disk 1.raw")
    uefi_disk(here / "uefi.raw")
    (here / "pw").write_text("secret\n")
    (here / "modules").mkdir()
    return here


@pytest.fixture
def becomes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What `run` would become, and the files that it would find."""
    seen: list[list[str]] = []

    def note(arguments: list[str], *, run_dir: Path) -> int:
        lab, matrix = (
            Path(os.environ[VARIABLE]),
            next(one for one in arguments if one.endswith("matrix.toml")),
        )
        seen.append([lab.read_text(), Path(matrix).read_text(), *arguments, str(run_dir)])
        return EXIT_PASSED

    monkeypatch.setattr("harness.plugin.process.become_pytest", note)
    monkeypatch.setattr("harness.commands.run.open_images", lambda _cells: None)
    return seen


def listed(capfd: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert cli.main(["run", PUSH, "--list", *words]) == EXIT_PASSED
    return [line for line in capfd.readouterr().out.splitlines() if not line.startswith("#")]


def test_a_kernel_plays_the_linux_cells_once_each(capfd: pytest.CaptureFixture[str], place: Path) -> None:
    cells = listed(capfd, "--kernel", "bzImage")
    linux = {cell for cell in read_matrix(Path(PUSH)).cells if not cell.image.startswith("sac")}
    wanted = {cell.id.removeprefix(cell.image) for cell in linux}
    assert len(cells) > 60
    assert {cell.removeprefix("bzimage") for cell in cells} <= wanted
    assert sorted(set(cells)) == sorted(cells)
    assert sorted(one.name for one in place.iterdir()) == [
        *("Disk 1.raw", "bzImage", "modules", "old", "pw", "uefi.raw")
    ]


def test_a_disk_plays_under_firmware_that_starts_it_and_on_boards_with_disks(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert {cell.split(".")[2:4][0] for cell in listed(capfd, "--disk", "Disk 1.raw")} <= {"pc", "q35"}
    firmwares = {cell.rsplit(".", 3)[1] for cell in listed(capfd, "--disk", "Disk 1.raw")}
    assert firmwares == {"seabios"}
    assert {cell.rsplit(".", 3)[1] for cell in listed(capfd, "--disk", "uefi.raw")} == {"ovmf"}


def test_files_are_named_absolutely_in_the_runs_directory(
    becomes: list[list[str]], place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["--disk", "Disk 1.raw", "--user", "me", "--password-file", "pw", "--memory", "700"]
    words = ["run", PUSH, *options, "--run-dir", "out", "--no-allure", "-k", "boot-login"]
    assert cli.main(words) == EXIT_PASSED, capfd.readouterr().err
    (lab, matrix, *arguments) = becomes[0]
    file = place / "lab.toml"
    file.write_text(lab)
    table = read_lab(file).images["disk-1.raw"]
    assert (table.disk, table.memory_mib) == (place / "Disk 1.raw", 700)
    assert table.login is not None
    assert (table.login.user, table.login.password_file) == ("me", place / "pw")
    assert "secret" not in lab
    assert 'images = ["disk-1.raw"]' in matrix
    assert f"--run-dir={place / 'out'}" in " ".join(arguments) or str(place / "out") in arguments


def test_a_lab_found_here_stays_the_base(becomes: list[list[str]], place: Path, monkeypatch) -> None:
    monkeypatch.delenv(VARIABLE)
    (place / "lab.toml").write_text('[machines.big]\nbase = "q35"\n')
    assert cli.main(["run", PUSH, "--kernel", "bzImage", "-k", "boot-login", "--no-allure"]) == EXIT_PASSED
    assert f'base = "{place / "lab.toml"}"' in becomes[0][0]


def test_a_runs_directory_with_a_lab_is_left_as_it_is(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (place / "lab.toml").write_text("# mine\n")
    assert cli.main(["run", PUSH, "--kernel", "bzImage", "--run-dir", "."]) == EXIT_USAGE
    assert "lab.toml is there already" in capfd.readouterr().err
    assert (place / "lab.toml").read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--kernel nope", "kernel {here}/nope: No such file or directory"),
        ("--kernel .", "kernel {here}: is a directory, not a file"),
        ("--kernel pw", "kernel {here}/pw: it is no bzImage, vmlinux or arm64 Image"),
        ("--kernel bzImage --disk uefi.raw", "--kernel and --disk: give one of them"),
        ("--kernel bzImage --initrd nope", "initrd {here}/nope: No such file or directory"),
        ("--kernel bzImage --modules nope", "modules {here}/nope: there is no such directory"),
        ("--kernel bzImage --modules modules", "neither modules nor modules.builtin"),
        ("--kernel bzImage --modules modules --initrd none", "--modules goes only with --initrd ttylab"),
        ("--disk nope", "disk {here}/nope: No such file or directory"),
        ("--disk .", "disk {here}: is a directory, not a file"),
        ("--disk pw", "disk {here}/pw: it has 7 bytes, less than one sector"),
        ("--disk uefi.raw --initrd x", "--initrd goes only with --kernel"),
        ("--disk uefi.raw --append x", "--append goes only with --kernel"),
        ("--disk uefi.raw --seed x", "--seed is 'x'; allowed: cloud-init"),
        ("--disk uefi.raw --firmware x", "--firmware is 'x'; allowed: seabios, ovmf"),
        ("--disk uefi.raw --user a:b", "--user is 'a:b'; allowed: a name without blanks"),
        ("--disk uefi.raw --password-file no", "password_file {here}/no: No such file"),
        ("--disk uefi.raw --memory 1", "'--memory': Input should be greater than or equal to 64"),
        ("--kernel bzImage --seed cloud-init", "--seed goes only with --disk"),
        ("--append x", "--append goes only with --kernel"),
        ("--user x", "--user goes only with --kernel or --disk"),
        ("--kernel bzImage -k nothing", "push.toml: no cell matches -k 'nothing'"),
        ("--lab nope", "{here}/nope: can't be read: No such file or directory"),
        ("--lab pw", "{here}/pw: not TOML"),
    ],
)
def test_wrong_options_are_refused_in_one_line(
    words: str, told: str, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(place.iterdir())
    assert cli.main(["run", PUSH, *words.split()]) == EXIT_USAGE
    err = capfd.readouterr().err
    assert told.format(here=place) in err
    assert len(err.splitlines()) == 1
    assert sorted(place.iterdir()) == before


@pytest.mark.parametrize(
    ("image", "options", "told"),
    [
        ("", {}, "give one of IMAGE, --kernel FILE, --disk FILE"),
        ("bookworm", {"kernel": Path("bzImage")}, "give one of IMAGE"),
        ("bookworm", {"initrd": "x"}, "--initrd goes only with --kernel"),
        ("bookwrm", {}, "did you mean bookworm or .*; nor is there such a file here"),
        ("./nope", {}, "nope: No such file"),
        ("pw", {}, "disk .*pw: it has 7 bytes"),
    ],
)
def test_what_to_boot_is_refused_in_one_line(image: str, options, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        guest_of(Lab(run_dir=Path("run")), image, OwnOptions(**options))


def test_a_file_is_told_from_an_image_by_its_slash(place: Path) -> None:
    lab = Lab(run_dir=Path("run"))
    bios_disk(place / "sac")
    assert guest_of(lab, "sac", OwnOptions()).name == "sac"
    assert "sac" in guest_of(lab, "sac", OwnOptions()).features
    own = guest_of(lab, "./sac", OwnOptions())
    assert own.provenance()["own"] == "disk"
    assert own.name == "sac-2"
    assert guest_of(lab, "uefi.raw", OwnOptions()).name == "uefi.raw"
    kernel = guest_of(lab, "bzImage", OwnOptions(initrd="none"))
    assert kernel.provenance()["kernel_release"] == "6.6.6-own"
