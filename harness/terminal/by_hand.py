"""What a person does to a running machine beside its console: QMP, a dump, a debugger, letting go of it."""

from __future__ import annotations

import json
import os
import platform
import select
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from emulator import places
from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.console.links import request_control
from emulator.errors import SpecError
from emulator.files import open_whole
from emulator.lab_file.read import current_lab
from emulator.machine.architectures import architecture_of
from emulator.machine.ledger import Entry, list_machines
from emulator.machine.spec import MachineSpec
from harness.run.repro import recorded_spec
from harness.scenario.errors import Refused
from harness.terminal.interactive import choose_machine
from harness.terminal.terminal import REQUEST_S

_LOOK_S = 0.2
_SYMBOLS = "vmlinux"
_TREE_DEPTH = 5
"""How far above a kernel its build tree may begin: arch/x86/boot/bzImage, and one for an output directory."""


def find_machine(name: str) -> Entry:
    """Return the running machine that `name` means; raises SpecError as `choose_machine`."""
    return choose_machine(list_machines(), name)


def ask(entry: Entry, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a machine's owner answers to a request; raises Refused, and ControlError if nobody does."""
    answer = request_control(Path(entry.control_socket), dict(request), Deadline.after(REQUEST_S))
    if not answer.get("ok"):
        raise Refused(f"{entry.label}: {' '.join(str(answer.get('refused')).split())}")
    return answer


def ask_qmp(entry: Entry, command: str, arguments: Mapping[str, object] | None = None) -> Any:
    """Return the result of a QMP command; errors are those of `ask`."""
    return ask(entry, {"do": "qmp", "command": command, "arguments": dict(arguments or {})})["return"]


def read_arguments(text: str) -> dict[str, object]:
    """Return a QMP command's arguments, a JSON object; a file's name counts from here; raises SpecError."""
    try:
        arguments = json.loads(text or "{}")
    except ValueError as error:
        raise SpecError(f"arguments {text!r}: no JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise SpecError(f'arguments {text!r}: need a JSON object, as {{"device": "disk0"}}')
    if isinstance(name := arguments.get("filename"), str):
        arguments["filename"] = str(Path(name).absolute())
    return arguments


def dump_memory(entry: Entry, file: Path, *, kind: str, progress: Callable[[int, int], None]) -> None:
    """Write a guest's memory into a new file, for its owner only; the guest stands meanwhile.

    `progress` is called with the bytes so far and all. After a failure or an interruption there is no file:
    QEMU, which can't be stopped, then writes the rest to no name. Raises SpecError if the file exists or QEMU
    has no such format; Refused, FileError.
    """
    kinds = ask_qmp(entry, "query-dump-guest-memory-capability")["formats"]
    if kind not in kinds:
        raise SpecError(f"--format is {kind!r}; allowed: {', '.join(kinds)}")
    _require_new(file)
    with open_whole(file, private=True) as target:
        path = Path(f"/proc/self/fd/{target.fileno()}").readlink()
        wanted = {"paging": False, "protocol": f"file:{path}", "detach": True, "format": kind}
        ask_qmp(entry, "dump-guest-memory", wanted)
        while (state := ask_qmp(entry, "query-dump"))["status"] == "active":
            progress(state["completed"], state["total"])
            SYSTEM_CLOCK.sleep(_LOOK_S)
        if state["status"] != "completed":
            raise Refused(f"{entry.label}: QEMU could not write the dump; is the disk full?")
        progress(state["total"], state["total"])
        _require_new(file)


def _require_new(file: Path) -> None:
    if os.path.lexists(file):
        raise SpecError(f"{file} exists, and a dump overwrites nothing; choose another name")


def debug(entry: Entry, *, tell: Callable[[str], None], show: Callable[[str], None]) -> None:
    """Open a machine to gdb until Enter, an interrupt or the machine's end; raises as `ask`.

    `show` gets the line for gdb, `tell` all else that a person should know.
    """

    def lives() -> bool:
        return any((one.id, one.pid) == (entry.id, entry.pid) for one in list_machines())

    socket = ask(entry, {"do": "gdb", "open": True})["socket"]
    try:
        spec = recorded_spec(Path(entry.run_dir))
        tell(f"ttylab: gdb for {entry.label} ({entry.id}); once it joins, guest and waits of its cell stand")
        found = symbols_of(_kernels(entry, spec))
        show(shlex.join([gdb_for(spec), str(found or _SYMBOLS), "-ex", f"target remote {socket}"]))
        for note in debug_notes(spec, found):
            tell(f"ttylab: {note}")
        tell("ttylab: Enter or Ctrl-C closes it without breakpoints, and the guest runs on")
        _await_leave(lives)
    finally:
        if lives():
            ask(entry, {"do": "gdb", "open": False})


def gdb_for(spec: MachineSpec) -> str:
    """Return the name of a gdb that knows a machine's architecture: the host's own, or Debian's for all."""
    return "gdb" if architecture_of(spec.machine).name == platform.machine() else "gdb-multiarch"


def _kernels(entry: Entry, spec: MachineSpec) -> Iterable[Path]:
    """Yield the files that a machine's kernel is, or was made from: a user's own first."""
    image = current_lab().images.get(entry.label.split()[-1].partition(".")[0])
    if image is not None and image.kernel is not None:
        yield image.kernel
    if spec.kernel is not None:
        yield spec.kernel


def symbols_of(kernels: Iterable[Path]) -> Path | None:
    """Return the vmlinux that a kernel is, or that stands in the tree it was built in; None without one."""
    for kernel in kernels:
        trees = [kernel, *(tree / _SYMBOLS for tree in kernel.absolute().parents[1:_TREE_DEPTH])]
        found = next((one for one in trees if one.name.startswith(_SYMBOLS) and one.is_file()), None)
        if found is not None and not found.is_relative_to(places.cache()):  # there it has no symbols
            return found
    return None


def debug_notes(spec: MachineSpec, found: Path | None) -> list[str]:
    """Return what a person needs for addresses to have names."""
    notes = []
    if shutil.which(gdb := gdb_for(spec)) is None:
        notes.append(f"{gdb} is not installed: apt-get install {gdb}")
    if found is None:
        notes.append(f"{_SYMBOLS}: the kernel's file with symbols, of its build tree or its -dbg package")
    if spec.windows is None and "nokaslr" not in spec.command_line:
        notes.append("a kernel with KASLR moves itself at each boot: boot with nokaslr, or symbols are off")
    return notes


def _await_leave(lives: Callable[[], bool]) -> None:
    """Return at Enter on a terminal, or once the machine has ended."""
    sources = [sys.stdin] if sys.stdin is not None and sys.stdin.isatty() else []
    while lives():
        if select.select(sources, [], [], _LOOK_S)[0]:
            sys.stdin.readline()
            return
