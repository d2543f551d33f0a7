"""The guest of one VM, on a real machine; the service's loop makes all calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from emulator.clock import Clock, Deadline
from emulator.cloud.guest_plan import GuestPlan
from emulator.cloud.records import VirtualMachine
from emulator.console.channel import Cursor, require_key
from emulator.console.marks import Mark, MarkKind, last_start
from emulator.console.transcript import Transcript
from emulator.errors import ConsoleClosed, LabError, StateError
from emulator.fleet.boot_follower import BootFollower
from emulator.fleet.guest import host_name_of, plan_of
from emulator.fleet.machine_slot import MachineSlot
from emulator.fleet.observed import Observed
from emulator.guest_text.expected import BOOT_S, NMI, RESET, Expected, ExpectedSearch, expected_of_sysrq
from emulator.machine.firmware_start import FIRMWARE_S
from emulator.machine.machine import Machine
from emulator.machine.spec import MachineSpec

T = TypeVar("T")


async def wait_change(transcript: Transcript, version: int, *, seconds: float | None = None) -> None:
    """Return once `transcript.version` differs from `version`, the transcript ends, or `seconds` are over."""
    loop = asyncio.get_running_loop()
    changed, woken = asyncio.Event(), False

    def wake() -> None:
        nonlocal woken
        if not woken:  # many changes make one call
            woken = True
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(changed.set)

    unwatch = transcript.watch(wake)
    try:
        if transcript.version == version and transcript.closed is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await changed.wait()
    finally:
        unwatch()


async def wait_for(
    transcript: Transcript, look: Callable[[], T | None], *, deadline: Deadline | None = None
) -> T | None:
    """Return what `look` finds, or None at the deadline or the transcript's end.

    `look` is called on the loop, again after each change; a false value means that it found nothing.
    """
    while True:
        version, closed = transcript.version, transcript.closed
        found = look()
        if found or closed is not None or (deadline is not None and deadline.expired()):
            return found or None
        seconds = None if deadline is None else deadline.remaining()
        await wait_change(transcript, version, seconds=seconds)


def events_after(mark: Mark, marks: Sequence[Mark]) -> list[tuple[str, str]]:
    """Return name and reason ("" if none) of QEMU's events in `marks` that came after `mark`."""
    later = takewhile(lambda one: one is not mark and one.at >= mark.at, reversed(marks))
    events = [(one.name, str(one.detail.get("reason") or "")) for one in later if one.kind is MarkKind.QMP]
    return events[::-1]


