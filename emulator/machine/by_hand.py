"""What people do to a running machine by hand: QMP commands, a debugger, letting go of one that is held.

It goes through the machine's owner, who has the only QMP session. What changes the guest is marked before it
happens, so that no verdict is silently one on a guest that somebody has reached into.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from emulator.clock import Deadline
from emulator.console.marks import REFUSED, MarkKind
from emulator.errors import ControlError, EmulatorError, SpecError, StateError
from emulator.machine.control import REQUEST_S, answer_request

if TYPE_CHECKING:
    from emulator.machine.machine import Machine

GDB_SOCKET = "gdb.sock"
"""Where QEMU's debugging stub listens, beside the machine's other sockets."""
_HMP = "human-monitor-command"
_READ = frozenset({"qom-get", "qom-list", "qom-list-types", "qom-list-properties", "device-list-properties"})
_HMP_READS = frozenset({"info", "help", "?", "x", "xp", "p", "print", "gva2gpa", "gpa2hva", "sum"})
_NOT_BY_HAND: Mapping[str, str] = {
    "quit": "it ends the machine behind its owner's back; leave `ttylab boot`, or `ttylab release NAME`",
    "qmp_capabilities": "the owner's session is past that",
    "migrate": "the owner moves and saves the machine by itself (ttylab snapshots)",
    "chardev": "the console would be lost; nothing may come between the guest and its transcript",
    "gdbserver": "`ttylab attach --gdb NAME` opens it on a private socket and closes it again",
}
"""Beginnings of commands that would break what the owner knows of its machine, and what to do instead."""
_DETACH = b"$D;1#b0"
"""With the process's number, which a stub wants that has spoken to gdb, and one that has not takes."""
_SHOWN = 60
_DETACH_S = 0.5
_TRIES = 6


def answer(machine: Machine, request: Mapping[str, Any]) -> dict[str, Any]:
    """Do what a request on a machine's control socket asks for, and return its answer.

    Beside those of `answer_request`, which the others are left to:
    `{"do": "qmp", "command": NAME, "arguments": {…}}` is answered with `{"ok": true, "return": …}`,
    `{"do": "gdb", "open": true|false}` with `{"ok": true, "socket": PATH}`, and `{"do": "release"}` lets go
    of a held machine. A refusal is `{"ok": false, "refused": TEXT}`.
    """
    act = _ACTS.get(str(request.get("do")))
    if act is None:
        return answer_request(machine, machine.transcript, request)
    try:
        return {"ok": True, **act(machine, request)}
    except (EmulatorError, OSError) as error:
        return {"ok": False, "refused": str(error)}


def only_reads(command: str, arguments: Mapping[str, object]) -> bool:
    """Tell whether a QMP command leaves the guest as it is; one that is not known to does not."""
    if command == _HMP:
        return _first_word(arguments) in _HMP_READS
    return command.startswith("query-") or command == "screendump" or command in _READ


def objection(command: str, arguments: Mapping[str, object]) -> str:
    """Return why a QMP command is not for people; empty if it is."""
    word = _first_word(arguments) if command == _HMP else command
    word = "quit" if command == _HMP and word == "q" else word
    return next((f"{word}: {why}" for start, why in _NOT_BY_HAND.items() if word.startswith(start)), "")


def _first_word(arguments: Mapping[str, object]) -> str:
    return next(iter(str(arguments.get("command-line", "")).split()), "").partition("/")[0]


def _qmp(machine: Machine, request: Mapping[str, Any]) -> dict[str, Any]:
    command, arguments = request.get("command"), request.get("arguments", {})
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise SpecError('qmp: need a "command", a name, and perhaps "arguments", an object')
    if why := objection(command, arguments):
        raise StateError(f"refused: {why}")
    shown = arguments.get("command-line") if command == _HMP else command
    name = f"qmp {' '.join(str(shown).split())[:_SHOWN]}"
    changes = not only_reads(command, arguments)
    if changes:
        machine.touch(name)
    try:
        deadline = Deadline.after(REQUEST_S, machine.transcript.clock)
        return {"return": machine.query(command, arguments, deadline=deadline)}
    except EmulatorError as error:
        if changes:
            machine.transcript.mark(MarkKind.LAB, REFUSED, {"request": name, "error": str(error)})
        raise


def _gdb(machine: Machine, request: Mapping[str, Any]) -> dict[str, Any]:
    if request.get("open"):
        machine.touch("gdb")
        _serve_gdb(machine)
    else:
        _detach(machine)
    return {"socket": str(machine.links_dir / GDB_SOCKET)}


def _serve_gdb(machine: Machine) -> None:
    path = machine.links_dir / GDB_SOCKET
    device = str(path).replace(",", ",,")  # how QEMU's options write a comma
    _say_hmp(machine, "gdbserver none")  # QEMU opens no second one
    said = _say_hmp(machine, f"gdbserver unix:{device},server=on,wait=off")
    if not path.exists():
        raise ControlError(f"QEMU opened nothing for gdb: {said.strip()}")


def _detach(machine: Machine) -> None:
    """Close the stub as gdb's `detach` would: without its breakpoints, which QEMU keeps, and running on.

    QEMU serves one client, so that one that is still there, or was killed, is cut off by a new stub.
    """
    _serve_gdb(machine)
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(_DETACH_S)
        link.connect(str(machine.links_dir / GDB_SOCKET))
        answers = (_try_detach(link) for _ in range(_TRIES))
        if not any(b"OK" in one for one in answers):
            raise ControlError("QEMU does not let gdb's place go")
    _say_hmp(machine, "gdbserver none")


def _try_detach(link: socket.socket) -> bytes:
    """Ask the stub to detach, and return what it says.

    While the guest still runs, it takes the first byte for a request to stop it, and drops the rest.
    """
    link.sendall(_DETACH)
    heard = b""
    with suppress(TimeoutError):
        while b"OK" not in heard and (more := link.recv(4096)):
            heard += more
    return heard


def _say_hmp(machine: Machine, line: str) -> str:
    deadline = Deadline.after(REQUEST_S, machine.transcript.clock)
    return str(machine.query(_HMP, {"command-line": line}, deadline=deadline))


def _release(machine: Machine, _: Mapping[str, Any]) -> dict[str, Any]:
    if machine.on_release is None:
        raise StateError("it is not held: it ends with what it runs for")
    machine.on_release()
    return {}


_ACTS: Mapping[str, Callable[[Machine, Mapping[str, Any]], dict[str, Any]]] = {
    "qmp": _qmp,
    "gdb": _gdb,
    "release": _release,
}
