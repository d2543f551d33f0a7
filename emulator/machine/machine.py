"""A machine: a console that lasts, and any number of power cycles on it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.console.channel import make_system_request
from emulator.console.marks import MarkKind
from emulator.console.pump import Console, open_console, open_socket_console
from emulator.console.transcript import Transcript
from emulator.errors import LabError, SnapshotError, StateError
from emulator.machine.argv import CONSOLE_CHARDEV, RamFile, Wiring, build_argv
from emulator.machine.bench import Bench, Teardown, open_bench
from emulator.machine.by_hand import answer
from emulator.machine.control import Capability, capabilities
from emulator.machine.disk_files import require_own_files
from emulator.machine.firmware_start import await_firmware, is_stuck
from emulator.machine.host import measure_tsc_khz
from emulator.machine.power import FORKED, LAST_WORDS_S, MachineState, Origin, PowerCycle
from emulator.machine.probe import Choice
from emulator.machine.process import Exit, Identity, Launch, stderr_tail
from emulator.machine.qemu_binary import QemuBinary
from emulator.machine.run_dir import BULK_DIRECTORY, COM2_FILE, FIRMWARE_FILE, STDERR_FILE
from emulator.machine.spec import MachineSpec

START_S = 30.0
CLOSE_S = 8.0
DISCARD_S = 0.5
"""How long a reset waits for what was typed before it to be discarded."""
CATCH_UP_S = 0.05
"""How long an event waits for the guest bytes that precede it; the pump needs some 2 ms."""


class Machine:
    """A virtual machine and its console; made by `open_machine`. Any thread may call anything.

    Implements `control.Control`.

    Attributes:
        spec: what it is.
        console: the serial one; it outlives power cuts.
        bulk: the virtio port of the latest power cycle, None without one.
        argv: the latest command line, empty before the first.
        on_release: lets go of it, called from any thread; None unless it is held.
    """

    def __init__(self, spec: MachineSpec, bench: Bench, *, console: Console) -> None:
        self.spec = spec
        self.console = console
        self.bulk: Console | None = None
        self.argv: tuple[str, ...] = ()
        self.on_release: Callable[[], None] | None = None
        self._bench = bench
        self._origin = bench.origin
        self._cycle: PowerCycle | None = None
        self._cycles = 0
        self._bulk_stack = ExitStack()
        self._power = threading.RLock()
        self._closed = False

    @property
    def id(self) -> str:
        """Its name in the ledger."""
        return self._bench.entry.id

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What can be done to it."""
        return capabilities(self.spec)

    @property
    def transcript(self) -> Transcript:
        """All bytes both ways on the console, and the marks."""
        return self.console.transcript

    @property
    def run_dir(self) -> Path:
        """Where its evidence goes."""
        return self._bench.run_dir

    @property
    def links_dir(self) -> Path:
        """Where `console.sock` and `control.sock` are served; gone with the machine."""
        return self._bench.temp_dir

    @property
    def state(self) -> MachineState:
        """What it is doing; OFF means that there is no process."""
        return MachineState.OFF if self._cycle is None else self._cycle.state

    @property
    def is_stuck(self) -> bool:
        """Whether its guest has only spun since its firmware began, without writing a single byte.

        A reset does not end that (docs/facts/qemu.md 4); a power cut does.
        """
        return is_stuck(self.transcript, spun_s=self.spun_s)

    @property
    def spun_s(self) -> float:
        """CPU that QEMU has used since its firmware began, in seconds; 0 while it is off."""
        return 0.0 if self._cycle is None else max(0.0, self._cycle.spun_s)

    @property
    def stands_by_hand(self) -> bool:
        """Whether its guest is stopped since somebody has reached into it: a debugger, a dump, a command."""
        return self._cycle is not None and self._cycle.touched and self.state is MachineState.PAUSED

    @property
    def pid(self) -> int | None:
        """QEMU's process id, None while it is off."""
        return None if self._cycle is None else self._cycle.pid

    @property
    def exit(self) -> Exit | None:
        """How the latest power cycle ended; None while it is on, or if it never was."""
        return None if self._cycle is None else self._cycle.exit

    @property
    def stderr(self) -> bytes:
        """The end of QEMU's stderr over all power cycles."""
        return stderr_tail(self.run_dir / STDERR_FILE)

    # -- power ---------------------------------------------------------------------------------

    def power_on(self, deadline: Deadline, *, runs: bool = True) -> None:
        """Switch on: spawn QEMU paused, shake hands, and unless `runs` is false let it run.

        A machine that was opened on a snapshot starts from it the first time, and from its firmware every
        time after. After a failure the machine is off.

        Raises:
            StateError: it is on, or closed.
            LaunchError: QEMU did not start; argv, exit code and stderr are in the text.
            MachineGone: it ended before its guest ran.
            LabError: the run directory or the ledger can't be written.
        """
        with self._power:
            if self._closed:
                raise StateError(f"power_on: machine {self.spec.name} is closed")
            if self.state is not MachineState.OFF:
                raise StateError(f"power_on: machine {self.spec.name} is {self.state}; it must be off")
            with ExitStack() as stack:
                origin, self._origin = self._origin, None
                state_fd = None if origin is None else _open_state(origin, stack)
                cycle = self._prepare(stack, origin, state_fd)
                try:
                    self._bench.write_launch(self.spec, cycle.launch)
                    pid = cycle.spawn(deadline)
                    stack.close()  # only QEMU may hold its ends, or nobody would see it end
                    self._enter(pid, cycle.launch.sha256)
                    cycle.greet(deadline)
                    if origin is not None and state_fd is not None:
                        cycle.load(state_fd, skips_ram=origin.ram is not None, deadline=deadline)
                    if runs:
                        cycle.execute("cont", deadline=deadline)
                except BaseException:
                    cycle.end(Deadline.after(0, self._bench.clock))
                    raise

    def power_off(self, deadline: Deadline) -> None:
        """Cut the power; QEMU's last bytes are in the transcript then. Raises StateError, ControlError."""
        with self._power:
            self._cycle_for("power_off").end(deadline)

    def close(self) -> None:
        """Cut the power as `power_off` if it is on, and close the bulk console; again it does nothing."""
        with self._power, self._bulk_stack:
            self._closed = True
            if self._cycle is not None and not self._cycle.ended.is_set():
                self._cycle.end(Deadline.after(CLOSE_S, self._bench.clock))

    def write_state(self, path: Path, deadline: Deadline) -> None:
        """Write the paused guest's state to a new file, mode 0600, without RAM if that is in a file already.

        Raises as `PowerCycle.save`, StateError if it is off, OSError; no file is left then.
        """
        cycle, skips_ram = self._cycle_for("write_state"), self._bench.ram is not None
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            cycle.save(fd, skips_ram=skips_ram, deadline=deadline)
        except BaseException:
            path.unlink()
            raise
        finally:
            os.close(fd)

    @property
    def vars_file(self) -> Path | None:
        """This machine's UEFI variable store; None without UEFI."""
        return self._bench.vars_file

    # -- control -------------------------------------------------------------------------------

    def pause(self, deadline: Deadline) -> None:
        """Stop the guest's CPUs; errors are those of `query`."""
        self._cycle_for("stop").pause(deadline)

    def resume(self, deadline: Deadline) -> None:
        """Let the guest's CPUs run; errors are those of `query`."""
        self.query("cont", deadline=deadline)

    def nmi(self, deadline: Deadline) -> None:
        """Raise a non-maskable interrupt on every CPU."""
        self._act(Capability.NMI, "inject-nmi", deadline)

    def send_break(self, deadline: Deadline) -> None:
        """Send one BREAK on the console; a byte typed in the last 2 ms swallows it (docs/facts/qemu.md 4)."""
        self._act(Capability.SERIAL_BREAK, "chardev-send-break", deadline, id=CONSOLE_CHARDEV)

    def sysrq(self, key: str, deadline: Deadline) -> None:
        """Make a magic system request with one key; errors are those of `make_system_request`."""
        self._require(Capability.SERIAL_BREAK, "sysrq")
        self._cycle_for("sysrq")
        make_system_request(self.console, key, deadline, send_break=self.send_break)

    def press_keys(self, keys: tuple[str, ...], deadline: Deadline) -> None:
        """Press keys together, named by QEMU's qcodes."""
        names = [{"type": "qcode", "data": key} for key in keys]
        self._act(Capability.KEYBOARD, "send-key", deadline, keys=names)

    def reset(self, deadline: Deadline) -> None:
        """Push the reset button, as soon as the firmware has shown itself; that takes FIRMWARE_S at most.

        SeaBIOS that is reset in the first 20 ms of its life hangs for ever, and only a power cut ends that
        (docs/facts/qemu.md 4). What was typed and not read goes with the system that it was typed to.
        """
        self._require(Capability.RESET, "reset")
        await_firmware(self.transcript, deadline, runs=lambda: self.state is MachineState.RUNNING)
        with suppress(LabError):  # a guest that floods its console reads what was typed
            self.console.detach_far_end(deadline.sooner(DISCARD_S))
        self._act(Capability.RESET, "system_reset", deadline)

    def power_button(self, deadline: Deadline) -> None:
        """Push the power button, a request to the guest by ACPI."""
        self._act(Capability.POWER_BUTTON, "system_powerdown", deadline)

    def query(
        self, command: str, arguments: Mapping[str, object] | None = None, *, deadline: Deadline
    ) -> object:
        """Execute a QMP command and return its result; raises StateError, or as `PowerCycle.execute`."""
        return self._cycle_for(command).execute(command, arguments, deadline=deadline)

    def screendump(self, path: Path, deadline: Deadline) -> None:
        """Write a picture of the guest's screen to `path`: PNG if it ends in .png, else PPM.

        Errors are those of `query`; ControlError also says that the machine has no screen.
        """
        kind = "png" if path.suffix == ".png" else "ppm"
        self.query("screendump", {"filename": str(path.resolve()), "format": kind}, deadline=deadline)

    def settle(self, done: Callable[[], None]) -> None:
        """Call `done` once all that QEMU has reported by now is marked; at once without a QEMU."""
        if self._cycle is None or self._cycle.state is MachineState.OFF:
            done()
        else:
            self._cycle.settle(done)

    def touch(self, what: str) -> None:
        """Mark what is about to be done by hand: a stop is then no fault. Raises StateError if it is off."""
        self._cycle_for(what).touched = True
        self.transcript.mark(MarkKind.STIMULUS, what, {"by": "control socket"})

    def _act(self, capability: Capability, command: str, deadline: Deadline, **arguments: object) -> None:
        self._require(capability, command)
        self.query(command, arguments or None, deadline=deadline)

    def _require(self, capability: Capability, what: str) -> None:
        if capability not in self.capabilities:
            raise StateError(f"{what}: machine {self.spec.name} ({self.spec.machine}) has no {capability}")

    def _cycle_for(self, what: str) -> PowerCycle:
        if self._cycle is None or self._cycle.state is MachineState.OFF:
            raise StateError(f"{what}: machine {self.spec.name} is off; it must be on")
        return self._cycle

    def _prepare(self, stack: ExitStack, origin: Origin | None, state_fd: int | None) -> PowerCycle:
        """Wire a new power cycle; `stack` closes our copies of QEMU's descriptors."""
        self._bulk_stack.close()
        self._cycles += 1
        bulk_fd = self._open_bulk(stack) if self.spec.bulk_console else None
        tpm_fd = None if self._bench.tpm is None else stack.enter_context(self._bench.tpm.plug()).fileno()
        ours, theirs = socket.socketpair()
        stack.callback(theirs.close)
        with ExitStack() as undo:
            undo.callback(ours.close)
            self.argv = self._build_argv(theirs.fileno(), bulk_fd=bulk_fd, tpm_fd=tpm_fd, origin=origin)
            undo.pop_all()
        launch = Launch(
            argv=self.argv,
            pass_fds=[fd for fd in (theirs.fileno(), bulk_fd, tpm_fd, state_fd) if fd is not None],
            stderr_path=self.run_dir / STDERR_FILE,
            marker=self.id,
            begins=("started", {}) if origin is None else (FORKED, origin.facts),
            huge_pages=self._bench.accelerator.accelerator == "kvm",  # TCG gains nothing from them
        )
        self._cycle = PowerCycle(
            launch,
            ours,
            loop=self._bench.loop,
            transcript=self.transcript,
            catch_up=self._catch_up,
            on_end=self._detach,
        )
        return self._cycle

    def _build_argv(
        self, qmp_fd: int, *, bulk_fd: int | None, tpm_fd: int | None, origin: Origin | None
    ) -> tuple[str, ...]:
        ram = self._bench.ram
        if origin is not None:
            ram = None if origin.ram is None else RamFile(path=origin.ram, shared=False)
        wiring = Wiring(
            console_path=self.console.path,
            qmp_fd=qmp_fd,
            bulk_fd=bulk_fd,
            vars_file=self._bench.vars_file,
            ram=ram,
            incoming=origin is not None,
            com2_file=None if self.spec.windows is None else self.run_dir / COM2_FILE,
            firmware_file=None if self.spec.windows is None else self.run_dir / FIRMWARE_FILE,
            tpm_fd=tpm_fd,
        )
        return build_argv(
            self.spec,
            qemu=self._bench.qemu.path,
            accelerator=self._bench.accelerator.accelerator,
            wiring=wiring,
            version=self._bench.qemu.version,
            firmware=self._bench.firmware,
            tsc_khz=measure_tsc_khz() if self.spec.tell_tsc else None,
        )

    def _open_bulk(self, stack: ExitStack) -> int:
        ours, theirs = socket.socketpair()
        stack.callback(theirs.close)
        self._bulk_stack.callback(ours.close)
        name = BULK_DIRECTORY if self._cycles == 1 else f"{BULK_DIRECTORY}.{self._cycles}"
        console = open_socket_console(
            ours,
            sink=self._bench.open_sink(self.run_dir / name, console=BULK_DIRECTORY),
            clock=self._bench.clock,
            epoch=self.transcript.epoch,
        )
        self.bulk = self._bulk_stack.enter_context(console)
        return theirs.fileno()

    def _enter(self, pid: int, argv_sha256: str) -> None:
        identity = Identity.of(pid)
        entry = replace(
            self._bench.entry,
            pid=pid,
            pid_start=None if identity is None else identity.start_ticks,
            argv_sha256=argv_sha256,
        )
        self._bench.ledger.write(entry)

    def _catch_up(self) -> None:
        """Read what the guest has written so far, unless it writes even faster; on the loop's thread."""
        with suppress(LabError):  # a console that failed says so itself
            self.console.drain(Deadline.after(CATCH_UP_S, self._bench.clock))

    def _detach(self) -> None:
        """Read the last bytes of a QEMU that has ended; on the loop's thread."""
        deadline = Deadline.after(LAST_WORDS_S, self._bench.clock)
        if self.bulk is not None:
            self.bulk.drain(deadline)
        self.console.detach_far_end(deadline)
        self._bench.ledger.write(self._bench.entry)


