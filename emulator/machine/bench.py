"""What a machine needs: program, directories, ledger entry and thread, made and undone in order."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from emulator.clock import Clock, utc_now
from emulator.console.links import CONSOLE_SOCKET, CONTROL_SOCKET
from emulator.console.transcript import DirectorySink
from emulator.errors import LabError
from emulator.files import make_private_directory, write_json
from emulator.machine.argv import FirmwareFiles, RamFile
from emulator.machine.ledger import Entry, Ledger
from emulator.machine.power import Origin
from emulator.machine.probe import Choice, choose_accelerator
from emulator.machine.process import Identity, Launch
from emulator.machine.qemu_binary import QemuBinary, find_firmware, find_qemu, open_private_vars
from emulator.machine.qmp import LoopThread
from emulator.machine.run_dir import ARGV_FILE, make_temp_dir, remove_temp_dir, temp_dir_path
from emulator.machine.spec import MachineSpec
from emulator.machine.swtpm import Tpm, open_tpm
from emulator.values import json_ready

T = TypeVar("T")


class Teardown:
    """A stack of steps for the end of the `with`.

    One failure is raised as it is, several as an ExceptionGroup. An exception from the body is never
    replaced: failures of steps become notes on it.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._steps: list[Callable[[], object]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failures: list[BaseException] = []
        while self._steps:
            try:
                self._steps.pop()()
            except BaseException as caught:  # noqa: BLE001  # a second Ctrl-C must not skip the other steps
                failures.append(caught)
        if error is not None:
            for failure in failures:
                error.add_note(f"{self._what} also failed: {type(failure).__name__}: {failure}")
        elif len(failures) == 1:
            raise failures[0]
        elif failures:
            raise BaseExceptionGroup(f"{self._what} failed in {len(failures)} steps", failures)

    def push(self, step: Callable[[], object]) -> None:
        """Do `step` at the end, before all that were pushed earlier."""
        self._steps.append(step)

    def enter(self, manager: AbstractContextManager[T]) -> T:
        """Enter `manager` now and leave it at the end."""
        value = manager.__enter__()
        self.push(lambda: manager.__exit__(None, None, None))
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a machine needs.

    Attributes:
        qemu: the program.
        accelerator: who executes guest code, and why.
        firmware: UEFI's files, if the spec wants them.
        vars_file: the machine's own variable store, which survives a power cut.
        clock: the clock of the transcript and of all deadlines.
        run_dir: where evidence goes.
        loop: the thread that owns the process.
        ledger: where the machine is listed.
        entry: its entry while it is off.
        ram: the file that holds its RAM, if one does.
        origin: the snapshot it starts from, if any.
        tpm: its TPM, if the spec wants one.
    """

    qemu: QemuBinary
    accelerator: Choice
    firmware: FirmwareFiles | None
    vars_file: Path | None
    clock: Clock
    run_dir: Path
    loop: LoopThread
    ledger: Ledger
    entry: Entry
    ram: RamFile | None
    origin: Origin | None
    tpm: Tpm | None = None

    @property
    def temp_dir(self) -> Path:
        """Where links and sockets are."""
        return Path(self.entry.temp_dir)

    def open_sink(self, directory: Path, *, console: str) -> DirectorySink:
        """Open the files for a console's transcript; raises LabError if the directory can't be written."""
        try:
            return DirectorySink(directory, console=console)
        except OSError as error:
            raise LabError(f"transcript of {console} in {directory}: {error.strerror}") from error

    def write_launch(self, spec: MachineSpec, launch: Launch) -> None:
        """Write what is about to be spawned to `argv.json`, which is the latest cycle's; raises LabError."""
        facts = {
            "argv": list(launch.argv),
            "sha256": launch.sha256,
            "spec": json_ready(spec if self.origin is None else self.origin.spec),
            "state": None if self.origin is None else self.origin.key,
            "qemu": {"path": str(self.qemu.path), "version": str(self.qemu.version)},
            "accelerator": {"name": self.accelerator.accelerator, "reason": self.accelerator.reason},
            "id": self.entry.id,
            "label": self.entry.label,
            "written_utc": utc_now().isoformat(),
        }
        write_json(self.run_dir / ARGV_FILE, facts)


def open_bench(
    spec: MachineSpec,
    teardown: Teardown,
    *,
    run_dir: Path,
    label: str,
    qemu: QemuBinary | None,
    accelerator: Choice | None,
    clock: Clock,
    ram: RamFile | None,
    origin: Origin | None,
) -> Bench:
    """Make all that a machine needs, for `teardown` to undo; arguments and errors are `open_machine`'s."""
    qemu = qemu or find_qemu(spec.qemu, architecture=spec.architecture)
    accelerator = accelerator or choose_accelerator(
        spec.accelerator, qemu=qemu, machine=spec.machine, clock=clock
    )
    firmware = find_firmware(spec.firmware)
    if firmware is not None and origin is not None and origin.vars_file is not None:
        firmware = replace(firmware, vars_template=origin.vars_file)
    run_dir = make_private_directory(run_dir, users=True).resolve()
    ledger = Ledger()
    entry = _new_entry(spec, run_dir=run_dir, label=label)
    teardown.push(lambda: _forget(ledger, entry))
    ledger.write(entry)
    make_temp_dir(Path(entry.temp_dir))
    vars_file = None if firmware is None else _open_vars(firmware, teardown, Path(entry.temp_dir))
    has_tpm = spec.windows is not None and spec.windows.tpm
    tpm = teardown.enter(open_tpm(Path(entry.temp_dir))) if has_tpm else None
    loop = teardown.enter(LoopThread(f"machine-{entry.id}"))
    return Bench(
        qemu=qemu,
        accelerator=accelerator,
        firmware=firmware,
        vars_file=vars_file,
        clock=clock,
        run_dir=run_dir,
        loop=loop,
        ledger=ledger,
        entry=entry,
        ram=ram,
        origin=origin,
        tpm=tpm,
    )


def _new_entry(spec: MachineSpec, *, run_dir: Path, label: str) -> Entry:
    owner = Identity.of(os.getpid())
    if owner is None:
        raise LabError("/proc does not show this process; ttylab needs Linux with /proc mounted")
    machine_id = secrets.token_hex(6)
    temp_dir = temp_dir_path(machine_id)
    return Entry(
        id=machine_id,
        label=label,
        name=spec.name,
        owner_pid=owner.pid,
        owner_start=owner.start_ticks,
        boot_id=owner.boot_id,
        run_dir=str(run_dir),
        temp_dir=str(temp_dir),
        console_socket=str(temp_dir / CONSOLE_SOCKET),
        control_socket=str(temp_dir / CONTROL_SOCKET),
        started_utc=utc_now().isoformat(),
    )


def _open_vars(firmware: FirmwareFiles, teardown: Teardown, directory: Path) -> Path:
    try:
        return teardown.enter(open_private_vars(firmware, run_dir=directory))
    except OSError as error:
        raise LabError(f"variable store of UEFI in {directory}: {error.strerror}") from error


def _forget(ledger: Ledger, entry: Entry) -> None:
    # The entry goes last: what can't be removed now is still known to `ttylab gc`.
    remove_temp_dir(Path(entry.temp_dir))
    ledger.remove(entry.id)
