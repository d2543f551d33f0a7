"""`ttylab images` with the images of a lab.toml, and --lab on every command that uses one."""

import json
from pathlib import Path

import pytest

from emulator.lab_file.read import VARIABLE
from harness import cli
from harness.scenario.exit_codes import EXIT_PASSED, EXIT_USAGE
from tests.support.own_files import bios_disk

LAB = '[images.server]\ndisk = "d.raw"\n[images.mine]\nkernel = "k"\ninitrd = "ttylab"\n'
SCENARIO = """
from harness import Reach, Scenario, Stage
SCENARIOS = (Scenario(name="mine", title="My own", description="d", steps=(Reach(stage=Stage.SHELL),)),)
"""


@pytest.fixture(autouse=True)
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab.toml that is not used yet, and a cache without images."""
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(VARIABLE, "")
    bios_disk(tmp_path / "d.raw")
    (tmp_path / "s.py").write_text(SCENARIO)
    (tmp_path / "lab.toml").write_text('[lab]\nscenarios = ["s.py"]\n' + LAB)
    return tmp_path / "lab.toml"


def test_list_has_them_with_their_files(lab: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["images", "list", "--json", "--lab", str(lab)]) == EXIT_PASSED
    own = {one["name"]: one for one in json.loads(capfd.readouterr().out) if "own" in one}
    disk, kernel = str(lab.parent / "d.raw"), str(lab.parent / "k")
    assert own["server"] == {"name": "server", "own": "disk", "path": disk, "initrd": None, "size": 1 << 20}
    assert own["mine"] == {"name": "mine", "own": "kernel", "path": kernel, "initrd": "ttylab", "size": None}
    assert cli.main(["images", "list"]) == EXIT_PASSED
    shown = capfd.readouterr().out
    assert "server" in shown
    assert disk in "".join(shown.split())


def test_verify_opens_them_and_build_has_nothing_to_do(lab: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--lab", str(lab), "images", "verify", "server"]) == EXIT_PASSED
    assert cli.main(["images", "verify", "server", "mine"]) == EXIT_USAGE
    shown = capfd.readouterr()
    assert "mine: kernel" in shown.out
    assert "of 2 images 1 are wrong: mine" in shown.err
    assert cli.main(["images", "build", "server"]) == EXIT_USAGE
    assert "server is an image of your lab.toml, of which nothing is built" in capfd.readouterr().err


@pytest.mark.parametrize(
    "words", [["--lab", "{lab}", "scenarios", "list"], ["scenarios", "list", "--lab", "{lab}"]]
)
def test_scenarios_are_marked(lab: Path, words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word.format(lab=lab) for word in words]) == EXIT_PASSED
    marked = [line for line in capfd.readouterr().out.splitlines() if "(yours)" in line]
    assert [line.split()[0] for line in marked] == ["mine"]


def test_every_command_but_some_has_the_option(capfd: pytest.CaptureFixture[str]) -> None:
    for name in cli.COMMANDS:
        command = cli.load_command(name)
        each = getattr(command, "commands", {"": command}).values()
        has = {any(option.name == "lab" for option in one.params) for one in each}
        assert has == {name not in cli.WITHOUT_LAB}, name


def test_wrong_lab_is_told_line_by_line(lab: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lab.write_text("[lab]\nmatrx = 1\n[images.x]\ndisk = 5\n")
    assert cli.main(["run", "--list", "--lab", str(lab)]) == EXIT_USAGE
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(f"{lab}: " in line for line in lines)
    assert cli.main(["boot", "--lab", "nowhere/lab.toml", "bookworm"]) == EXIT_USAGE
    assert "nowhere/lab.toml: can't be read: No such file" in capfd.readouterr().err
