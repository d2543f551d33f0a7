"""A machine for a person at this terminal: describe it, boot it, or choose one that is running."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from emulator.console.links import CONSOLE_SOCKET, CONTROL_SOCKET
from emulator.errors import MachineGone, SpecError
from emulator.guest_images.kinds import GuestImage
from emulator.machine.ledger import Entry
from emulator.machine.machine import Machine
from emulator.machine.models import find_model
from emulator.machine.spec import Board, Device, Firmware, MachineSpec
from harness.play.target import Target
from harness.snapshots.lab import Lab
from harness.terminal.terminal import LinkSockets, Terminal, greet


def run_interactive(spec: MachineSpec, lab: Lab, *, label: str) -> None:
    """Boot `spec` and attach this terminal until the user leaves, which ends the machine, or it ends.

    Raises MissingPrerequisite, LabError; MachineGone if QEMU ended unasked.
    """
    with lab.open(spec, label=label) as machine:
        sys.stderr.write(f"ttylab: console also on {machine.console.endpoint.path}, id {machine.id}\n")
        greet(f"{label} under {lab.choice(spec).accelerator}", writable=True)
        links = links_in(machine.links_dir)
        if not Terminal(links=links, writable=True, ended=lambda: has_left(machine)).run():
            return
        if (fault := gone(machine, label)) is not None:
            raise fault
        sys.stderr.write(f"\nttylab: {label}: the guest has switched itself off\n")


def run_line(opened: Callable[[Path], AbstractContextManager[Target]], what: str) -> None:
    """Attach this terminal to what `opened` opens, given a place for links; raises ConsoleClosed."""
    from harness.targets.serial_port import loss_of  # noqa: PLC0415  # most who come here have a machine

    with tempfile.TemporaryDirectory(prefix="ttylab-port-") as scratch, opened(Path(scratch)) as target:
        greet(what, writable=True)
        Terminal(links=links_in(Path(scratch)), writable=True, ended=target.ended).run()
        if (loss := loss_of(target)) is not None:
            raise loss


def run_board(name: str, *, boots: bool) -> None:
    """Attach this terminal to a board, as `run_line`; one that `boots` is switched off and on first."""
    from harness.targets.board import open_board  # noqa: PLC0415  # as above

    run_line(lambda links: open_board(name, boots=boots, links_dir=links), f"board {name}")


def gone(machine: Machine, label: str) -> MachineGone | None:
    """Return the error that says how QEMU ended unasked; None if it did not."""
    how = machine.exit
    if how is None or how.expected:
        return None
    return MachineGone(f"{label}: QEMU ended unasked: {how.reason}", exit_code=how.code)


def has_left(machine: Machine) -> bool:
    """Tell whether a guest has switched itself off, or its QEMU has ended unasked; a power cut is neither."""
    how = machine.exit
    return how is not None and (not how.expected or how.by_guest)


def links_in(directory: Path) -> LinkSockets:
    """Return the links that a machine serves in `directory`."""
    return LinkSockets(console=directory / CONSOLE_SOCKET, control=directory / CONTROL_SOCKET)


def links_of(entry: Entry) -> LinkSockets:
    """Return the links of a machine in the ledger."""
    return LinkSockets(console=Path(entry.console_socket), control=Path(entry.control_socket))


def choose_machine(machines: Sequence[Entry], name: str) -> Entry:
    """Return the machine whose id or label is `name` or, if it is the only one, has it; raises SpecError."""
    exact = [one for one in machines if name in (one.id, one.label)]
    fitting = exact or [one for one in machines if name in one.label or one.id.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    running = ", ".join(f"{one.id} ({one.label})" for one in (fitting or machines)) or "none"
    if not fitting:
        raise SpecError(f"no running machine fits {name!r}; running: {running}")
    raise SpecError(f"several machines fit {name!r}: {running}")


_E = TypeVar("_E", bound=StrEnum)
_MEMORY_MIB = 256


def interactive_spec(
    image: GuestImage,
    *,
    machine: str | None = None,
    firmware: str | None = None,
    vcpus: int | None = None,
    memory_mib: int | None = None,
    append: tuple[str, ...] = (),
    devices: tuple[str, ...] = (),
) -> MachineSpec:
    """Return the machine that the options describe; None takes what suits the image; raises SpecError."""
    usual = image.usual_board
    model = find_model(machine or usual.machine)
    board = Board(
        machine=model.base,
        firmware=word(Firmware, "firmware", usual.firmware if firmware is None else firmware),
        words=append,
    )
    own = model.applied(image.spec(board))
    return replace(
        own,
        vcpus=own.vcpus if vcpus is None else vcpus,
        memory_mib=max(own.memory_mib, _MEMORY_MIB) if memory_mib is None else memory_mib,
        devices=frozenset(word(Device, "device", one) for one in devices),
    )


def word(enum: type[_E], field: str, value: str) -> _E:
    """Return the member of `enum` that `value` names; raises SpecError if there is none."""
    try:
        return enum(value)
    except ValueError:
        raise SpecError(f"{field} is {value!r}; allowed: {', '.join(enum)}") from None
