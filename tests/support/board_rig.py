"""A board for tests: a guest behind a network serial port, and a lab.toml whose commands act on it."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from emulator.clock import Deadline
from emulator.lab_file.tables import COMMANDS
from emulator.machine.machine import Machine, open_machine
from emulator.machine.spec import Board, Firmware, MachineType
from harness.snapshots.lab import Lab
from tests.support.rfc2217_server import open_rfc2217_server

PROGRAM = Path(__file__).parent / "board_command.py"


def command(machine: Machine, word: str) -> list[str]:
    """Return the command that does `word` to the machine."""
    return [sys.executable, "-S", "-P", str(PROGRAM), str(machine.links_dir / "control.sock"), word]


def board_table(machine: Machine, url: str) -> str:
    """Return the table of the board bench1 that `machine` plays behind `url`."""
    table = {"console": url, "off_s": 0, **{key: command(machine, key) for key in COMMANDS}}
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    return "\n".join(["[boards.bench1]", *lines, ""])


@contextmanager
def open_board_rig(
    lab: Lab,
    place: Path,
    *,
    words: tuple[str, ...] = (),
) -> Iterator[Machine]:
    """Open a board called bench1, which is switched off, and write its lab.toml into `place`.

    `words` are its kernel's parameters. What plays the board is given.
    """

    def send_break() -> None:
        machine.send_break(Deadline.after(60.0))

    board = Board(machine=MachineType.PC, firmware=Firmware.SEABIOS, words=words)
    spec = lab.guest_image("bookworm").spec(board)
    with ExitStack() as stack:
        opened = open_machine(
            spec,
            run_dir=place / "board",
            qemu=lab.qemu(spec),
            accelerator=lab.choice(spec),
            start=False,
            label="the board of a test",
        )
        machine = stack.enter_context(opened)
        host, port = stack.enter_context(open_rfc2217_server(machine.console, on_break=send_break))
        (place / "password").write_text("ttylab\n")
        login = '[boards.bench1.login]\nuser = "root"\npassword_file = "password"\n'
        (place / "lab.toml").write_text(board_table(machine, f"rfc2217://{host}:{port}") + login)
        yield machine
