"""Cells through the console service have the verdicts that they have on the machine itself."""

from dataclasses import asdict, replace

import pytest

from emulator.sac.knobs import Hang, SacKnobs
from harness.azure.address import address_of_ready
from harness.cells.cell import parse_cell_id
from harness.run.cell_run import CellRun
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Expect, Inject, Reach, Shows
from harness.scenario.stimulus import Button, Nmi, Press, SysRq
from harness.scenarios import find_scenario, phrases
from harness.snapshots.lab import Lab
from harness.targets import find_target

pytestmark = pytest.mark.qemu

CELL = parse_cell_id("bookworm.pc.seabios.1.contract")
RIGHT = (
    Reach(stage=Stage.SHELL),
    Inject(stimulus=SysRq(key="h"), effects=(phrases.SYSRQ_HELP,), attempts=3),
    Inject(stimulus=Press(button=Button.POWER_OFF), effects=(phrases.SWITCHES_OFF,), allows=phrases.OFF),
    Inject(stimulus=Press(button=Button.POWER_ON), effects=(phrases.KERNEL_STARTS,), within_s=90.0),
    Inject(
        stimulus=Press(button=Button.RESET),
        effects=(phrases.RESTARTS, phrases.KERNEL_STARTS),
        within_s=90.0,
        allows=phrases.RESET,
    ),
)
NO_EFFECT = (
    Reach(stage=Stage.LOGIN),
    Inject(stimulus=Nmi(), effects=(phrases.panic("NMI"),), within_s=4.0, allows=phrases.NMI),
)
UNASKED = (
    Reach(stage=Stage.LOGIN),
    Inject(stimulus=Press(button=Button.RESET), effects=(phrases.RESTARTS,)),
    Expect(effects=(Shows(pattern="never", says="what never comes"),)),
)


@pytest.mark.parametrize(
    ("steps", "status", "reason"),
    [(RIGHT, "passed", "none"), (NO_EFFECT, "failed", "no-effect"), (UNASKED, "failed", "left")],
    ids=["right", "no-effect", "unasked"],
)
def test_verdict_is_the_same_on_both_targets(lab, cloud, tmp_path, steps, status, reason):
    scenario = Scenario(
        name="contract", title="T", description="D", steps=steps, kernel_args=("sysctl.kernel.sysrq=1",)
    )
    direct, through = play_on_both(CELL, scenario, cloud=cloud, directory=tmp_path)
    assert (direct.status, direct.reason) == (status, reason)
    assert_alike(direct, through)


@pytest.mark.parametrize(
    "name",
    [
        "sac-boot",
        "sac-late",
        "sac-menu-choice",
        "sac-nmi-bugcheck",
        "sac-power-cut-typing",
        "sac-reset-cmd",
        "sac-shutdown-prompt",
    ],
)
def test_sac_scenario_passes_on_both_targets_with_the_same_evidence(lab, cloud, tmp_path, name):
    cell = parse_cell_id(f"sac-2019.q35.seabios.1.{name}")
    direct, through = play_on_both(cell, find_scenario(name), cloud=cloud, directory=tmp_path)
    assert (direct.status, direct.reason) == ("passed", "none")
    assert_alike(direct, through)


@pytest.mark.parametrize(
    ("name", "knobs", "reason"),
    [
        ("sac-nmi-prompt", SacKnobs(hang=Hang.NMI_IGNORED), "no-effect"),
        ("sac-reset-prompt", SacKnobs(hang=Hang.EMS_OFF), "unavailable"),
        ("sac-crash-waits", SacKnobs(), "left"),
    ],
    ids=["no-effect", "no-sac", "restarts"],
)
def test_sac_guest_that_fails_does_so_on_both_targets(lab, cloud, tmp_path, name, knobs, reason):
    cell = parse_cell_id(f"sac.q35.seabios.1.{name}")
    scenario = replace(find_scenario(name), knobs=knobs)
    direct, through = play_on_both(cell, scenario, cloud=cloud, directory=tmp_path)
    assert (direct.status, direct.reason) == ("failed", reason)
    assert_alike(direct, through)


def play_on_both(cell, scenario, *, cloud, directory):
    address = address_of_ready(asdict(cloud), name="cloud")
    results = [
        CellRun(
            cell=cell,
            scenario=scenario,
            lab=Lab(run_dir=directory / name),
            target=find_target(name),
            address=at,
        ).run()
        for name, at in (("machine", None), ("service", address))
    ]
    assert [one.target for one in results] == ["machine", "service"]
    return results


def assert_alike(direct, through):
    """Two results are the same but for their times, and for what a guest does by itself after a failure."""
    assert (direct.status, direct.reason) == (through.status, through.reason), through.message
    assert [one.title for one in direct.findings] == [one.title for one in through.findings]
    if direct.status == "passed":
        assert_same_course(direct, through)
        return
    # One that restarts unasked does so between two steps on one target, and within a step on the other.
    fewer, more = sorted(([one.says for one in each.evidence] for each in (direct, through)), key=len)
    assert [says for says in more if says in fewer] == fewer
    assert first_boot(direct) == first_boot(through)


def assert_same_course(direct, through):
    assert [one.says for one in direct.evidence] == [one.says for one in through.evidence]
    assert [(one.stage, one.boot) for one in direct.stages] == [
        (one.stage, one.boot) for one in through.stages
    ]
    assert [replace_times(step) for step in direct.steps] == [replace_times(step) for step in through.steps]


def first_boot(result):
    return [one.stage for one in result.stages if one.boot == 0]


def replace_times(step):
    return replace(step, begin=0.0, end=None)
