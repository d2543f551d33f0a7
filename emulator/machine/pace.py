"""How fast guests run here: what the host withholds from them now, and how fast the accelerator is."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from emulator import places
from emulator.clock import STRETCH_MOST, SYSTEM_CLOCK, Clock, FairClock
from emulator.errors import FileError
from emulator.files import write_whole
from emulator.machine.architectures import architecture_of
from emulator.machine.probe import Choice, cache_key, read_host_identity, run_probe
from emulator.machine.qemu_binary import QemuBinary
from emulator.machine.spec import MachineType

_NS = 1_000_000_000


class Withheld:
    """Counts the seconds for which this process and its children were ready to run and got no CPU.

    The kernel counts them for each thread (/proc/PID/task/TID/schedstat, the second number), and for the
    whole host what a hypervisor took ("steal" in /proc/stat). Where it counts neither, nothing seems
    withheld. Not thread-safe; a FairClock calls it under its lock.
    """

    def __init__(self, root: Path = Path("/"), *, pid: int | None = None) -> None:
        self._proc = os.fspath(root / "proc")  # as text: a third of a cell's CPU went into making paths
        self._pid = os.getpid() if pid is None else pid
        self._known: dict[str, int] = {}
        self._total_ns = 0

    def read(self) -> float:
        """Return the seconds so far; a thread that has ended keeps its share."""
        now = dict(self._delays(self._pid))
        self._total_ns += sum(max(0, delay - self._known.get(one, 0)) for one, delay in now.items())
        self._known = now
        return self._total_ns / _NS + self._stolen_s()

    def _delays(self, pid: int) -> Iterator[tuple[str, int]]:
        tasks = f"{self._proc}/{pid}/task"
        with suppress(OSError):  # ended meanwhile
            for name in os.listdir(tasks):  # noqa: PTH208
                task = f"{tasks}/{name}"
                fields = _read(f"{task}/schedstat").split()
                if len(fields) == 3:  # proc(5)
                    yield task, int(fields[1])
                for child in _read(f"{task}/children").split():
                    yield from self._delays(int(child))

    def _stolen_s(self) -> float:
        lines = _read(f"{self._proc}/stat").splitlines()
        cpus = sum(line.startswith(b"cpu") and line[3:4].isdigit() for line in lines)
        fields = lines[0].split() if lines else []
        if cpus == 0 or len(fields) <= _STEAL:
            return 0.0
        return int(fields[_STEAL]) / os.sysconf("SC_CLK_TCK") / cpus


_STEAL = 8
_MOST = 1 << 20


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, _MOST)  # /proc gives as much at once
    except OSError:
        return b""
    finally:
        os.close(fd)


LOOPS = 20_000_000
USUAL_S = {"tcg": 0.15, "kvm": 0.03}
"""CPU seconds that LOOPS take where ttylab's waits were measured (docs/facts/qemu.md 2), at its slowest."""
_BOUND_S = 30.0


def measure_slowness(
    qemu: QemuBinary,
    choice: Choice,
    *,
    machine: MachineType,
    clock: Clock = SYSTEM_CLOCK,
    cache_dir: Path | None = None,
) -> float:
    """Return how many times slower than usual an accelerator executes guest code here, 1 to STRETCH_MOST.

    The loop takes 0.5 s; it is measured in CPU seconds, so that load does not count, and once for each boot
    of the host. A QEMU that can't run it is not slow: what is wrong with it shows elsewhere.

    Raises:
        OSError: no temporary file can be written, or `setpriv` is missing.
    """
    rom = architecture_of(machine).test.loop(LOOPS)
    accelerator = choice.accelerator
    key = cache_key(read_host_identity(), machine=machine, qemu=f"{qemu.version} {accelerator}", rom=rom)
    file = (cache_dir or places.probe_verdicts()) / f"speed-{key[:32]}.json"
    try:
        seconds = float(json.loads(file.read_bytes())["cpu_s"])
    except (OSError, ValueError, KeyError, TypeError):
        before = _children_s()
        run_probe(qemu, machine=machine, accelerator=accelerator, clock=clock, rom=rom, bound_s=_BOUND_S)
        seconds = _children_s() - before
        with suppress(FileError):
            write_whole(file, json.dumps({"cpu_s": round(seconds, 3)}).encode(), private=True, parents=True)
    return min(max(1.0, seconds / USUAL_S[accelerator]), STRETCH_MOST)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fair_clock(clock: Clock, *, slow: float = 1.0) -> Clock:
    """Return the clock for waits on a guest of this process: a fair one, unless a test has its own time."""
    return FairClock(withheld=Withheld().read, slow=slow) if clock is SYSTEM_CLOCK else clock
