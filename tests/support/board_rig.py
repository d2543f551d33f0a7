"""A board for tests: a guest behind a network serial port, and a lab.toml whose commands act on it."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from emulator.clock import Deadline
from emulator.machine.machine import Machine, open_machine
from emulator.machine.spec import Board, Firmware, MachineType
from harness.run.lab import Lab
from tests.support.rfc2217_server import open_rfc2217_server
from tests.support.socket_server import open_socket_server

COMMAND = Path(__file__).parent / "board_command.py"
KEYS = ("power_on", "power_off", "reset", "nmi")


@dataclass(frozen=True, kw_only=True)
class BoardRig:
    """A board and the lab that names it.

    Attributes:
        machine: what plays the board.
        lab_file: the lab.toml.
    """

    machine: Machine
    lab_file: Path


def command(machine: Machine, word: str) -> list[str]:
    """Return the command that does `word` to the machine."""
    return [sys.executable, "-S", "-P", str(COMMAND), str(machine.links_dir / "control.sock"), word]


@contextmanager
def open_board_rig(
    lab: Lab,
    place: Path,
    *,
    words: tuple[str, ...] = (),
    keys: tuple[str, ...] = KEYS,
    plain: bool = False,
    changed: Mapping[str, object] = {},
) -> Iterator[BoardRig]:
    """Open a board called bench1, which is switched off, and write its lab.toml into `place`.

    `words` are its kernel's parameters; `keys` have commands; a `plain` socket has no BREAK; `changed`
    are other entries of its table.
    """
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
        if plain:
            host, port = stack.enter_context(open_socket_server(machine.console))
        else:

            def send_break() -> None:
                machine.send_break(Deadline.after(60.0))

            host, port = stack.enter_context(open_rfc2217_server(machine.console, on_break=send_break))
        url = f"{'socket' if plain else 'rfc2217'}://{host}:{port}"
        table: dict[str, object] = {
            "console": url,
            "off_s": 0,
            **{key: command(machine, key) for key in keys},
        }
        (place / "password").write_text("ttylab\n")
        login = 'login = { user = "root", password_file = "password" }'
        lines = [f"{key} = {json.dumps(value)}" for key, value in (table | dict(changed)).items()]
        lab_file = place / "lab.toml"
        lab_file.write_text("\n".join(["[boards.bench1]", login, *lines, ""]))
        yield BoardRig(machine=machine, lab_file=lab_file)
