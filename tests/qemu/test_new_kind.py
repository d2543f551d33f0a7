"""A new kind of guest images is one module and one line; then all that shipped images have works for it."""

import pytest

from emulator.cloud.guest_plan import GuestPlan
from emulator.errors import SpecError
from emulator.fleet.guest import spec_of
from emulator.guest_images import kinds
from emulator.guest_images.kinds import open_image
from harness.cells.cell import parse_cell_id
from harness.cells.matrix import read_matrix
from harness.run.cell_run import CellRun
from harness.run.repro import recall
from harness.run.wanted import wanted_of
from harness.scenarios import find_scenario
from harness.terminal.interactive import interactive_spec
from tests.support.twin_images import TWIN_IMAGES, WORD

pytestmark = pytest.mark.qemu

MATRIX = """
[matrix]
name = "twins"
description = "guests of a kind that nobody ships"

[[block]]
images = ["twin"]
machines = ["pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = ["sysrq-sync", "watchdog-reset"]
"""


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The one line."""
    monkeypatch.setattr(kinds, "KINDS", (*kinds.KINDS, TWIN_IMAGES))


def test_matrix_names_it_and_its_cells_are_forked_played_and_reproduced(lab, tmp_path):
    path = tmp_path / "twins.toml"
    path.write_text(MATRIX)
    matrix = read_matrix(path)
    assert [one.id for one in matrix.cells] == ["twin.pc.seabios.1.sysrq-sync"]
    assert [one.reason for one in matrix.excluded] == ["the guest has no i6300esb"]
    (cell,) = matrix.cells
    bench = lab.at(tmp_path / "run")
    result = CellRun(cell=cell, scenario=find_scenario(cell.scenario), lab=bench).run()
    assert (result.status, result.image["twin_of"]) == ("passed", "bookworm"), result.message
    assert result.start.startswith("forked from shell")
    assert any(WORD in word for word in result.argv)
    image = bench.guest_image("twin")
    now = wanted_of(cell, find_scenario(cell.scenario), image).spec
    recalled = recall(cell, bench.run_dir, lab=bench, image=image, now=now, changed=False, port="")
    assert recalled is not None
    assert (recalled.compare(result), recalled.booted) == ("reproduced: PASSED", False)


def test_keyboard_and_cloud_boot_it():
    image = open_image("twin")
    typed = interactive_spec(
        image, machine="q35", firmware=None, vcpus=2, memory_mib=None, append=("a=b",), devices=()
    )
    assert (typed.machine, typed.vcpus, typed.command_line[-2:]) == ("q35", 2, (WORD, "a=b"))
    served = spec_of(GuestPlan(image="twin"), image, "vm1")
    assert {WORD, "ttylab.hostname=vm1"} <= set(served.command_line)


def test_scenario_for_another_kind_of_guest_is_refused():
    cell = parse_cell_id("twin.pc.seabios.1.sac-boot")
    with pytest.raises(SpecError, match="scenario sac-boot is for a SAC guest; image twin is none"):
        wanted_of(cell, find_scenario("sac-boot"), open_image("twin"))
