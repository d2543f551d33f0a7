"""Cells through the console service have the verdicts that they have on the machine itself."""

from dataclasses import asdict

import pytest

from harness.azure.address import address_of_ready
from harness.cells.cell import parse_cell_id
from harness.cells.run import CellRun
from harness.lab import Lab
from harness.scenario import Expect, Inject, Reach, Scenario, Shows
from harness.scenarios import phrases
from harness.stages import Stage
from harness.stimulus import Button, Nmi, Press, SysRq

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
    address = address_of_ready(asdict(cloud), name="cloud")
    results = [
        CellRun(
            cell=CELL, scenario=scenario, lab=Lab(run_dir=tmp_path / str(service is None)), service=service
        ).run()
        for service in (None, address)
    ]
    assert [(one.status, one.reason, one.target) for one in results] == [
        (status, reason, "machine"),
        (status, reason, "service"),
    ]
    direct, through = results
    assert [one.says for one in direct.evidence] == [one.says for one in through.evidence]
    assert [one.boot for one in direct.stages if one.stage == "kernel"] == [
        one.boot for one in through.stages if one.stage == "kernel"
    ]
    assert [replace_times(step) for step in direct.steps] == [replace_times(step) for step in through.steps]


def replace_times(step):
    return step.model_copy(update={"begin": 0.0, "end": None})
