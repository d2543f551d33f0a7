"""`sac-nmi-per-minute`: whole cells of NMI scenarios, as `ttylab run` plays them, against the bare guests."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK
from emulator.sac.image import SacBoot
from harness.commands.bench import Measurement
from harness.snapshots.lab import cell_workers
from tests.bench.sac import reach_menu_after_nmi

ROOT = Path(__file__).parents[2]
BOUND_S = 1200.0
CELLS = 120
BARE = 40
_MATRIX = """
[matrix]
name = "sac-nmi-per-minute"
description = "From the boot to SAC's prompt, an NMI, its bugcheck, the dump, the restart, and SAC again"
timeout_s = 180

[[block]]
images = ["sac", "sac-2003", "sac-2016", "sac-2019", "sac-2025"]
machines = ["pc", "q35"]
firmwares = ["seabios"]
vcpus = [1, 2, 3, 4]
scenarios = ["sac-crash-module", "sac-nmi-prompt", "sac-nmi-typing"]
"""


def sac_nmi_per_minute() -> Measurement:
    """NMI scenarios a minute, with all that `ttylab run` does; the baseline is taken before and after."""
    before = _bare_seconds()
    seconds = _run_matrix()
    bare = 60 * 2 * BARE / (before + _bare_seconds())
    value = 60 * CELLS / seconds
    return Measurement(
        name="sac-nmi-per-minute",
        value=value,
        unit="1/min",
        baseline="as many guests at once that boot, get an NMI and show their menu again, and nobody judges",
        baseline_value=bare,
        ratio=value / bare,
        goal="value >= 120 on 2 cores",
    )


def _run_matrix() -> float:
    with tempfile.TemporaryDirectory() as scratch:
        matrix, result = Path(scratch) / "matrix.toml", Path(scratch) / "run.json"
        matrix.write_text(_MATRIX, encoding="ascii")
        argv = [sys.executable, "-m", "harness.cli", "run", str(matrix), "--run-dir", f"{scratch}/run"]
        began = SYSTEM_CLOCK.monotonic()
        subprocess.run(
            [*argv, "--no-allure", "--json", str(result)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=BOUND_S,
        )
        seconds = SYSTEM_CLOCK.monotonic() - began
        verdicts = [cell["status"] for cell in json.loads(result.read_bytes())["cells"]]
    if verdicts != ["passed"] * CELLS:
        raise AssertionError(f"{verdicts.count('passed')} of {len(verdicts)} cells passed; needed: {CELLS}")
    return seconds


def _bare_seconds() -> float:
    """Seconds that BARE guests take, as many at once as a matrix has."""
    began = SYSTEM_CLOCK.monotonic()
    with ThreadPoolExecutor(cell_workers()) as pool:
        list(pool.map(lambda _: reach_menu_after_nmi(SacBoot.BIOS_DISK), range(BARE)))
    return SYSTEM_CLOCK.monotonic() - began
