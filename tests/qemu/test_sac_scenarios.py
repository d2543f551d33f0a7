"""SAC scenarios on the real guest: cells, their evidence, what is named, and eight guests at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from emulator.clock import Deadline
from emulator.machine.machine import open_machine
from emulator.machine.spec import Accelerator
from emulator.sac.image import SacBoot, sac_spec
from emulator.sac.knobs import Hang, SacKnobs
from emulator.sac.profile import IDENTITY, load_profile
from harness.cells.cell import parse_cell_id
from harness.guests.sac import SacGuest
from harness.play.session import Session
from harness.run.cell_run import CellRun, read_result
from harness.scenario.errors import SacUnavailable
from harness.scenario.stages import Stage
from harness.scenarios import find_scenario
from harness.snapshots.lab import Lab

pytestmark = pytest.mark.qemu


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    return Lab(run_dir=tmp_path / "run", accelerator=Accelerator.TCG)


def soon(seconds=30):
    return Deadline.after(seconds)


def run(lab, cell_id, **changes):
    cell = parse_cell_id(cell_id)
    scenario = replace(find_scenario(cell.scenario), **changes)
    result = CellRun(cell=cell, scenario=scenario, lab=lab).run()
    assert read_result(lab.run_dir, cell.id) == result
    return result


def test_cell_after_an_nmi_passes_with_its_bugcheck_dump_and_identity(lab):
    result = run(lab, "sac.q35.seabios.1.sac-dump-nmi")
    assert (result.status, result.message) == ("passed", "")
    assert result.image == {"name": "sac", "guest": IDENTITY, "profile": "2022"}
    assert [(one.title, one.expected) for one in result.findings] == [
        ("bugcheck 0x80: NMI_HARDWARE_FAILURE", True)
    ]
    assert {stage.stage for stage in result.stages} >= {"firmware", "kernel", "sac", "cmd", "login", "shell"}


def test_cell_is_failed_when_the_guest_crashes_and_nobody_expected_it(lab):
    scenario = find_scenario("sac-crash-waits")
    steps = tuple(replace(step, allows=frozenset()) for step in scenario.steps)
    result = run(lab, "sac.q35.seabios.1.sac-crash-waits", steps=steps)
    assert (result.status, result.reason) == ("failed", "died")
    assert "bugcheck" in result.message


def test_cell_is_failed_at_once_with_the_reason_when_the_guest_has_no_sac(lab):
    result = run(lab, "sac.q35.seabios.1.sac-boot", knobs=SacKnobs(hang=Hang.EMS_OFF))
    assert (result.status, result.reason) == ("failed", "unavailable")
    assert "EMS is off" in result.message
    assert result.duration_s < 30


@pytest.mark.parametrize(
    ("knobs", "state"),
    [
        (SacKnobs(hang=Hang.KERNEL_DEBUGGER), "a kernel debugger has the port"),
        (SacKnobs(hang=Hang.RECOVERY), "the recovery menu"),
    ],
)
def test_driver_names_the_state_that_does_not_become_sac(tmp_path, lab, knobs, state):
    spec = sac_spec(way=SacBoot.PVH, knobs=knobs, root=tmp_path / "images")
    with open_machine(spec, run_dir=tmp_path / "machine") as machine:
        guest = SacGuest(Session(machine.console), load_profile("2022"))
        with pytest.raises(SacUnavailable) as caught:
            guest.reach(Stage.SAC, soon())
    assert caught.value.state == state


def test_eight_guests_are_driven_at_once(tmp_path, lab):
    def drive(number):
        spec = sac_spec(
            way=SacBoot.PVH, knobs=SacKnobs(computer_name=f"BOX-{number}"), root=tmp_path / "images"
        )
        with open_machine(spec, run_dir=tmp_path / str(number)) as machine:
            guest = SacGuest(Session(machine.console), load_profile("2022"))
            guest.reach(Stage.SHELL, soon(60))
            said = guest.run("hostname", soon(60)).output.strip()
            guest.close_channel(soon(60))
            guest.prove_life(soon(60))
            return guest.machine.name, said.decode()

    with ThreadPoolExecutor(max_workers=8) as pool:
        told = list(pool.map(drive, range(8)))
    assert told == [(f"BOX-{number}", f"BOX-{number}") for number in range(8)]
