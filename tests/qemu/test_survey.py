"""Users' own guests are surveyed at their first boot, and play what they can: a kernel, and a disk."""

import pytest

from emulator import places
from emulator.work import listening
from harness.cells.cell import parse_cell_id
from harness.run.cell_run import CellRun
from harness.scenarios import find_scenario
from harness.survey.first_boot import known_surveys

pytestmark = [pytest.mark.qemu, pytest.mark.xdist_group("survey")]


@pytest.fixture
def play(lab, tmp_path, monkeypatch):
    """Play a scenario on one of three images of a lab.toml; return the result and what was told."""
    kernel, disk = lab.guest_image("bookworm").bzimage, lab.guest_image("bookworm-grub").disk
    (tmp_path / "pw").write_text("ttylab\n")
    (tmp_path / "lab.toml").write_text(
        f'[images.mine]\nkernel = "{kernel}"\ninitrd = "ttylab"\n'
        f'[images.server]\ndisk = "{disk}"\nlogin = {{ user = "tester", password_file = "pw" }}\n'
        f'[images.root]\ndisk = "{disk}"\nlogin = {{ user = "root", password_file = "pw" }}\n'
    )
    monkeypatch.setenv("TTYLAB_LAB", str(tmp_path / "lab.toml"))
    monkeypatch.setattr(places, "surveys", lambda: tmp_path / "surveys")
    told: list[str] = []

    def play(image: str, scenario: str):
        cell = parse_cell_id(f"{image}.pc.seabios.1.{scenario}")
        run = CellRun(cell=cell, scenario=find_scenario(scenario), lab=lab.at(tmp_path / "run"))
        with listening(lambda what, stage, _fraction: told.append(f"{what}: {stage}")):
            result = run.run()
        return result.status, result.message, result.start, told

    return play


def test_own_kernel_is_asked_in_the_boot_that_its_cells_go_on_from(play):
    status, message, start, told = play("mine", "nmi-dazed")
    assert (status, message) == ("passed", "")
    assert start.startswith("forked from shell")
    assert told[0] == "survey of mine on pc (seabios): its first boot"
    assert known_surveys()["mine"].features >= {"pvpanic", "spin"}
    status, message, *_ = play("mine", "watchdog-fed")
    assert (status, message.partition(";")[0].partition(":")[0]) == ("skipped", "the guest has no i6300esb")
    assert len(told) == 2


def test_own_disk_gets_kernel_parameters_at_its_shell_if_root_has_it(play):
    assert play("root", "nmi-panic")[0] == "passed"
    assert known_surveys()["root"].root
    assert play("root", "boot-no-init")[0] == "skipped"


def test_own_disk_of_somebody_who_is_not_root_plays_what_he_may(play):
    assert play("server", "sysrq-sync")[0] == "passed"
    status, message, *_ = play("server", "sysrq-proc")
    assert (status, message.partition(";")[0]) == ("skipped", "only root can do this")