KEEP = 4 * 2**20
CONTROL_S = 5.0
"""How long QEMU may take to answer a command, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for expected effects, in seconds.

    Attributes:
        stimulus_s: for an answer to an NMI or a system request.
        reset_s: for the guest to show itself after a reset; OVMF is silent for up to 8 s on a busy host.
    """

    stimulus_s: float = 5.0
    reset_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerChange:
    """A guest was powered on or off.

    Attributes:
        key: key of its VM.
        is_on: whether it is on now.
        reason: how it ended, in QEMU's words ("guest-shutdown", "killed by signal 9"); "" when on.
        asked: whether `power_off`, `shut_down` or `discard` was under way.
    """

    key: str
    is_on: bool
    reason: str = ""
    asked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all guests of a fleet share.

    Attributes:
        loop: the service's loop.
        executor: runs everything that blocks.
        clock: the clock of transcripts and deadlines.
        spec_for: returns what to boot for a plan and a host name; may block.
        timeouts: how long to wait for expected effects.
        on_power_change: called on the loop after each change.
    """

    loop: asyncio.AbstractEventLoop
    executor: Executor
    clock: Clock
    spec_for: Callable[[GuestPlan, str], MachineSpec]
    timeouts: Timeouts = field(default_factory=Timeouts)
    on_power_change: Callable[[PowerChange], None] | None = None


class MachineGuest:
    """The machine behind one VM, and its console; the fleet makes it, on the loop that makes all calls.

    The console, its transcript and its readers survive power cycles. A call that is impossible in the present
    state raises StateError (a stimulus while it is off), one that fails LabError (QMP, for one).

    Attributes:
        key: key of its VM.
        plan: what to boot at the next power-on.
        transcript: everything received and sent on COM1, over all power cycles.
    """

    def __init__(self, vm: VirtualMachine, ground: Ground, *, run_dir: Path) -> None:
        self.key = vm.key
        self.plan = plan_of(vm)
        self.transcript = Transcript(clock=ground.clock, keep=KEEP)  # no copy on disk: nothing is stored
        self._id = vm.id
        self._ground = ground
        self._slot = MachineSlot(self.transcript, run_dir=run_dir, clock=ground.clock, label=vm.id.name)
        self._power = asyncio.Lock()
        self._stimuli = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ends = 0  # how many calls that end it are under way
        self._reported_on = False  # what `on_power_change` got last
        self._pending = False
        self._unwatch = self.transcript.watch(self._note_change)

    @property
    def is_on(self) -> bool:
        """Whether a machine is running now."""
        return self._slot.is_on

    @property
    def machine(self) -> Machine | None:
        """The present machine, on or off; None before the first power-on."""
        return self._slot.machine

    @property
    def is_changing(self) -> bool:
        """Whether its power is being switched right now."""
        return self._power.locked()

    # -- power ---------------------------------------------------------------------------------

    async def power_on(self) -> None:
        """Switch the power on; does nothing if it is on. Concurrent calls start one machine.

        Raises:
            ConsoleClosed: the guest was discarded.
            MissingPrerequisite, SpecError: something that it needs is missing.
            LabError: QEMU did not start; the guest is off and the next call tries again.
        """
        await self._exclusively(self._start)

    async def power_off(self) -> None:
        """Cut the power if it is on; raises ControlError if QEMU survived even SIGKILL."""
        with self._ending():
            await self._exclusively(lambda: self._run(self._slot.stop))

    async def shut_down(self, grace_s: float) -> bool:
        """Push the power button; cut the power after `grace_s` seconds. Return whether the guest obeyed.

        A boot gets half of the time to end, as guests ignore the button until then.
        """
        with self._ending():
            deadline = Deadline.after(grace_s, self._ground.clock)
            await self._settle(grace_s / 2)
            machine = self.machine
            if machine is not None:
                with suppress(StateError):  # it has no such button, or has just ended
                    await self._run(lambda: machine.power_button(self._soon()))
                    await wait_for(self.transcript, lambda: not self.is_on, deadline=deadline)
            obeyed = not self.is_on
        if not obeyed:
            await self.power_off()
        return obeyed

    async def close(self) -> None:
        """End machine and transcript for good, whatever is under way; calling it again does nothing.

        Raises:
            LabError, ExceptionGroup: a part of the machine could not be ended.
        """
        with self._ending():
            try:
                await self._to_end(self._run(self._slot.close))
            finally:
                self._report()
                self._unwatch()
                self.transcript.close("the virtual machine is gone")
        if self._tasks:  # calls that were under way; nothing holds them up now
            await asyncio.wait(self._tasks)

    # -- stimuli -------------------------------------------------------------------------------

    async def reset(self) -> Observed:
        """Push the reset button, and watch for the guest to show itself anew.

        QEMU's own event only says that the button was pushed; the effect is the first byte after it. Where a
        reset would not help (`Machine.is_stuck`) the power is cut and given again.
        """
        machine = self._require_on("reset")
        deadline = Deadline.after(self._ground.timeouts.reset_s, self._ground.clock)
        mark = self.transcript.mark(MarkKind.STIMULUS, "reset")
        if machine.is_stuck:
            await self.power_off()
            await self.power_on()
            said: str | None = "power off and on"
        else:
            await self._run(lambda: machine.reset(self._soon(FIRMWARE_S)))
            said = (await self._search(RESET, mark, seconds=deadline.remaining())).evidence
        if said is None:
            return Observed(seen=False)
        await wait_for(self.transcript, lambda: self._has_shown() or not self.is_on, deadline=deadline)
        if self._has_shown():
            return Observed(seen=True, evidence=said)
        return Observed(seen=False, evidence=f"{said}, but the guest shows nothing")

    async def nmi(self) -> Observed:
        """Raise a non-maskable interrupt, and watch for the guest's answer.

        It waits while the guest boots: firmware and boot loader would die of it.
        """
        self._require_on("nmi")
        async with self._stimuli:
            await self._settle(BOOT_S)
            machine = self._require_on("nmi")
            mark = self.transcript.mark(MarkKind.STIMULUS, "nmi")
            await self._run(lambda: machine.nmi(self._soon()))
            return _observed_by(await self._search(NMI, mark, seconds=self._ground.timeouts.stimulus_s))

    async def sysrq(self, key: str) -> Observed:
        """Send a system request, and watch for the guest's answer; if nothing comes, it is sent once more.

        It waits while the guest boots: GRUB would take the key for one of its own, and its menu would stay.
        Bytes typed while it is sent are held back for up to 0.1 s. Raises SpecError if `key` is not one
        printable ASCII character.
        """
        require_key(key)
        self._require_on("sysrq")
        return await self._to_end(self._sysrq(key))  # a BREAK without its key would swallow a typed one

    async def _sysrq(self, key: str) -> Observed:
        async with self._stimuli:
            await self._settle(BOOT_S)
            search = await self._request(key)
            if search.silent and search.evidence is None and self._has_read_all():
                search = await self._request(key)  # QEMU can lose a BREAK (docs/facts/qemu.md 4)
            return _observed_by(search)

    # -- console -------------------------------------------------------------------------------

    async def screenshot(self) -> bytes:
        """Return what the screen shows now, as PPM (P6)."""
        machine = self._require_on("screenshot")
        return await self._run(lambda: _shoot(machine, self._soon()))

    def type(self, data: bytes) -> None:
        """Queue bytes for COM1 and return at once; raises ConsoleClosed if the guest was discarded."""
        if self.transcript.closed is not None:
            raise ConsoleClosed(f"{self._id.name} is gone: {self.transcript.closed}")
        self._require_on("type").console.post(data)

    async def wait_typed(self) -> None:
        """Return when the machine has taken all queued bytes, or is off."""
        await wait_for(self.transcript, lambda: not self.is_on or self._unsent() == 0)

    # -- inside: power -------------------------------------------------------------------------

    async def _start(self) -> None:
        if self.is_on:
            return
        plan = self.plan
        name = host_name_of(self._id, plan)
        await self._run(lambda: self._slot.start(self._ground.spec_for(plan, name)))

    async def _exclusively(self, act: Callable[[], Awaitable[None]]) -> None:
        """Run `act` to its end, alone: its thread can't be cancelled."""

        async def alone() -> None:
            async with self._power:
                await act()

        await self._to_end(alone())

    async def _to_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns; it continues even if the caller is cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finish)
        return await asyncio.shield(task)

    def _finish(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved here at the latest, as the caller may be gone

    def _note_change(self) -> None:
        # Called on any thread, under the transcript's lock; many changes make one call.
        if not self._pending:
            self._pending = True
            with suppress(RuntimeError):  # the loop is closed
                self._ground.loop.call_soon_threadsafe(self._report)

    def _report(self) -> None:
        self._pending = False
        is_on = self.is_on
        if is_on == self._reported_on:
            return
        self._reported_on = is_on
        how = None if self.machine is None else self.machine.exit
        reason = "" if is_on or how is None else how.reason
        change = PowerChange(key=self.key, is_on=is_on, reason=reason, asked=self._ends > 0)
        if self._ground.on_power_change is not None:
            self._ground.on_power_change(change)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        self._ends += 1
        try:
            yield
        finally:
            self._report()
            self._ends -= 1

    # -- inside: stimuli -----------------------------------------------------------------------

    async def _request(self, key: str) -> ExpectedSearch:
        machine = self._require_on("sysrq")
        mark = self.transcript.mark(MarkKind.STIMULUS, f"sysrq-{key}")
        with machine.console.held():  # from the mark on
            await self._run(lambda: machine.sysrq(key, self._soon()))
        seconds = self._ground.timeouts.stimulus_s
        return await self._search(expected_of_sysrq(key), mark, seconds=seconds)

    async def _search(self, expected: Expected, mark: Mark, *, seconds: float) -> ExpectedSearch:
        search = ExpectedSearch(expected)
        cursor = Cursor(self.transcript, position=mark.offset)

        def look() -> str | None:
            search.feed(cursor.read(cursor.available()))
            search.note(events_after(mark, self.transcript.marks))
            return search.evidence

        await wait_for(self.transcript, look, deadline=Deadline.after(seconds, self._ground.clock))
        return search

    async def _settle(self, seconds: float) -> None:
        """Wait until the guest's boot is over, for at most `seconds`; a restart begins another one."""
        deadline = Deadline.after(seconds, self._ground.clock)
        boot: BootFollower | None = None
        while self.is_on and not deadline.expired():
            version = self.transcript.version
            start = last_start(self.transcript.marks)
            if start is None:  # so long ago that it is forgotten
                return
            if boot is None or start is not boot.start:
                boot = BootFollower(self.transcript, start, spun_s=self._spun_s)
            wait_s = boot.look()
            if not wait_s:
                return
            await wait_change(self.transcript, version, seconds=min(wait_s, deadline.remaining()))

    def _spun_s(self) -> float:
        return 0.0 if self.machine is None else self.machine.spun_s

    def _has_shown(self) -> bool:
        """Tell whether the guest has written anything since its firmware began."""
        start = last_start(self.transcript.marks)
        return start is not None and len(self.transcript) > start.offset

    def _require_on(self, what: str) -> Machine:
        machine = self.machine
        if machine is None or not self.is_on:
            raise StateError(f"{what}: {self._id.name} is off; it must be on")
        return machine

    def _has_read_all(self) -> bool:
        """Tell whether the guest has read all that was typed; a request ahead of the rest would be lost."""
        machine = self.machine
        return machine is not None and self.is_on and machine.console.unread == 0

    def _unsent(self) -> int:
        machine = self.machine
        return 0 if machine is None else machine.console.unsent

    def _soon(self, more_s: float = 0.0) -> Deadline:
        return Deadline.after(CONTROL_S + more_s, self._ground.clock)

    async def _run(self, act: Callable[[], T]) -> T:
        return await self._ground.loop.run_in_executor(self._ground.executor, act)


def _observed_by(search: ExpectedSearch) -> Observed:
    evidence = search.evidence or search.hint
    seen = evidence is not None and not search.refused
    return Observed(seen=seen, evidence=evidence or "", refused=search.refused)


def _shoot(machine: Machine, deadline: Deadline) -> bytes:
    path = machine.links_dir / f"screen-{id(deadline):x}.ppm"
    try:
        machine.screendump(path, deadline)
        return path.read_bytes()
    except OSError as error:
        raise LabError(f"screen of {machine.spec.name}: {error.strerror}") from error
    finally:
        path.unlink(missing_ok=True)