def _open_state(origin: Origin, stack: ExitStack) -> int:
    """Open the state for QEMU to inherit; `stack` closes it. Raises SnapshotError if it is gone."""
    try:
        fd = os.open(origin.vm_state, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SnapshotError(f"snapshot {origin.key}: {origin.vm_state}: {error.strerror}") from error
    stack.callback(os.close, fd)
    return fd


@contextmanager
def open_machine(
    spec: MachineSpec,
    *,
    run_dir: Path,
    qemu: QemuBinary | None = None,
    accelerator: Choice | None = None,
    clock: Clock = SYSTEM_CLOCK,
    label: str = "",
    keep: int | None = None,
    transcript: Transcript | None = None,
    start: bool = True,
    ram: RamFile | None = None,
    origin: Origin | None = None,
    asked: MachineSpec | None = None,
) -> Iterator[Machine]:
    """Open a machine for the time of the `with`; afterwards only `run_dir`, of mode 0700, is left of it.

    QEMU, what executes guest code and the clock are the host's by default; `label` is what `ttylab attach`
    shows. The console keeps its last `keep` bytes readable, or all, and goes into `run_dir`, or on in an open
    `transcript`. Without `start`, `power_on` starts it. `ram` is a file for the guest's RAM, which a snapshot
    then need not copy; `origin` is a snapshot that the first power cycle starts from. `asked` is the machine
    as its user asked for it, if `spec` has ttylab's overlays of its disks.

    Raises:
        SpecError: a guest may not have a file of the machine (`require_own_files`).
        MissingPrerequisite, LaunchError: QEMU, its firmware or setpriv is missing, or it did not start.
        SnapshotError: `origin` can't be read, or comes with a `transcript`.
        LabError: a directory can't be made or written.
    """
    if origin is not None and transcript is not None:
        raise SnapshotError("a fork's transcript begins with its snapshot's, so it can't continue another")
    require_own_files(asked or (spec if origin is None else origin.spec))
    with Teardown(f"closing machine {spec.name}") as teardown:
        bench = open_bench(
            spec,
            teardown,
            run_dir=run_dir,
            label=label,
            qemu=qemu,
            accelerator=accelerator,
            clock=clock,
            ram=ram,
            origin=origin,
        )
        machine = _wire(spec, bench, teardown, keep=keep, transcript=transcript)
        if start:
            machine.power_on(Deadline.after(START_S, clock))
        yield machine


def _wire(
    spec: MachineSpec, bench: Bench, teardown: Teardown, *, keep: int | None, transcript: Transcript | None
) -> Machine:
    name = spec.architecture.console

    def settle(done: Callable[[], None]) -> None:
        machine.settle(done)

    opened = open_console(
        name,
        sink=bench.open_sink(bench.run_dir, console=name) if transcript is None else None,
        clock=bench.clock,
        keep=keep,
        transcript=transcript,
        links_dir=bench.temp_dir,
        on_control=lambda request: answer(machine, request),
        settle=settle,
    )
    console = teardown.enter(opened)
    if bench.origin is not None:
        console.transcript.continue_from(bench.origin.past)
    bench = replace(bench, entry=replace(bench.entry, console=str(console.endpoint.path)))
    bench.ledger.write(bench.entry)
    machine = Machine(spec, bench, console=console)
    teardown.push(machine.close)
    return machine
