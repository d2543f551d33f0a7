"""`ttylab init`: what it writes is valid and plays; nothing is overwritten."""

import tomllib
from pathlib import Path

import pytest

from emulator.lab_file.read import VARIABLE, current_lab, read_lab
from harness import cli
from harness.cells.matrix import read_matrix
from harness.cells.shipped import shipped
from harness.scenario.exit_codes import EXIT_PASSED, EXIT_USAGE
from harness.scenarios import LIBRARY, library
from harness.signatures.scanner import Scanner
from tests.support.own_files import bios_disk, tiny_kernel, uefi_disk

FILES = ["lab.toml", "lab/matrix.toml", "lab/scenarios.py", "lab/signatures.toml"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository as the working directory."""
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE)
    here = tmp_path / "repository"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def files(directory: Path) -> list[str]:
    return sorted(str(one.relative_to(directory)) for one in directory.rglob("*") if one.is_file())


def test_it_works_as_it_is(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init"]) == EXIT_PASSED
    assert files(place) == sorted([*FILES, ".github/workflows/ttylab.yml"])
    assert "Now run: ttylab run" in capfd.readouterr().out
    lab = current_lab()
    assert lab.lab.matrix == place / "lab/matrix.toml"
    own = sorted(set(library()) - set(LIBRARY))
    assert own == ["own-kernel-log"]
    cells = read_matrix(place / "lab/matrix.toml").cells
    assert {cell.scenario for cell in cells} >= {"boot-login", "own-kernel-log"}
    scanner = Scanner()
    scanner.feed(b"own-driver: firmware crashed, code 7\r\n")
    assert [one.rule for one in scanner.finish()] == ["own-driver-crash"]
    assert cli.main(["run", "--list"]) == EXIT_PASSED
    assert "bookworm.pc.seabios.1.own-kernel-log" in capfd.readouterr().out


def test_examples_in_its_comments_are_valid(place: Path) -> None:
    cli.main(["init"])
    text = (place / "lab.toml").read_text()
    comments = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]
    examples = [line for line in comments if line.startswith("[") or " = " in line]
    (place / "lab.toml").write_text("\n".join(examples))
    assert set(read_lab(place / "lab.toml").images) == {"mainline", "server", "cloud"}


def test_a_kernel_is_named_relative_to_the_file(place: Path) -> None:
    (place / "out").mkdir()
    tiny_kernel(place / "out/bzImage")
    assert cli.main(["init", "--kernel", "out/bzImage", "--append", "quiet"]) == EXIT_PASSED
    table = tomllib.loads((place / "lab.toml").read_text())["images"]["bzimage"]
    assert table == {"kernel": "out/bzImage", "initrd": "ttylab", "append": ["quiet"]}
    assert {cell.image for cell in read_matrix(place / "lab/matrix.toml").cells} == {"bzimage"}


def test_a_disk_is_played_under_the_firmware_that_starts_it(place: Path, tmp_path: Path) -> None:
    (place / "pw").write_text("x\n")
    disk = uefi_disk(tmp_path / "elsewhere.raw")
    words = ["--disk", str(disk), "--user", "me", "--password-file", "pw"]
    assert cli.main(["init", *words]) == EXIT_PASSED
    table = tomllib.loads((place / "lab.toml").read_text())["images"]["elsewhere.raw"]
    assert table == {"disk": str(disk), "login": {"user": "me", "password_file": "pw"}}
    assert {str(cell.firmware) for cell in read_matrix(place / "lab/matrix.toml").cells} == {"ovmf"}


def test_another_directory_is_written_to(place: Path) -> None:
    bios_disk(place / "d.raw")
    (place / "sub").mkdir()
    assert cli.main(["init", "sub", "--disk", "d.raw", "--ci", "none"]) == EXIT_PASSED
    assert files(place / "sub") == sorted(FILES)
    assert read_lab(place / "sub/lab.toml").images["d.raw"].disk == place / "d.raw"


@pytest.mark.parametrize(
    ("there", "options", "workflow"),
    [
        ([".github/x"], [], ".github/workflows/ttylab.yml"),
        ([".gitlab-ci.yml"], [], ".gitlab/ttylab.yml"),
        (["azure-pipelines.yml"], [], "azure-pipelines-ttylab.yml"),
        ([], ["--ci", "gitlab"], ".gitlab-ci.yml"),
        ([], ["--ci", "azure"], "azure-pipelines.yml"),
        ([".gitlab-ci.yml"], ["--ci", "github"], ".github/workflows/ttylab.yml"),
    ],
)
def test_workflow_is_for_the_provider_of_the_repository(
    place: Path, there: list[str], options: list[str], workflow: str
) -> None:
    for name in there:
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text("mine\n")
    assert cli.main(["init", *options]) == EXIT_PASSED
    assert files(place) == sorted([*FILES, *there, workflow])
    assert all((place / name).read_text() == "mine\n" for name in there)
    templates = [one.read_text() for one in shipped("templates").glob("*.yml")]
    assert (place / workflow).read_text() in templates


@pytest.mark.parametrize("name", [*FILES, ".github/workflows/ttylab.yml"])
def test_nothing_is_overwritten(place: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).symlink_to("nowhere")
    assert cli.main(["init"]) == EXIT_USAGE
    assert f"nothing was written, as there is already: {name}" in capfd.readouterr().err
    assert files(place) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("nowhere", "nowhere: there is no such directory"),
        ("--ci travis", "--ci is 'travis'; allowed: github, gitlab, azure, none"),
        ("--kernel nope", "kernel {here}/nope: No such file"),
        ("--disk .", "disk {here}: is a directory"),
    ],
)
def test_wrong_words_are_refused_in_one_line(
    place: Path, words: str, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["init", *words.split()]) == EXIT_USAGE
    err = capfd.readouterr().err
    assert told.format(here=place) in err
    assert len(err.splitlines()) == 1
    assert files(place) == []
