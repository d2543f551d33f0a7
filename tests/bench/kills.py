"""Kill what belongs to runs, at random: nothing may be left, no run may wait or lie, and the next one works.

`python -m tests.bench.kills 200 SEED` prints what was killed and every complaint.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK, Deadline
from harness.commands.bench import Measurement
from harness.report.model import RESULT_FILE, load_run
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_INTERRUPTED, EXIT_PASSED

ROOT = Path(__file__).parents[2]
KILLS = 200
CELLS = "bookworm and pc and seabios and (sysrq or boot-login or nmi) and not generic"
"""A few seconds each; forked and booted ones."""
END_S = 180.0
"""Seconds within which a run whose parts were killed must have ended by itself."""
GONE_S = 15.0
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)


@dataclass(slots=True)
class Campaign:
    """A row of runs whose processes are killed.

    Attributes:
        place: directory for the runs.
        random: decides who is killed, when and how.
        killed: how often each kind of process got each signal.
        complaints: what was wrong.
    """

    place: Path
    random: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    _seen: dict[tuple[int, str], bytes] = field(default_factory=dict)

    def run_until(self, kills: int) -> None:
        """Start runs until that many processes were killed, then one that nobody disturbs."""
        number = 0
        while self.killed.total() < kills:
            number += 1
            self._disturbed(number)
            sys.stderr.write(f"ttylab: run {number}: {self.killed.total()} of {kills} killed\n")
        with self._started(number + 1) as run:
            code = self._end_of(run, number + 1)
        if code != EXIT_PASSED:
            self.complaints.append(f"run {number + 1}: {code} although nothing was killed")

    def _started(self, number: int) -> subprocess.Popen[bytes]:
        words = ("run", "ci/push.toml", "-k", CELLS, "--no-allure", "--run-dir", self.place / str(number))
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "harness", *map(str, words)],
            cwd=ROOT,
            env=os.environ | {"TTYLAB_STATE": str(self.place / "state")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _disturbed(self, number: int) -> None:
        before = self.killed.copy()
        whole = self.random.random() < 0.6  # else the run itself is killed at last
        with self._started(number) as run:
            for _ in range(self.random.randint(2, 16)):
                SYSTEM_CLOCK.sleep(self.random.uniform(0.05, 2.5))
                if run.poll() is not None:
                    break
                self._kill_a_part(run.pid)
            if not whole and run.poll() is None:
                self._send(run.pid, "run", self.random.choice(_ENDINGS))
            code = self._end_of(run, number)
        told = [f"{who} {count - before[who]}" for who, count in self.killed.items() if count > before[who]]
        for complaint in (*self._left(), *self._lies(number, code)):
            self.complaints.append(f"run {number} ({', '.join(told)}): {complaint}")

    def _kill_a_part(self, run: int) -> None:
        parts = [(pid, name) for pid, name in self._processes() if pid != run]
        if parts:
            kind = self.random.choice(sorted({name for _, name in parts}))
            pid, name = self.random.choice([part for part in parts if part[1] == kind])
            self._send(pid, name, self.random.choice(_ENDINGS) if name == "qemu" else signal.SIGKILL)

    def _send(self, pid: int, name: str, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            self.killed[f"{name} {number.name}"] += 1

    def _end_of(self, run: subprocess.Popen[bytes], number: int) -> int:
        try:
            return run.wait(END_S)
        except subprocess.TimeoutExpired:
            self.complaints.append(f"run {number}: did not end within {END_S:.0f} s")
            run.kill()
            return run.wait()

    def _processes(self) -> Iterator[tuple[int, str]]:
        """Give id and kind of each process of this campaign: its descendants, and those that were."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        mine = {os.getpid()}
        while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
            mine |= more
        for pid in mine - {os.getpid()}:
            with suppress(OSError):
                self._seen[pid, _started_at(pid)] = Path(f"/proc/{pid}/cmdline").read_bytes()
        for (pid, started), words in self._seen.items():
            with suppress(OSError):
                if _started_at(pid) == started:
                    yield pid, "qemu" if b"qemu-system" in words else "worker"

    def _left(self) -> list[str]:
        deadline = Deadline.after(GONE_S)
        while (left := list(self._processes())) and not deadline.expired():
            SYSTEM_CLOCK.sleep(0.1)
        for pid, _ in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return [f"{name} {pid} was left" for pid, name in left]

    def _lies(self, number: int, code: int) -> Iterator[str]:
        """Give what the run says that can't be: these guests are good, so none fails; green is all passed."""
        place = self.place / str(number)
        if code not in {EXIT_PASSED, EXIT_BROKEN, EXIT_INTERRUPTED, *(-one for one in _ENDINGS)}:
            yield f"exit code {code}"
        if not (place / "run.json").exists():
            if code >= 0 and (place / "cells").exists():
                yield f"exit code {code} without run.json"
            return
        run = load_run(place)
        for cell in run.cells:
            if cell.status == "failed":
                yield f"{cell.cell.id} failed: {cell.message}"
            if cell.status == "passed" and not (place / cell.directory / RESULT_FILE).exists():
                yield f"{cell.cell.id} passed without a result"
        if code == EXIT_PASSED and any(cell.status != "passed" for cell in run.cells):
            yield "green although not all passed"
        if (
            code != EXIT_PASSED
            and all(cell.status == "passed" for cell in run.cells)
            and code != EXIT_INTERRUPTED
        ):
            yield f"exit code {code} although all passed"


def _started_at(pid: int) -> str:
    """Return when a process was started; raises OSError if it has ended, a zombie too."""
    state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    if state == "Z":
        raise ProcessLookupError(pid)
    return fields[18]


def campaign(kills: int, seed: int) -> Campaign:
    """Kill that many processes; everything follows from the seed but the moments, which the host decides."""
    with tempfile.TemporaryDirectory(prefix="ttylab-kills-") as place:
        told = Campaign(place=Path(place), random=random.Random(seed))  # no secret
        told.run_until(kills)
    return told


def kills_without_harm() -> Measurement:
    """How many of 200 kills leave a process, block a run, or make one lie."""
    bad = float(len(campaign(KILLS, seed=1).complaints))
    return Measurement(
        name="kills", value=bad, unit="", baseline="", baseline_value=None, ratio=None, goal="0 of 200"
    )


if __name__ == "__main__":
    done = campaign(int(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(json.dumps({"killed": done.killed, "complaints": done.complaints}, indent=1) + "\n")
    sys.exit(bool(done.complaints))
