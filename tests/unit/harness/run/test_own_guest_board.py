"""What a board's guest has to do before a scenario, and what its kernel would have to be started with."""

import pytest

from emulator.guest_images.kinds import open_image
from emulator.lab_file.read import VARIABLE
from emulator.machine.spec import Firmware
from harness.cells.cell import Cell
from harness.run.own_guest import prepare
from harness.scenario.errors import Unsupported
from harness.scenarios import find_scenario
from harness.snapshots.lab import Lab


@pytest.fixture
def prepare_for(tmp_path, monkeypatch):
    (tmp_path / "lab.toml").write_text('[boards.bench1]\nconsole = "/dev/ttyUSB0"\n')
    monkeypatch.setenv(VARIABLE, str(tmp_path / "lab.toml"))

    def make(name):
        cell = Cell(image="bench1", machine="board", firmware=Firmware.NONE, vcpus=1, scenario=name)
        scenario = find_scenario(name)
        return prepare(cell, scenario, open_image("bench1"), Lab(run_dir=tmp_path))

    return make


def test_kernel_parameters_are_typed_as_settings_and_nothing_is_booted_for_that(prepare_for):
    assert prepare_for("nmi-dazed").errands.commands == ()
    assert prepare_for("nmi-panic").errands.commands == (
        "echo '0' > /proc/sys/kernel/panic",
        "echo '1' > /proc/sys/kernel/panic_on_unrecovered_nmi",
        "echo '1' > /proc/sys/kernel/unknown_nmi_panic",
    )


@pytest.mark.parametrize(
    ("name", "why"),
    [("boot-no-init", "rdinit=/nope panic=0 has to be on it"), ("power-button-ignored", "ttylab.")],
)
def test_parameters_that_a_running_kernel_does_not_take_are_the_reason(prepare_for, name, why):
    with pytest.raises(Unsupported, match=why):
        prepare_for(name)


def test_password_that_nobody_gave_is_told_rather_than_failed_of(prepare_for):
    assert prepare_for("nmi-dazed").no_password.startswith("and none is given (login.password_file")
