"""One power cycle, from where it begins to QEMU's end: process, QMP and marks."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from emulator.clock import Deadline
from emulator.console.marks import STOPPED, MarkKind
from emulator.console.transcript import Transcript
from emulator.errors import ControlError, DeadlineExceeded, LabError, LaunchError, MachineGone
from emulator.machine.process import Exit, Launch, QemuProcess, describe_state, judge_exit, read_stat
from emulator.machine.qmp import LoopThread, QmpLink
from emulator.machine.spec import MachineSpec

QUIT_GRACE_S = 3.0
TERM_GRACE_S = 2.0
KILL_GRACE_S = 10.0
LAST_WORDS_S = 5.0
"""How long the console may take to deliver its last bytes after QEMU's end."""
REFUSAL_S = 5.0
"""How long a QEMU that closed QMP before its greeting may take to end."""
LOOK_S = 0.5
"""Seconds between two looks at whether QEMU's process was stopped, which no event tells."""
LOST_GRACE_S = 1.0
"""How long QEMU may live after it closed QMP before that is called a fault."""


class MachineState(StrEnum):
    """What a machine is doing; `off` means there is no process."""

    OFF = "off"
    PAUSED = "paused"
    RUNNING = "running"


FORKED = "forked"
"""The mark instead of "started" where a machine starts from a snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A snapshot to start from; the machine's spec must be the saved one, except for name and seed.

    Attributes:
        spec: the machine that was requested; the fork's own spec has other disks.
        key: the snapshot's fingerprint.
        stage: how far its guest had come ("shell").
        vm_state: QEMU's file of the devices and, without `ram`, of RAM.
        ram: the guest's RAM, which is mapped privately and never written.
        vars_file: the UEFI variable store at that moment.
        past: what the console had shown by then; the machine's transcript begins with it.
        shared: what all forks of the snapshot have in common, for marks and reports.
    """

    spec: MachineSpec
    key: str
    stage: str
    vm_state: Path
    ram: Path | None
    vars_file: Path | None
    past: Transcript
    shared: tuple[str, ...] = ()

    @property
    def facts(self) -> Mapping[str, object]:
        """What the mark of a fork tells."""
        return {"state": self.key, "stage": self.stage, "shared": list(self.shared)}


