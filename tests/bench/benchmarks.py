"""The benchmarks by name, for `ttylab bench`."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.console.pump import Console, open_console, open_socket_console
from harness.commands.bench import Measurement, measure_pairs
from harness.play.session import Session
from harness.scenario.errors import GuestDied
from harness.scenario.steps import View
from tests.bench.kills import kills_without_harm
from tests.bench.links import links_200
from tests.bench.sac import sac_64_memory, sac_bios, sac_cpu, sac_idle, sac_nmi_to_menu, sac_pvh
from tests.bench.sac_matrix import sac_nmi_per_minute
from tests.bench.service import links_to_a_guest, serve_ready
from tests.bench.snapshots import (
    clone_linux,
    clone_sac,
    clones_100_memory,
    clones_per_minute,
    default_matrix_vs_cold,
    nmi_scenarios_per_minute,
    pool_handout,
    save,
)

ROOT = Path(__file__).parents[2]
PAIRS = 5
IDLE_S = 10.0
READER_BYTES = 8_000_000
_LINE = b"Nov 23 05:00:00 guest daemon[%d]: a line of console text as programs write it, no end in sight\r\n"


def overhead() -> tuple[Measurement, Measurement, Measurement]:
    """Drive the same course with ttylab and with a bare select loop, in turn."""
    pairs = [(_course("ttylab"), _course("bare")) for _ in range(PAIRS)]
    of = {key: [(ours[key], bare[key]) for ours, bare in pairs] for key in ("wall", "cpu", "nmi")}
    loop = "bare select loop on the same guest"
    return (
        measure_pairs(of["wall"], name="overhead-wall", unit="s", baseline=loop, goal="ratio <= 1.05"),
        measure_pairs(of["cpu"], name="overhead-cpu", unit="s", baseline=loop, goal="ratio <= 1.1"),
        measure_pairs(of["nmi"], name="nmi-seen", unit="s", baseline=loop, goal="value - baseline <= 0.05"),
    )


def _course(side: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.course", side],
        cwd=ROOT,
        capture_output=True,
        timeout=240,
        check=True,
    )
    facts: dict[str, float] = json.loads(done.stdout)
    return facts


def reader_8mb() -> Measurement:
    """CPU of reading 8 MB up to a prompt: pump, transcript, scanner and session against a bare loop."""
    pairs = [(_read_with_ttylab(), _read_with_loop()) for _ in range(PAIRS)]
    return measure_pairs(
        pairs,
        name="reader-8mb",
        unit="s",
        baseline="select loop with a 128 KiB window",
        goal="value <= 0.1",
    )


def _text() -> bytes:
    text = b"".join(_LINE % number for number in range(READER_BYTES // len(_LINE)))
    return text + b"root@guest:~# "


@contextmanager
def _writer() -> Iterator[socket.socket]:
    """A process that writes the text; its CPU is not ours."""
    ours, theirs = socket.socketpair()
    script = "import sys,os;d=sys.stdin.buffer.read();os.write(2,b'x')\nwhile d: d=d[os.write(1,d[:65536]):]"
    with ours, tempfile.TemporaryFile() as text:
        text.write(_text())
        text.seek(0)
        writer = subprocess.Popen(
            [sys.executable, "-c", script], stdin=text, stdout=theirs, stderr=subprocess.PIPE
        )
        theirs.close()
        assert writer.stderr is not None
        writer.stderr.read(1)
        yield ours
        writer.wait(10)
        writer.stderr.close()


def _read_with_ttylab() -> float:
    with _writer() as link:
        before = time.process_time()
        with open_socket_console(link) as console:
            Session(console).expect(rb"root@guest:~# ", Deadline.after(60), view=View.USER)
        return time.process_time() - before


def _read_with_loop() -> float:
    with _writer() as link:
        before = time.process_time()
        window = b""
        prompt = re.compile(rb"root@guest:~# ")
        while not prompt.search(window):
            select.select([link], [], [], 60)
            window = (window + link.recv(65536))[-131072:]
        return time.process_time() - before


def idle_console() -> Measurement:
    """CPU of a console on which nothing happens, with a session waiting on it, in percent of a core.

    The session is there before the measurement begins: a process that opens its first one compiles the
    signatures, which takes 0.1 s of CPU and has nothing to do with waiting.
    """
    with open_console() as console:
        session = Session(console)
        ours = _idle_cpu(lambda: session.wait_quiet(IDLE_S, Deadline.after(IDLE_S)))
    bare = _idle_cpu(lambda: select.select([], [], [], IDLE_S))
    return Measurement(
        name="idle-console",
        value=ours,
        unit="%",
        baseline="select with a timeout",
        baseline_value=bare,
        ratio=ours / bare if bare else None,
        goal="value <= 0.2",
    )


def _idle_cpu(wait: Callable[[], object]) -> float:
    before = time.process_time()
    wait()
    return (time.process_time() - before) / IDLE_S * 100


def death_ends_wait() -> Measurement:
    """Seconds from a panic's last line to the end of a wait for something else."""
    with open_console() as console, _far_end(console) as far:
        pairs = [(_die(console, far), _notice(far)) for _ in range(20)]
    return measure_pairs(
        pairs,
        name="death-ends-wait",
        unit="s",
        baseline="os.read of the same bytes on a pty",
        goal="value <= 0.1",
    )


