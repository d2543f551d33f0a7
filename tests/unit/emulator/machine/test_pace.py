"""What the kernel says that it withheld, and how slow an accelerator is, from files and from this host."""

import json
import os

import pytest

from emulator.clock import SYSTEM_CLOCK, FairClock
from emulator.machine import pace
from emulator.machine.architectures.x86_64 import ROM_SIZE, loop_rom
from emulator.machine.pace import LOOPS, Withheld, fair_clock, measure_slowness
from emulator.machine.probe import Choice
from emulator.machine.spec import MachineType
from tests.support.fake_clock import FakeClock

TCG = Choice(accelerator="tcg", reason="for a test")


def write_task(root, pid, task, *, delay_ns, children=""):
    directory = root / f"proc/{pid}/task/{task}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "schedstat").write_text(f"5000 {delay_ns} 7\n")
    (directory / "children").write_text(children)
    return directory


def test_threads_of_the_process_and_of_its_children_count(tmp_path):
    write_task(tmp_path, 10, 10, delay_ns=1_000_000_000, children="20 ")
    write_task(tmp_path, 10, 11, delay_ns=500_000_000)
    write_task(tmp_path, 20, 20, delay_ns=250_000_000)
    assert Withheld(tmp_path, pid=10).read() == pytest.approx(1.75)


def test_thread_that_ended_keeps_its_share_and_a_number_used_again_takes_nothing_back(tmp_path):
    task = write_task(tmp_path, 10, 11, delay_ns=2_000_000_000)
    withheld = Withheld(tmp_path, pid=10)
    assert withheld.read() == pytest.approx(2)
    (task / "schedstat").unlink()
    assert withheld.read() == pytest.approx(2)
    write_task(tmp_path, 10, 11, delay_ns=1_000_000_000)
    assert withheld.read() == pytest.approx(3)


def test_what_a_hypervisor_stole_counts_once_for_each_cpu(tmp_path):
    (tmp_path / "proc").mkdir()
    stolen = 4 * os.sysconf("SC_CLK_TCK")
    (tmp_path / "proc/stat").write_text(f"cpu  1 2 3 4 5 6 7 {stolen} 0 0\ncpu0 1\ncpu1 1\nintr 5\n")
    assert Withheld(tmp_path, pid=10).read() == pytest.approx(2)


@pytest.mark.parametrize("text", ["", "cpu  1 2 3\n", "nonsense"])
def test_kernel_that_counts_nothing_withholds_nothing(tmp_path, text):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text(text)
    write_task(tmp_path, 10, 10, delay_ns=1).joinpath("schedstat").write_text("")
    assert Withheld(tmp_path, pid=10).read() == 0


def test_this_host_can_be_asked():
    withheld = Withheld()
    assert 0 <= withheld.read() <= withheld.read()


def test_time_of_a_test_stays_its_own():
    assert isinstance(fair_clock(SYSTEM_CLOCK), FairClock)
    fake = FakeClock()
    assert fair_clock(fake) is fake


class Measured:
    """CPU seconds of children, before and after QEMU."""

    version = "7.2"

    def __init__(self, monkeypatch, seconds):
        self.values, self.runs = iter([1.0, 1.0 + seconds]), 0
        monkeypatch.setattr(pace, "_children_s", lambda: next(self.values))
        monkeypatch.setattr(pace, "run_probe", self.run)

    def run(self, *_, **__):
        self.runs += 1


@pytest.mark.parametrize(("seconds", "slowness"), [(0.05, 1.0), (0.15, 1.0), (0.6, 4.0), (60.0, 16.0)])
def test_accelerator_is_measured_once_and_never_faster_than_usual(tmp_path, monkeypatch, seconds, slowness):
    qemu = Measured(monkeypatch, seconds)
    for _ in range(2):
        found = measure_slowness(qemu, TCG, machine=MachineType.PC, cache_dir=tmp_path)
        assert found == pytest.approx(slowness)
    assert qemu.runs == 1


def test_damaged_file_is_measured_again(tmp_path, monkeypatch):
    measure_slowness(Measured(monkeypatch, 0.3), TCG, machine=MachineType.PC, cache_dir=tmp_path)
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text()) == {"cpu_s": 0.3}
    file.write_text("[]")
    again = measure_slowness(Measured(monkeypatch, 0.6), TCG, machine=MachineType.PC, cache_dir=tmp_path)
    assert again == pytest.approx(4.0)


def test_rom_begins_where_a_cpu_begins():
    rom = loop_rom(LOOPS)
    assert len(rom) == ROM_SIZE
    jump = int.from_bytes(rom[-15:-13], "little", signed=True)
    assert rom[-16 + 3 + jump :].startswith(b"\x66\xb9" + LOOPS.to_bytes(4, "little"))
