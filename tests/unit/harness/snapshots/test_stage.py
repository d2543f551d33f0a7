"""Which state serves which scenario."""

import pytest

from emulator.errors import SpecError
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Reach, Step
from harness.scenarios import LIBRARY
from harness.snapshots.stage import named_stage, serving_stage, snapshot_stage


def scenario(*steps: Step, tags: tuple[str, ...] = (), **more: object) -> Scenario:
    return Scenario(name="s", title="t", description="d", steps=steps, tags=frozenset(tags), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("stage", [Stage.LOGIN, Stage.SHELL])
def test_a_scenario_goes_on_from_the_stage_of_its_first_step(stage: Stage) -> None:
    assert snapshot_stage(scenario(Reach(stage=stage), Alive())) is stage


@pytest.mark.parametrize(
    "booted",
    [
        scenario(Reach(stage=Stage.SHELL), tags=("boot",)),
        scenario(Reach(stage=Stage.KERNEL), Reach(stage=Stage.SHELL)),
        scenario(Reach(stage=Stage.LOADER)),
        scenario(Alive()),
    ],
)
def test_a_scenario_that_tests_booting_boots(booted: Scenario) -> None:
    assert snapshot_stage(booted) is None


def test_a_scenario_may_name_its_state() -> None:
    assert snapshot_stage(scenario(Alive(), from_state=Stage.SHELL, tags=("boot",))) is Stage.SHELL
    with pytest.raises(
        SpecError, match="no snapshot of a linux guest at kernel; there are: loader, login, shell"
    ):
        snapshot_stage(scenario(Alive(), from_state=Stage.KERNEL))


def test_channels_of_sac_are_opened_in_each_fork() -> None:
    assert serving_stage(GuestKind.SAC, Stage.SHELL) is Stage.CMD
    assert serving_stage(GuestKind.SAC, Stage.SAC) is Stage.SAC


def test_scenarios_with_the_tag_boot_all_boot_and_most_others_do_not() -> None:
    stages = {name: snapshot_stage(one) for name, one in LIBRARY.items()}
    assert {name for name, one in LIBRARY.items() if "boot" in one.tags and stages[name] is not None} == set()
    assert sum(stage is not None for stage in stages.values()) > len(LIBRARY) / 2


@pytest.mark.parametrize(
    ("name", "stage"), [("grub", Stage.LOADER), ("shell", Stage.SHELL), ("sac", Stage.SAC)]
)
def test_stages_have_names_for_people(name: str, stage: Stage) -> None:
    assert named_stage(name) is stage


def test_a_wrong_name_says_what_there_is() -> None:
    with pytest.raises(SpecError, match="stage is 'shel'; allowed: grub, firmware, loader"):
        named_stage("shel")
