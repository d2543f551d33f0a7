"""Ending what dead owners left: QEMU processes, temp directories, entries of the ledger."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import LabError
from emulator.machine.ledger import Corrupt, Entry, Ledger
from emulator.machine.process import MARKER_VARIABLE
from emulator.machine.procfs import Identity, find_marked
from emulator.machine.run_dir import remove_temp_dir

KILL_WAIT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was done, or would be done, about one file of the ledger.

    Attributes:
        id: the machine, or the file's name where it names none.
        problem: why it is garbage.
        acts: what was done, in order, each a phrase.
        errors: what could not be done; the entry then stays for the next time.
    """

    id: str
    problem: str
    acts: tuple[str, ...]
    errors: tuple[str, ...] = ()


def collect_garbage(ledger: Ledger | None = None, *, dry_run: bool = False) -> tuple[Collected, ...]:
    """End and remove what belongs to machines whose owner is dead; return what was done.

    Machines of living owners are never touched, and run directories are evidence and stay. Safe to
    run at any time, also several at once.

    Args:
        ledger: which machines to look at, by default this user's.
        dry_run: only say what would be done.
    """
    book = ledger or Ledger()
    collected = [_collect(book, one, dry_run=dry_run) for one in book.read() if _is_garbage(one)]
    collected += [
        _remove_file(path, problem="half-written", dry_run=dry_run) for path in book.partial_files()
    ]
    return tuple(collected)


def _is_garbage(one: Entry | Corrupt) -> bool:
    return isinstance(one, Corrupt) or not one.owner.alive()


def _collect(book: Ledger, one: Entry | Corrupt, *, dry_run: bool) -> Collected:
    if isinstance(one, Corrupt):
        return _remove_file(one.path, problem=f"corrupt entry: {one.reason}", dry_run=dry_run)
    steps = [*_process_steps(one), *_temp_dir_steps(one)]
    acts, errors = _do(steps, dry_run=dry_run)
    if not errors:
        more, errors = _do([("remove the ledger entry", lambda: book.remove(one.id))], dry_run=dry_run)
        acts += more
    problem = f"owner {one.owner_pid} of {one.label or one.name} is gone"
    return Collected(id=one.id, problem=problem, acts=tuple(acts), errors=tuple(errors))


def _remove_file(path: Path, *, problem: str, dry_run: bool) -> Collected:
    acts, errors = _do([(f"remove {path}", lambda: path.unlink(missing_ok=True))], dry_run=dry_run)
    return Collected(id=path.name, problem=problem, acts=tuple(acts), errors=tuple(errors))


def _process_steps(entry: Entry) -> list[tuple[str, Callable[[], object]]]:
    identity = entry.qemu
    if identity is None:
        # Owner died between spawn and the entry's update: the child carries the id all the same.
        pid = find_marked(MARKER_VARIABLE, entry.id)
        identity = None if pid is None else Identity.of(pid)
    if identity is None or not identity.alive():
        return []
    chosen = identity
    return [(f"kill QEMU {chosen.pid}", lambda: _kill(chosen))]


def _temp_dir_steps(entry: Entry) -> list[tuple[str, Callable[[], object]]]:
    path = Path(entry.temp_dir)
    if not path.is_dir():
        return []
    return [(f"remove {path}", lambda: remove_temp_dir(path))]


def _do(steps: list[tuple[str, Callable[[], object]]], *, dry_run: bool) -> tuple[list[str], list[str]]:
    acts: list[str] = []
    errors: list[str] = []
    for name, act in steps:
        try:
            if not dry_run:
                act()
        except (OSError, LabError) as error:
            errors.append(f"{name}: {error}")
        else:
            acts.append(name)
    return acts, errors


def _kill(identity: Identity) -> None:
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    try:
        if not identity.alive():  # asked again: the pidfd holds the pid from here on
            return
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        if not poller.poll(KILL_WAIT_S * 1000):
            raise LabError(f"QEMU {identity.pid} did not end within {KILL_WAIT_S} s of SIGKILL")
    finally:
        os.close(handle)
