"""A machine with a person in front of it."""

from __future__ import annotations

import sys
from pathlib import Path

from emulator.console.control_link import CONTROL_SOCKET
from emulator.console.links import CONSOLE_SOCKET
from emulator.machine.ledger import Entry
from emulator.machine.machine import open_machine
from emulator.machine.spec import MachineSpec
from harness.keyboard.terminal import Links, Terminal, greet
from harness.lab import Lab


def run_interactive(spec: MachineSpec, lab: Lab, *, label: str) -> None:
    """Boot `spec` and attach this terminal until the user leaves; then the machine is gone.

    Raises:
        MissingPrerequisite, LabError: the machine can't be started.
    """
    choice = lab.choice(spec.machine)
    opened = open_machine(
        spec, run_dir=lab.run_dir, qemu=lab.qemu, accelerator=choice, clock=lab.clock, label=label
    )
    with opened as machine:
        sys.stderr.write(f"ttylab: console also on {machine.console.endpoint.path}, id {machine.id}\n")
        greet(f"{label} under {choice.accelerator}", writable=True)
        Terminal(links=links_in(machine.links_dir), writable=True).run()


def links_in(directory: Path) -> Links:
    """Return the links that a machine serves in `directory`."""
    return Links(console=directory / CONSOLE_SOCKET, control=directory / CONTROL_SOCKET)


def links_of(entry: Entry) -> Links:
    """Return the links of a machine in the ledger."""
    return Links(console=Path(entry.console_socket), control=Path(entry.control_socket))
