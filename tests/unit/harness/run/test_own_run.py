"""A run's own lab.toml and matrix: what is written, found again, and taken back."""

import os
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.kernel_files.identify import Form, KernelFacts
from emulator.lab_file.read import VARIABLE, current_lab
from emulator.lab_file.tables import ImageTable
from harness.cells.matrix import read_matrix
from harness.run.own_run import (
    MATRIX,
    forget_own_run,
    keep_lab,
    lab_put_back,
    use_lab_of,
    write_lab,
    write_own_run,
)
from tests.support.own_files import bios_disk, tiny_kernel

PUSH = Path(__file__).parents[4] / "ci" / "push.toml"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a lab.toml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "x")
    monkeypatch.delenv(VARIABLE)  # put back at the end, whatever was set
    (tmp_path / "lab.toml").write_text('[machines.big]\nbase = "q35"\n')
    return tmp_path


def test_lab_of_a_run_has_the_image_and_what_was_there(place: Path) -> None:
    table = ImageTable(disk=bios_disk(place / "d"))
    matrix = write_own_run(place / "run", read_matrix(PUSH), "mine", table)
    assert matrix == place / "run" / MATRIX
    assert os.environ[VARIABLE] == str(place / "run/lab.toml")
    assert dict(current_lab().images) == {"mine": table}
    assert set(current_lab().machines) == {"big"}
    assert {cell.image for cell in read_matrix(matrix).cells} == {"mine"}
    modes = {one.name: one.stat().st_mode & 0o777 for one in (place / "run").iterdir()}
    assert modes == {"lab.toml": 0o600, MATRIX: 0o600}


def test_vmlinux_is_not_played_under_ovmf(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTYLAB_CACHE", str(place / "cache"))
    table = ImageTable(kernel=tiny_kernel(place / "bzImage"))
    packed = write_own_run(place / "one", read_matrix(PUSH), "mine", table)
    assert {str(cell.firmware) for cell in read_matrix(packed).cells} == {"seabios", "ovmf"}
    facts = KernelFacts(form=Form.VMLINUX, architecture="x86_64")
    monkeypatch.setattr("harness.run.own_run.read_kernel", lambda _path: (facts, ""))
    bare = write_own_run(place / "two", read_matrix(PUSH), "mine", table)
    assert {str(cell.firmware) for cell in read_matrix(bare).cells} == {"seabios"}


def test_what_is_there_is_never_overwritten(place: Path) -> None:
    with pytest.raises(SpecError, match=r"lab\.toml is there already"):
        write_lab(place, {})
    keep_lab(place)
    assert (place / "lab.toml").read_text().startswith("[machines.big]")


def test_a_run_keeps_which_lab_it_used_and_finds_it_again(place: Path, monkeypatch) -> None:
    (place / "run").mkdir()
    keep_lab(place / "run")
    monkeypatch.chdir("/")
    assert "big" not in current_lab().machines
    use_lab_of(place / "run")
    assert "big" in current_lab().machines


def test_without_a_lab_nothing_is_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    (place / "run").mkdir()
    keep_lab(place / "run")
    assert list((place / "run").iterdir()) == []


def test_what_came_to_nothing_is_taken_back_and_nothing_of_the_users(place: Path) -> None:
    table = ImageTable(disk=bios_disk(place / "d"))
    with lab_put_back():
        write_own_run(place / "run", read_matrix(PUSH), "mine", table)
    assert VARIABLE not in os.environ
    forget_own_run(place / "run")
    assert not (place / "run").exists()
    (place / "own").mkdir()
    for name in ("lab.toml", MATRIX):
        (place / "own" / name).write_text("# mine\n")
    forget_own_run(place / "own")
    assert sorted(one.name for one in (place / "own").iterdir()) == ["lab.toml", MATRIX]
    with lab_put_back():
        write_own_run(place / "kept", read_matrix(PUSH), "mine", table)
    (place / "kept/cells").mkdir()
    forget_own_run(place / "kept")
    assert (place / "kept/lab.toml").exists()
