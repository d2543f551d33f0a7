"""A stranger's board behind `socket://`, with commands for power, reset and NMI; the wheel's command line."""

from collections.abc import Iterator

import pytest

from emulator.machine.machine import open_machine
from emulator.machine.spec import Board, Firmware, MachineType
from harness.report.model import load_run
from tests.support.board_rig import board_table
from tests.support.socket_server import open_socket_server
from tests.support.stranger.installed import Installed, install
from tests.support.stranger.project import FAILED, FINDING, SCENARIOS, SIGNATURES

pytestmark = [pytest.mark.qemu, pytest.mark.xdist_group("strangers-board")]

LAB = """
[lab]
matrix = "bench.toml"
scenarios = ["scenarios.py"]
signatures = ["signatures.toml"]
"""
LOGIN = """
[boards.bench1.login]
user = "root"
password_env = "BENCH1_PASSWORD"
"""
PASSED = ("boot-login", "nmi-dazed", "reset-shell", "sysrq-proc")
MATRIX = f"""
[matrix]
name = "bench"
description = "a board of ours"
[[block]]
targets = ["bench1"]
scenarios = {[*PASSED, FAILED]}
"""


@pytest.fixture(scope="module")
def bench(lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Give the command line in a repository that names a board, which a guest of this process plays."""
    installed = install(tmp_path_factory.mktemp("bench"))
    board = Board(machine=MachineType.PC, firmware=Firmware.SEABIOS)
    spec = lab.guest_image("bookworm").spec(board)
    place, accelerator = installed.here.parent / "board", lab.choice(spec)
    opened = open_machine(
        spec,
        run_dir=place,
        qemu=lab.qemu(spec),
        accelerator=accelerator,
        start=False,
        label="a stranger's board",
    )
    with opened as machine, open_socket_server(machine.console) as (host, port):
        table = board_table(machine, f"socket://{host}:{port}")
        texts = {"scenarios.py": SCENARIOS, "signatures.toml": SIGNATURES, "bench.toml": MATRIX}
        for name, text in {**texts, "lab.toml": f"{LAB}\n{table}\n{LOGIN}"}.items():
            (installed.here / name).write_text(text)
        installed.environment["BENCH1_PASSWORD"] = "ttylab"
        yield installed


def test_board_plays_the_matrix_fails_with_a_finding_and_is_reproduced_and_repeated(bench: Installed) -> None:
    said = bench.ttylab("run", "bench.toml", "--run-dir", "first", "--no-allure", code=1)
    cells = {one.cell.scenario: one for one in load_run(bench.here / "first").cells}
    assert {name: (cells[name].status, cells[name].message) for name in PASSED} == dict.fromkeys(
        PASSED, ("passed", "")
    )
    found = cells[FAILED]
    assert (found.status, [one.title for one in found.findings if not one.expected]) == ("failed", [FINDING])
    (line,) = [line for line in said.splitlines() if f"repro {found.cell.id}" in line]
    again = bench.ttylab(*line.partition("ttylab ")[2].split(), code=1)
    assert "reproduced" in again
    assert "not reproduced" not in again
    assert FINDING in bench.ttylab("repeat", found.cell.id, "-n", "2", "--jitter", "none", code=1)
