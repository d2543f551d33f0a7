"""What a block of a matrix adds to the machines of its cells."""

from dataclasses import replace
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.machine.spec import Device, Firmware, MachineSpec, MachineType
from emulator.values import read_value
from harness.cells.cell import Cell
from harness.cells.matrix import load_matrix, misfit
from harness.report.model import CellRecord
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario
from harness.scenario.settings import PLAIN, Settings
from harness.scenario.steps import Alive

PLAIN_ONE = Scenario(name="plain", title="t", description="d", steps=(Alive(),))
TALK = replace(PLAIN_ONE, name="talk", guest=GuestKind.SAC)
IMAGES = {"old": frozenset[str](), "sac": frozenset({"sac"})}
TEXT = """
[matrix]
name = "m"
description = "d"

[[block]]
images = ["old"]
machines = ["pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = ["plain"]
"""
OWN = """
[block.settings]
append = ["loglevel=8"]
memory_mib = 512
devices = ["i6300esb"]
args = ["-device", "edu"]
"""
ALL_OF_THEM = Settings(
    append=("loglevel=8",), memory_mib=512, devices=frozenset({Device.I6300ESB}), args=("-device", "edu")
)
CELL = Cell(image="old", machine="pc", firmware=Firmware.SEABIOS, vcpus=1, scenario="plain")


def load(path, text):
    (path / "m.toml").write_text(text, encoding="utf-8")
    return load_matrix(path / "m.toml", images=IMAGES, scenarios={"plain": PLAIN_ONE, "talk": TALK})


def test_cells_of_the_block_have_its_settings(tmp_path):
    (cell,) = load(tmp_path, TEXT + OWN).cells
    assert cell == replace(CELL, settings=ALL_OF_THEM)
    assert cell.id == CELL.id


def test_same_cells_with_other_settings_are_refused(tmp_path):
    with pytest.raises(SpecError, match=r"block\.1: old\.pc\.seabios\.1\.plain has other settings"):
        load(tmp_path, TEXT + TEXT.partition("[[block]]")[2].join(["[[block]]", OWN]))


def test_same_cells_with_the_same_settings_are_united(tmp_path):
    block = "[[block]]" + TEXT.partition("[[block]]")[2]
    assert load(tmp_path, TEXT + block).cells == (CELL,)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("memory_mib = 1", "key 'block.0.settings.memory_mib' has the value 1"),
        ('devices = ["fax"]', "block.0.settings.devices"),
        ('colour = "red"', "unknown key 'block.0.settings.colour'"),
        ('append = [""]', "block.0.settings.append"),
    ],
)
def test_wrong_settings_are_refused_with_file_key_and_value(tmp_path, settings, words):
    with pytest.raises(SpecError) as caught:
        load(tmp_path, f"{TEXT}[block.settings]\n{settings}\n")
    assert words in str(caught.value)
    assert "m.toml" in str(caught.value)


def test_sac_guest_has_no_kernel_parameters():
    cell = replace(CELL, image="sac", scenario="talk", settings=Settings(append=("quiet",)))
    assert misfit(cell, TALK, IMAGES["sac"]) == (
        "no such machine: settings.append has kernel parameters, and the guest has no such thing"
    )


def test_they_are_added_to_a_machine():
    spec = MachineSpec(
        name="x",
        machine=MachineType.PC,
        kernel=Path("/kernel"),
        devices=frozenset({Device.PVPANIC}),
        args=("-S",),
    )
    applied = ALL_OF_THEM.applied(spec)
    assert (applied.memory_mib, applied.args) == (512, ("-S", "-device", "edu"))
    assert applied.devices == {Device.PVPANIC, Device.I6300ESB}
    assert PLAIN.applied(spec) == spec


def test_record_of_a_cell_keeps_them():
    cell = replace(CELL, settings=ALL_OF_THEM)
    assert read_value(cell.words(), CellRecord, origin="cell").settings == ALL_OF_THEM
    assert "settings" not in CELL.words()
    assert read_value(CELL.words(), CellRecord, origin="cell").settings is None
