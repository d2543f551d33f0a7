"""arm64 beside x86-64: its guests boot, are forked, answer BREAK, reset and power; an NMI can't be raised."""

import gzip

import pytest

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.errors import ControlError, SpecError, StateError
from emulator.guest_images.kinds import image_features
from emulator.machine.architectures import ARM64, X86_64
from emulator.machine.machine import open_machine
from emulator.machine.pace import measure_slowness
from emulator.machine.probe import Choice, choose_accelerator
from emulator.machine.qemu_binary import find_qemu
from emulator.machine.spec import Accelerator, MachineType
from harness.cells.cell import parse_cell_id
from harness.cells.matrix import misfit
from harness.run.cell_run import CellRun
from harness.run.repro import recall
from harness.run.wanted import wanted_of
from harness.scenarios import find_scenario

pytestmark = pytest.mark.qemu
IMAGE = "bookworm-arm64"


def play(lab, directory, image, scenario):
    cell = parse_cell_id(f"{image}.virt.none.1.{scenario}")
    return CellRun(cell=cell, scenario=find_scenario(scenario), lab=lab.at(directory)).run()


@pytest.mark.parametrize("scenario", ["sysrq-registers", "reset-login", "power-command"])
def test_scenario_is_forked_and_passes_on_virt(lab, tmp_path, scenario):
    result = play(lab, tmp_path / "run", IMAGE, scenario)
    assert result.status == "passed", result.message
    assert result.start.startswith("forked from ")
    assert result.image["architecture"] == "aarch64"
    assert result.argv[0].endswith("qemu-system-aarch64")


def test_users_own_packed_image_boots_and_its_cell_is_reproduced(lab, tmp_path, monkeypatch):
    kernel = lab.guest_image(IMAGE).bzimage.read_bytes()
    (tmp_path / "Image.gz").write_bytes(gzip.compress(kernel, 1))
    (tmp_path / "lab.toml").write_text('[images.packed]\nkernel = "Image.gz"\ninitrd = "ttylab"\n')
    monkeypatch.setenv("TTYLAB_LAB", str(tmp_path / "lab.toml"))
    result = play(lab, tmp_path / "run", "packed", "boot-login")
    assert result.status == "passed", result.message
    cell, scenario = parse_cell_id("packed.virt.none.1.boot-login"), find_scenario("boot-login")
    assert b"root@packed:~#" in (tmp_path / "run/cells" / cell.id / "console.bin").read_bytes()
    bench = lab.at(tmp_path / "run")
    image = bench.guest_image("packed")
    now = wanted_of(cell, scenario, image).spec
    assert recall(cell, bench.run_dir, lab=bench, image=image, now=now, changed=False, port="") is not None
    with pytest.raises(SpecError, match="machine is pc, which is x86_64; allowed: virt for packed"):
        wanted_of(parse_cell_id("packed.pc.seabios.1.boot-login"), scenario, image)
    assert "packed is for aarch64" in str(
        misfit(parse_cell_id("packed.q35.ovmf.1.boot-login"), scenario, image_features()["packed"])
    )


def test_nmi_is_refused_by_qemu_itself_and_so_by_the_machine(lab, tmp_path):
    spec = lab.guest_image(IMAGE).spec(lab.guest_image(IMAGE).usual_board)
    choice = Choice(accelerator="tcg", reason="what every host has")
    with open_machine(spec, run_dir=tmp_path, accelerator=choice) as machine:
        assert machine.transcript.name == "ttyAMA0"
        with pytest.raises(StateError, match=r"\(virt\) has no nmi"):
            machine.nmi(Deadline.after(30))
        with pytest.raises(ControlError, match="not currently supported"):
            machine.query("inject-nmi", deadline=Deadline.after(30))


def test_accelerator_of_a_foreign_guest_is_tcg_and_is_measured(monkeypatch, tmp_path):
    monkeypatch.setattr("platform.machine", lambda: X86_64.name)
    qemu = find_qemu(architecture=ARM64)
    choice = choose_accelerator(Accelerator.AUTO, qemu=qemu, machine=MachineType.VIRT, cache_dir=tmp_path)
    assert choice.accelerator == "tcg"
    assert "this host is x86_64, the guest aarch64" in choice.reason
    slow = measure_slowness(qemu, choice, machine=MachineType.VIRT, clock=SYSTEM_CLOCK, cache_dir=tmp_path)
    assert slow >= 1.0