class PowerCycle:
    """A QEMU that is spawned once and ends once.

    Only the loop's thread changes anything; other threads may read it and call what is not a coroutine.

    Attributes:
        launch: what is spawned.
        process: the process, None until it is spawned.
        state: what QEMU last said of the guest.
        exit: how it ended, None before.
        ended: set once it has ended, its last bytes are in the transcript and its mark is set.
        touched: whether somebody has reached into the guest by hand, who may stop it too.
    """

    def __init__(
        self,
        launch: Launch,
        qmp_socket: socket.socket,
        *,
        loop: LoopThread,
        transcript: Transcript,
        catch_up: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self.launch = launch
        self.process: QemuProcess | None = None
        self.state = MachineState.OFF
        self.exit: Exit | None = None
        self.ended = threading.Event()
        self.touched = False
        self._socket = qmp_socket
        self._link = QmpLink(qmp_socket, on_event=self._note_event)
        self._loop = loop
        self._transcript = transcript
        self._catch_up = catch_up
        self._on_end = on_end
        self._dead = asyncio.Event()
        self._moved = asyncio.Event()
        self._move = ""
        self._shutdown: Mapping[str, object] | None = None
        self._asked = False
        self._pauses = False
        self._why = "somebody asked it to"
        self._started = False
        self._began_cpu_s = 0.0  # what QEMU had used when its firmware began
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int | None:
        """QEMU's process id, None before its spawn and after its end."""
        return None if self.process is None or self.state is MachineState.OFF else self.process.pid

    @property
    def spun_s(self) -> float:
        """CPU that QEMU has used since its firmware began, in seconds; 0 or less after its end."""
        return self._cpu_s() - self._began_cpu_s

    def spawn(self, deadline: Deadline) -> int:
        """Spawn QEMU, paused, and return its pid; LaunchError: there is no process, DeadlineExceeded."""
        return self._loop.run(self._spawn(), what="QEMU was not spawned", deadline=deadline)

    def greet(self, deadline: Deadline) -> None:
        """Shake hands on QMP and set the mark "started"; after a LaunchError QEMU is dead."""
        longer = Deadline(deadline.at + LOST_GRACE_S, deadline.clock)  # `_greet` itself ends at `deadline`
        try:
            self._loop.run(self._greet(deadline), what=_NO_ANSWER, deadline=longer)
        except (ControlError, DeadlineExceeded) as error:
            # A QEMU that rejects its argv closes QMP a moment before it ends.
            state = "" if isinstance(error, ControlError) else f", it is {describe_state(self._pid())}"
            refused = isinstance(error, ControlError) and self.ended.wait(REFUSAL_S)
            self.end(Deadline.after(0, deadline.clock))
            code = None if self.exit is None else self.exit.code
            stderr = b"" if self.process is None else self.process.stderr
            reason = "QEMU refused to start" if refused else f"{error}{state}"
            raise LaunchError(reason, argv=self.launch.argv, exit_code=code, stderr=stderr) from error
        except BaseException:
            self.end(Deadline.after(0, deadline.clock))
            raise

    def execute(
        self, command: str, arguments: Mapping[str, object] | None = None, *, deadline: Deadline
    ) -> object:
        """Execute a QMP command and return its result.

        Raises:
            ControlError: QEMU refused, QMP is closed, or no answer came before the deadline.
            MachineGone: QEMU ended before the answer.
        """
        return self._do(self._link.execute(command, arguments), command, deadline)

    def _do(self, work: Coroutine[Any, Any, object], command: str, deadline: Deadline) -> object:
        try:
            return self._loop.run(work, what=f"QMP did not answer {command!r}", deadline=deadline)
        except DeadlineExceeded as error:
            pid = self._pid()
            raise ControlError(f"{error}; QEMU ({pid}) is {describe_state(pid)}") from error
        except ControlError as error:
            if self._link.lost is None:
                raise
            if self.ended.wait(LOST_GRACE_S) and self.exit is not None:
                raise MachineGone(
                    f"QEMU ended before it answered {command!r}: {self.exit.reason}", exit_code=self.exit.code
                ) from error
            raise ControlError(
                f"{command!r} can't be sent: QMP is closed ({self._link.lost}), QEMU ({self._pid()}) lives"
            ) from error

    def settle(self, done: Callable[[], None]) -> None:
        """Call `done`, on the loop's thread, once all events that QEMU has sent by now are marked."""
        self._loop.start(self._settle(done))

    async def _settle(self, done: Callable[[], None]) -> None:
        try:
            with suppress(LabError):  # QMP has ended: no event will come
                await self._link.execute("query-status")  # QMP answers in order
        finally:
            done()

    def pause(self, deadline: Deadline) -> None:
        """Stop the guest's CPUs, which is then no fault; errors are those of `execute`."""
        self._pauses = True  # until the next STOP, or RESUME if it is paused already
        self.execute("stop", deadline=deadline)

    def load(self, fd: int, *, skips_ram: bool, deadline: Deadline) -> None:
        """Load a snapshot, perhaps without RAM, from `fd`, which QEMU inherited; the guest is paused then.

        Raises ControlError if it took too long, and MachineGone, as QEMU ends when the snapshot does not fit.
        """
        self._do(self._load(fd, skips_ram=skips_ram), "migrate-incoming", deadline)
        self._require_moved("load the snapshot")

    def save(self, fd: int, *, skips_ram: bool, deadline: Deadline) -> None:
        """Write the state of a guest, perhaps without RAM, to `fd`; it stays paused. Raises as `execute`."""
        self._do(self._prepare_move(skips_ram=skips_ram), "migrate-set-capabilities", deadline)
        work = self._link.hand_over(fd, _STATE_FD)
        self._loop.run(work, what="QMP did not take the state's file", deadline=deadline)
        self.execute("migrate", {"uri": f"fd:{_STATE_FD}"}, deadline=deadline)
        try:
            self._loop.run(self._wait_moved(), what="QEMU did not save the state", deadline=deadline)
        except DeadlineExceeded as error:
            raise ControlError(f"{error}; QEMU is {describe_state(self._pid())}") from error
        self._require_moved("save the state")
        self._await_rest(deadline)

    async def _load(self, fd: int, *, skips_ram: bool) -> None:
        await self._prepare_move(skips_ram=skips_ram)
        await self._link.execute("migrate-incoming", {"uri": f"fd:{fd}"})
        await self._wait_moved()

    async def _prepare_move(self, *, skips_ram: bool) -> None:
        self._move = ""
        self._moved.clear()
        names = {"events": True, "x-ignore-shared": skips_ram}
        wanted = [{"capability": name, "state": state} for name, state in names.items()]
        await self._link.execute("migrate-set-capabilities", {"capabilities": wanted})

    def _require_moved(self, what: str) -> None:
        if self._move != "completed" and self.ended.wait(LOST_GRACE_S) and self.exit is not None:
            raise MachineGone(f"QEMU could not {what}: {self.exit.reason}", exit_code=self.exit.code)
        if self._move != "completed":
            raise ControlError(f"QEMU could not {what}: migration {self._move or 'never began'}")

    def _await_rest(self, deadline: Deadline) -> None:
        """Return when `cont` is possible again: QEMU 7.2 says "completed" a moment too early.

        No event announces it; each answer comes from the very loop that is about to finish.
        """
        status: object = _FINISHING
        while status == _FINISHING:
            answer = self.execute("query-status", deadline=deadline)
            status = answer.get("status") if isinstance(answer, Mapping) else None

    def end(self, deadline: Deadline) -> None:
        """End QEMU by `quit`, SIGTERM or SIGKILL, each with its own bound, and wait for the end.

        The deadline bounds the polite part; SIGKILL has another 10 s. Nothing is closed before QEMU has
        ended, for it can't exit while its console is full (docs/facts/qemu.md 8).

        Raises:
            ControlError: the process survived SIGKILL (state D).
            DeadlineExceeded: the machine's thread is stuck.
        """
        self._asked = True
        if not self._loop.run(self._is_spawned(), what=_NO_ANSWER, deadline=Deadline.after(KILL_GRACE_S)):
            self._socket.close()
            return
        try:
            polite = [(self._quit, QUIT_GRACE_S)] if self._link.lost is None else []
            for step, grace in (*polite, (self._terminate, TERM_GRACE_S)):
                share = deadline.sooner(grace)
                if self._is_stopped() or share.expired():
                    continue
                step(share)
                if self.ended.wait(share.remaining()):
                    return
        finally:
            if not self.ended.is_set():
                self._kill()

    def _quit(self, deadline: Deadline) -> None:
        with suppress(LabError):
            self._loop.run(self._link.execute("quit"), what="quit", deadline=deadline)

    def _terminate(self, deadline: Deadline) -> None:
        self._loop.run(self._signal(signal.SIGTERM), what="SIGTERM was not sent", deadline=deadline)

    def _kill(self) -> None:
        deadline = Deadline.after(KILL_GRACE_S)
        self._loop.run(self._signal(signal.SIGKILL), what="SIGKILL was not sent", deadline=deadline)
        if self.process is not None and not self.ended.wait(deadline.remaining()):
            pid = self.process.pid
            raise ControlError(f"QEMU ({pid}) survived SIGKILL for {KILL_GRACE_S} s: {describe_state(pid)}")

    def _is_stopped(self) -> bool:
        # A stopped process answers neither QMP nor SIGTERM; only SIGKILL reaches it.
        stat = None if self.process is None else read_stat(self.process.pid)
        return stat is not None and stat.state in "Tt"

    # -- on the loop

    async def _spawn(self) -> int:
        self.process = QemuProcess.spawn(self.launch)
        self.state = MachineState.PAUSED
        asyncio.get_running_loop().add_reader(self.process.pidfd, self._note_death, self.process.pidfd)
        for task in (self._finish(self.process), self._report_stops(self.process.pid)):
            self._tasks.append(asyncio.create_task(task))
        return self.process.pid

    def _note_death(self, pidfd: int) -> None:
        asyncio.get_running_loop().remove_reader(pidfd)  # it stays readable forever
        self._dead.set()

    async def _is_spawned(self) -> bool:
        return self.process is not None  # on the loop, hence after a spawn whose caller was interrupted

    async def _greet(self, deadline: Deadline) -> None:
        await self._link.connect(deadline)
        self._tasks.append(asyncio.create_task(self._report_lost_link()))
        self._started = True
        name, more = self.launch.begins
        self._began_cpu_s = self._cpu_s()
        facts = {"pid": self._pid(), "argv_sha256": self.launch.sha256}
        self._transcript.mark(MarkKind.MACHINE, name, facts | dict(more))

    async def _wait_moved(self) -> None:
        waits = {asyncio.create_task(event.wait()) for event in (self._moved, self._dead)}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.exit_code is None:
            self.process.send_signal(number)

    async def _finish(self, process: QemuProcess) -> None:
        await self._dead.wait()
        code = process.reap()
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._link.wait_lost(), LOST_GRACE_S)
            await self._link.close()
            self._on_end()
        except (LabError, OSError) as error:
            self._transcript.mark(MarkKind.LAB, "end-incomplete", {"reason": str(error)})
        finally:
            self.exit = judge_exit(code, shutdown=self._shutdown, asked=self._asked)
            self.state = MachineState.OFF
            self._mark_end(self.exit, process)
            self.ended.set()

    async def _report_lost_link(self) -> None:
        await self._link.wait_lost()
        try:
            await asyncio.wait_for(self._dead.wait(), LOST_GRACE_S)
        except TimeoutError:
            detail = {"reason": self._link.lost, "pid": self._pid()}
            self._transcript.mark(MarkKind.LAB, "qmp-lost", detail)

    async def _report_stops(self, pid: int) -> None:
        """Mark each time that the process is stopped by a signal or a debugger."""
        was_stopped = False
        while not self._dead.is_set():
            is_stopped = self._is_stopped()
            if is_stopped and not was_stopped and self._started:
                self._mark_stopped(f"QEMU ({pid}) is {describe_state(pid)}")
            was_stopped = is_stopped
            with suppress(TimeoutError):
                await asyncio.wait_for(self._dead.wait(), LOOK_S)

    def _mark_stopped(self, reason: str) -> None:
        if not self._asked:
            self._transcript.mark(MarkKind.LAB, STOPPED, {"reason": reason})

    def _note_event(self, name: str, data: Mapping[str, object]) -> None:
        if name == "MIGRATION":  # a snapshot is being saved or loaded: the lab's business
            self._move = str(data.get("status", ""))
            if self._move in {"completed", "failed", "cancelled"}:
                self._moved.set()
            return
        self._catch_up()  # QMP is faster than the console: what the guest wrote earlier comes first
        asked = {"asked": True} if name == "SHUTDOWN" and self._asked else {}
        self._transcript.mark(MarkKind.QMP, name, {**data, **asked})
        if name == "RESET":
            self._began_cpu_s = self._cpu_s()
        elif name == "SHUTDOWN":
            self._shutdown = data
        elif name in {"WATCHDOG", "GUEST_PANICKED"} and data.get("action") == "pause":
            self._pauses = True
        elif name == "BLOCK_IO_ERROR":
            self._why = f"{data.get('operation')} on {data.get('device')}: {data.get('reason')}"
        elif name in _STATES:
            self.state = _STATES[name]
            self._transcript.mark(MarkKind.MACHINE, self.state.value)
            if name == "STOP" and not (self._pauses or self.touched):
                self._mark_stopped(f"QEMU stopped the guest: {self._why}")
            self._pauses = False

    def _mark_end(self, how: Exit, process: QemuProcess) -> None:
        if not self._started:
            return  # LaunchError says it all
        detail: dict[str, object] = {"reason": how.reason, "exit_code": how.code, "signal": how.signal}
        if not how.expected:
            detail["stderr"] = process.stderr.decode("utf-8", "backslashreplace")
        self._transcript.mark(MarkKind.MACHINE, "off" if how.expected else "gone", detail)

    def _cpu_s(self) -> float:
        stat = read_stat(self._pid())
        return 0.0 if stat is None else stat.cpu_s

    def _pid(self) -> int:
        return 0 if self.process is None else self.process.pid


_NO_ANSWER = "the machine's thread did not answer"
_STATE_FD = "ttylab-state"
_FINISHING = "finish-migrate"
_STATES = {"RESUME": MachineState.RUNNING, "STOP": MachineState.PAUSED}
