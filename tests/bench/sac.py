"""Benchmarks of the SAC guest: boots, idling, the way from an NMI to the menu, and many at once."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.machine.machine import Machine, open_machine
from emulator.machine.probe import Choice
from emulator.machine.qemu_binary import find_qemu
from emulator.machine.spec import MachineType
from emulator.sac.image import SacBoot, sac_spec
from emulator.sac.knobs import SacKnobs
from harness.commands.bench import Measurement, measure_pairs

ROUNDS = 11
IDLE_S = 10.0
GUESTS = 64
BOUND_S = 30.0
_MIB = 2**20
_TCG = Choice(accelerator="tcg", reason="what every host has")
_PROMPT = b"SAC>"
_MENU = b"started automatically"
_PAUSED = "QEMU that starts paused and ends"


def sac_bios() -> Measurement:
    """Seconds from the spawn of QEMU to `SAC>`, from a BIOS disk on q35."""
    return _boots(SacBoot.BIOS_DISK, name="sac-bios", goal="value <= 0.2")


def sac_pvh() -> Measurement:
    """Seconds from the spawn of QEMU to `SAC>`, by PVH on q35."""
    return _boots(SacBoot.PVH, name="sac-pvh", goal="value <= 0.1")


def sac_cpu() -> Measurement:
    """CPU seconds of QEMU up to `SAC>`, from a BIOS disk on q35."""
    pairs = [(_boot(SacBoot.BIOS_DISK, _cpu), _boot(SacBoot.PVH, _cpu)) for _ in range(ROUNDS)]
    return measure_pairs(pairs, name="sac-cpu", unit="s", baseline="the same by PVH", goal="value <= 0.3")


def sac_idle() -> Measurement:
    """CPU of a guest that waits at `SAC>`, in percent of a core; the baseline's CPUs are stopped."""
    with _guest(SacBoot.BIOS_DISK) as machine:
        _power_on(machine)
        _wait_for(machine, b"SAC>\r\nEVENT")
        value = _idle(machine)
        machine.pause(Deadline.after(BOUND_S))
        paused = _idle(machine)
    return Measurement(
        name="sac-idle",
        value=value,
        unit="%",
        baseline="the same QEMU, paused",
        baseline_value=paused,
        ratio=value / paused if paused > 0 else None,
        goal="value <= 0.5",
    )


def sac_nmi_to_menu() -> Measurement:
    """Seconds from an NMI, through bugcheck, dump and restart, to the boot manager's menu again."""
    pairs = [
        (reach_menu_after_nmi(SacBoot.BIOS_DISK), reach_menu_after_nmi(SacBoot.PVH)) for _ in range(ROUNDS)
    ]
    return measure_pairs(
        pairs, name="sac-nmi-to-menu", unit="s", baseline="the same by PVH", goal="value <= 0.5"
    )


def sac_64_memory() -> Measurement:
    """Memory of 64 guests at `SAC>`, in MiB: their proportional set sizes."""
    with ExitStack() as stack:
        machines = [stack.enter_context(_guest(SacBoot.PVH)) for _ in range(GUESTS)]
        for machine in machines:
            _power_on(machine)
            _wait_for(machine, _PROMPT)
        sizes = [psutil.Process(machine.pid).memory_full_info().pss / _MIB for machine in machines]
    return Measurement(
        name="sac-64-memory",
        value=sum(sizes),
        unit="MiB",
        baseline="the largest of them, 64 times",
        baseline_value=max(sizes) * GUESTS,
        ratio=sum(sizes) / (max(sizes) * GUESTS),
        goal="value <= 4096",
    )


def _boots(way: SacBoot, *, name: str, goal: str) -> Measurement:
    pairs = [(_boot(way, _seconds), _start_paused()) for _ in range(ROUNDS)]
    return measure_pairs(pairs, name=name, unit="s", baseline=_PAUSED, goal=goal)


def _boot(way: SacBoot, measure: Callable[[Machine, float], float]) -> float:
    with _guest(way) as machine:
        began = _power_on(machine)
        _wait_for(machine, _PROMPT)
        return measure(machine, began)


def _seconds(machine: Machine, began: float) -> float:
    transcript = machine.transcript
    return transcript.arrival(transcript.read().index(_PROMPT)) - began


def _cpu(machine: Machine, began: float) -> float:
    del began
    times = psutil.Process(machine.pid).cpu_times()
    return times.user + times.system


def _idle(machine: Machine) -> float:
    before = _nanoseconds(machine)
    SYSTEM_CLOCK.sleep(IDLE_S)
    return (_nanoseconds(machine) - before) / IDLE_S / 1e9 * 100


def _nanoseconds(machine: Machine) -> int:
    """CPU of all threads: the clock ticks of `cpu_times` are coarser than what an idle guest takes."""
    threads = Path(f"/proc/{machine.pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text(encoding="ascii").split()[0]) for thread in threads)


def reach_menu_after_nmi(way: SacBoot) -> float:
    """Boot a guest and send it an NMI; return the seconds until its menu is there again."""
    with _guest(way, menu_timeout_s=30) as machine:
        _power_on(machine)
        _wait_for(machine, _MENU)
        machine.console.write(b"\r", Deadline.after(BOUND_S))
        _wait_for(machine, b"SAC>\r\nEVENT")
        start, began = len(machine.transcript), machine.transcript.now()
        machine.nmi(Deadline.after(BOUND_S))
        end = _wait_for(machine, _MENU, start=start)
        return machine.transcript.arrival(end) - began


def _start_paused() -> float:
    began = SYSTEM_CLOCK.monotonic()
    subprocess.run(
        [
            str(find_qemu().path),
            "-S",
            "-nodefaults",
            "-display",
            "none",
            "-machine",
            "q35",
            "-monitor",
            "stdio",
        ],
        input=b"quit\n",
        stdout=subprocess.DEVNULL,
        timeout=BOUND_S,
        check=True,
    )
    return SYSTEM_CLOCK.monotonic() - began


@contextmanager
def _guest(way: SacBoot, *, menu_timeout_s: int = 0) -> Iterator[Machine]:
    """A guest that has no power yet."""
    knobs = SacKnobs(menu_timeout_s=menu_timeout_s)
    spec = sac_spec(way=way, machine=MachineType.Q35, knobs=knobs)
    with tempfile.TemporaryDirectory() as scratch:
        run_dir = Path(scratch) / "run"
        with open_machine(spec, run_dir=run_dir, accelerator=_TCG, start=False) as machine:
            yield machine


def _power_on(machine: Machine) -> float:
    """Give power; return when that began, on the transcript's clock: ttylab's part of it is counted too."""
    began = machine.transcript.now()
    machine.power_on(Deadline.after(BOUND_S))
    return began


def _wait_for(machine: Machine, text: bytes, *, start: int = 0) -> int:
    """Return the offset of `text` once it has come."""
    transcript, deadline = machine.transcript, Deadline.after(BOUND_S)
    while not deadline.expired():
        version = transcript.version
        at = transcript.read(start).find(text)
        if at >= 0:
            return start + at
        transcript.wait_change(version, deadline)
    raise AssertionError(f"{text!r} did not come in {BOUND_S} s; last came {transcript.read()[-200:]!r}")
