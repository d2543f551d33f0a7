"""The machines that can be named: QEMU's boards, and those of a lab.toml."""

from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.lab_file.read import VARIABLE
from emulator.machine.models import find_model, machine_models
from emulator.machine.spec import MachineSpec, MachineType

BIG = '[machines.big]\nbase = "q35"\nmemory_mib = 2048\nvcpus_max = 8\nargs = ["-device", "edu"]\n'


@pytest.fixture
def lab(tmp_path, monkeypatch):
    def write(text):
        (tmp_path / "lab.toml").write_text(text, encoding="utf-8")
        monkeypatch.setenv(VARIABLE, str(tmp_path / "lab.toml"))

    return write


def test_boards_of_qemu_are_always_there(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    assert set(machine_models()) == {str(base) for base in MachineType}


def test_machine_of_the_lab_adds_its_properties(lab):
    lab(BIG)
    model = find_model("big")
    spec = MachineSpec(name="x", machine=model.base, kernel=Path("/kernel"))
    applied = model.applied(spec)
    assert (model.base, model.vcpus_max) == (MachineType.Q35, 8)
    assert (applied.memory_mib, applied.args, applied.qemu) == (2048, ("-device", "edu"), None)


def test_board_of_qemu_changes_nothing(lab):
    lab(BIG)
    spec = MachineSpec(name="x", machine=MachineType.PC, kernel=Path("/kernel"), memory_mib=512)
    assert find_model("pc").applied(spec) == spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[machines.pc]\nbase = "q35"\n', "machines.pc: that is a board of QEMU's; choose another name"),
        ('[machines.x]\nbase = "q36"\n', "machines.x: unknown base 'q36'; did you mean q35"),
    ],
)
def test_wrong_machine_is_refused(lab, text, words):
    lab(text)
    with pytest.raises(SpecError) as caught:
        machine_models()
    assert words in str(caught.value)


def test_unknown_machine_is_refused_with_similar_names(lab):
    lab(BIG)
    with pytest.raises(SpecError, match="unknown machine 'bigg'; did you mean big"):
        find_model("bigg")