_PANIC = (
    b"[    1.000000] Kernel panic - not syncing: bench\r\n"
    b"[    1.000001] ---[ end Kernel panic - not syncing: bench ]---\r\n"
)


@contextmanager
def _far_end(console: Console) -> Iterator[int]:
    descriptor = os.open(console.path, os.O_RDWR | os.O_NOCTTY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _die(console: Console, far: int) -> float:
    session = Session(console, start=len(console.transcript))
    began = SYSTEM_CLOCK.monotonic()
    os.write(far, _PANIC)
    try:
        session.expect(rb"login: ", Deadline.after(30))
    except GuestDied:
        return SYSTEM_CLOCK.monotonic() - began
    raise AssertionError("the panic did not end the wait")


def _notice(far: int) -> float:
    del far
    master, slave = os.openpty()
    try:
        began = SYSTEM_CLOCK.monotonic()
        os.write(slave, _PANIC)
        os.read(master, 65536)
        return SYSTEM_CLOCK.monotonic() - began
    finally:
        os.close(master)
        os.close(slave)


def default_matrix() -> Measurement:
    """Seconds that `ttylab run` takes for the default matrix, set-up aside, against its cells one by one."""
    with tempfile.TemporaryDirectory() as scratch:
        result = Path(scratch) / "run.json"
        began = SYSTEM_CLOCK.monotonic()
        subprocess.run(
            [
                sys.executable,
                "-m",
                "harness.cli",
                "run",
                "--run-dir",
                f"{scratch}/run",
                "--json",
                str(result),
            ],
            cwd=ROOT,
            check=True,
            timeout=1800,
        )
        seconds = SYSTEM_CLOCK.monotonic() - began
        serial = sum(cell["duration_s"] for cell in json.loads(result.read_bytes())["cells"])
    return Measurement(
        name="default-matrix",
        value=seconds,
        unit="s",
        baseline="sum of the cells' own times in the same run",
        baseline_value=serial,
        ratio=seconds / serial,
        goal="value <= 600",
    )


BENCHMARKS: dict[str, Callable[[], tuple[Measurement, ...]]] = {
    "overhead": overhead,
    "reader-8mb": lambda: (reader_8mb(),),
    "idle-console": lambda: (idle_console(),),
    "death-ends-wait": lambda: (death_ends_wait(),),
    "default-matrix": lambda: (default_matrix(),),
    "kills": lambda: (kills_without_harm(),),
    "links-200": links_200,
    "serve-ready": lambda: (serve_ready(),),
    "service-links": links_to_a_guest,
    "sac-bios": lambda: (sac_bios(),),
    "sac-pvh": lambda: (sac_pvh(),),
    "sac-cpu": lambda: (sac_cpu(),),
    "sac-idle": lambda: (sac_idle(),),
    "sac-nmi-to-menu": lambda: (sac_nmi_to_menu(),),
    "sac-64-memory": lambda: (sac_64_memory(),),
    "sac-nmi-per-minute": lambda: (sac_nmi_per_minute(),),
    "clone-linux": lambda: (clone_linux(),),
    "clone-sac": lambda: (clone_sac(),),
    "pool-handout": lambda: (pool_handout(),),
    "clones-per-minute": lambda: (clones_per_minute(),),
    "nmi-scenarios-per-minute": lambda: (nmi_scenarios_per_minute(),),
    "clones-100-memory": lambda: (clones_100_memory(),),
    "save": lambda: (save(),),
    "default-matrix-vs-cold": lambda: (default_matrix_vs_cold(),),
}
"""What is run, by name; `overhead` gives three."""

PROVIDES = {
    "overhead-wall": "overhead",
    "overhead-cpu": "overhead",
    "nmi-seen": "overhead",
    "reader-8mb": "reader-8mb",
    "idle-console": "idle-console",
    "death-ends-wait": "death-ends-wait",
    "kills": "kills",
    "default-matrix": "default-matrix",
    "links-200": "links-200",
    "links-200-memory": "links-200",
    "serve-ready": "serve-ready",
    "echo-latency": "service-links",
    "connect-first-byte": "service-links",
    "sac-bios": "sac-bios",
    "sac-pvh": "sac-pvh",
    "sac-cpu": "sac-cpu",
    "sac-idle": "sac-idle",
    "sac-nmi-to-menu": "sac-nmi-to-menu",
    "sac-64-memory": "sac-64-memory",
    "sac-nmi-per-minute": "sac-nmi-per-minute",
    "clone-linux": "clone-linux",
    "clone-sac": "clone-sac",
    "pool-handout": "pool-handout",
    "clones-per-minute": "clones-per-minute",
    "nmi-scenarios-per-minute": "nmi-scenarios-per-minute",
    "clones-100-memory": "clones-100-memory",
    "save": "save",
    "default-matrix-vs-cold": "default-matrix-vs-cold",
}
"""The fixed names, and which of BENCHMARKS measures each."""
