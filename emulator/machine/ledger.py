"""This user's machines: one file for each, so that nothing is forgotten after `kill -9`.

An entry is written before anything it names exists, and removed after all of that is gone. Any number of
processes may read and write at once: files are replaced whole, and one that vanishes under a reader belonged
to a machine that ended.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from emulator import places
from emulator.errors import LabError, SpecError
from emulator.files import make_private_directory, read_whole, write_json
from emulator.machine.process import MARKER_VARIABLE, Identity, find_marked
from emulator.machine.run_dir import remove_temp_dir
from emulator.values import json_ready, load_json, read_value

VERSION = 1
_ENTRY_MOST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One machine in the ledger; paths are text, empty while unknown.

    Attributes:
        id: unique name of the machine.
        label: what the user calls it: a cell id, an image.
        name: the spec's name.
        pid: QEMU's process id, None while it is off.
        pid_start: when that process started, in clock ticks since boot.
        owner_pid: the process that holds the machine.
        owner_start: when the owner started.
        boot_id: the boot of the host that the pids belong to.
        run_dir: the evidence; never removed.
        temp_dir: links and sockets; removed with the machine.
        console: the pty for people and programs.
        console_socket: unix socket that carries the console.
        control_socket: unix socket that takes requests.
        argv_sha256: hash of the latest command line.
        started_utc: when the machine was made, ISO 8601.
    """

    id: str
    label: str
    name: str
    pid: int | None = None
    pid_start: int | None = None
    owner_pid: int
    owner_start: int
    boot_id: str
    run_dir: str
    temp_dir: str
    console: str = ""
    console_socket: str = ""
    control_socket: str = ""
    argv_sha256: str = ""
    started_utc: str

    @property
    def owner(self) -> Identity:
        """The process that holds the machine."""
        return Identity(pid=self.owner_pid, start_ticks=self.owner_start, boot_id=self.boot_id)

    @property
    def qemu(self) -> Identity | None:
        """QEMU's process, None while the machine is off."""
        if self.pid is None or self.pid_start is None:
            return None
        return Identity(pid=self.pid, start_ticks=self.pid_start, boot_id=self.boot_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrupt:
    """A file of the ledger that is not an entry."""

    path: Path
    reason: str


class Ledger:
    """The entries of one user in one directory."""

    def __init__(self, state: Path | None = None) -> None:
        self.directory = places.machines() if state is None else state / "machines"

    def write(self, entry: Entry) -> None:
        """Write or replace an entry; after a FileError an old one is unchanged."""
        make_private_directory(self.directory)
        write_json(self.path(entry.id), {"version": VERSION, **json_ready(entry)})

    def remove(self, machine_id: str) -> None:
        """Remove an entry, if it is not gone already."""
        self.path(machine_id).unlink(missing_ok=True)

    def path(self, machine_id: str) -> Path:
        """Return the file of a machine."""
        return self.directory / f"{machine_id}.json"

    def read(self) -> tuple[Entry | Corrupt, ...]:
        """Return all entries by id, corrupt files among them."""
        found = (_read(path) for path in sorted(self.directory.glob("*.json")))
        return tuple(one for one in found if one is not None)

    def partial_files(self) -> tuple[Path, ...]:
        """Return half-written files whose writer is dead."""
        pids = {path: path.name.split(".")[-2] for path in sorted(self.directory.glob(".*.partial"))}
        return tuple(
            path for path, pid in pids.items() if not (pid.isdigit() and Path("/proc", pid).exists())
        )


def list_machines(ledger: Ledger | None = None) -> tuple[Entry, ...]:
    """Return the machines whose owner lives, by their start."""
    entries = [one for one in (ledger or Ledger()).read() if isinstance(one, Entry) and one.owner.alive()]
    return tuple(sorted(entries, key=lambda entry: (entry.started_utc, entry.id)))


def read_entry(text: bytes) -> Entry:
    """Return the entry that `Ledger.write` wrote; raises SpecError for any other text or version."""
    table = load_json(text, dict[str, object], origin="entry")
    if table.pop("version", None) != VERSION:
        raise SpecError(f"not an entry of version {VERSION}")
    return read_value(table, Entry, origin="entry", whole=True)


def _read(path: Path) -> Entry | Corrupt | None:
    try:
        entry = read_entry(read_whole(path, most=_ENTRY_MOST))
    except FileNotFoundError:
        return None
    except OSError as error:
        return Corrupt(path=path, reason=str(error.strerror))
    except SpecError as error:
        return Corrupt(path=path, reason=str(error).splitlines()[0])
    if entry.id != path.stem:
        return Corrupt(path=path, reason=f"id is {entry.id!r}")
    return entry


KILL_WAIT_S = 5.0
_Step: TypeAlias = tuple[str, Callable[[], object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was done, or would be done, about one file of the ledger.

    Attributes:
        id: the machine, or the file's name if it names none.
        problem: why it is garbage.
        acts: phrases for what was done, in order.
        errors: what could not be done; the entry then stays until the next time.
    """

    id: str
    problem: str
    acts: tuple[str, ...]
    errors: tuple[str, ...] = ()


def collect_garbage(ledger: Ledger | None = None, *, dry_run: bool = False) -> tuple[Collected, ...]:
    """End and remove what belongs to machines whose owner is dead, or only say so; return what was done.

    Machines of living owners are never touched, and run directories stay, being evidence. It is safe at any
    time, even several times at once.
    """
    book = ledger or Ledger()
    garbage = [one for one in book.read() if isinstance(one, Corrupt) or not one.owner.alive()]
    halves = (_remove_file(path, problem="half-written", dry_run=dry_run) for path in book.partial_files())
    return (*(_collect(book, one, dry_run=dry_run) for one in garbage), *halves)


def _collect(book: Ledger, one: Entry | Corrupt, *, dry_run: bool) -> Collected:
    if isinstance(one, Corrupt):
        return _remove_file(one.path, problem=f"corrupt entry: {one.reason}", dry_run=dry_run)
    identity = one.qemu
    if identity is None:
        # The owner died between the spawn and the entry's update, but the child carries the id.
        pid = find_marked(MARKER_VARIABLE, one.id)
        identity = None if pid is None else Identity.of(pid)
    steps: list[_Step] = []
    if identity is not None and identity.alive():
        steps.append((f"kill QEMU {identity.pid}", partial(_kill, identity)))
    if (temp_dir := Path(one.temp_dir)).is_dir() and one.temp_dir:  # an empty path is the directory we are in
        steps.append((f"remove {temp_dir}", lambda: remove_temp_dir(temp_dir)))
    acts, errors = _do(steps, dry_run=dry_run)
    if not errors:
        more, errors = _do([("remove the ledger entry", lambda: book.remove(one.id))], dry_run=dry_run)
        acts += more
    problem = f"owner {one.owner_pid} of {one.label or one.name} is gone"
    return Collected(id=one.id, problem=problem, acts=tuple(acts), errors=tuple(errors))


def _remove_file(path: Path, *, problem: str, dry_run: bool) -> Collected:
    is_tree = path.is_dir() and not path.is_symlink()
    remove = partial(shutil.rmtree, path) if is_tree else partial(path.unlink, missing_ok=True)
    acts, errors = _do([(f"remove {path}", remove)], dry_run=dry_run)
    return Collected(id=path.name, problem=problem, acts=tuple(acts), errors=tuple(errors))


def _do(steps: list[_Step], *, dry_run: bool) -> tuple[list[str], list[str]]:
    acts: list[str] = []
    errors: list[str] = []
    for name, act in steps:
        try:
            if not dry_run:
                act()
            acts.append(name)
        except (OSError, LabError) as error:
            errors.append(f"{name}: {error}")
    return acts, errors


def _kill(identity: Identity) -> None:
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    try:
        if not identity.alive():  # checked again: from here on the pidfd reserves the pid
            return
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        if not poller.poll(KILL_WAIT_S * 1000):
            raise LabError(f"QEMU {identity.pid} did not end within {KILL_WAIT_S} s of SIGKILL")
    finally:
        os.close(handle)
