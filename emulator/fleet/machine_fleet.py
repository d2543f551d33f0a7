"""The machines behind the VMs.

An idle guest of 256 MiB costs 245-255 MiB in its QEMU, under 1 % of a core, and 1.5 MiB and 3 threads
in this process (bookworm-grub at its login prompt, QEMU 7.2, TCG; SeaBIOS and OVMF alike).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.cloud.guest_plan import DEFAULT_IMAGE, GuestPlan
from emulator.cloud.records import VirtualMachine
from emulator.errors import EmulatorError, LabError, StateError
from emulator.fleet.guest import plan_of, spec_of
from emulator.fleet.machine_guest import Ground, MachineGuest, PowerChange, Timeouts
from emulator.guest_images.kinds import open_image
from emulator.machine.probe import choose_accelerator
from emulator.machine.qemu_binary import find_qemu, find_uefi
from emulator.machine.spec import Accelerator, MachineSpec, MachineType

AGAIN_S = 5.0
"""How long an answer counts as the present state, in seconds."""


class Readiness:
    """Looks for prerequisites; `find_problems` blocks, for 4 s if it has to probe the accelerator."""

    def __init__(self, *, images: Iterable[str], clock: Clock) -> None:
        self._images = tuple(sorted(images))
        self._clock = clock
        self._probed = False
        self._known: tuple[float, list[str]] | None = None

    def find_problems(self) -> list[str]:
        """Return what is missing, each with its remedy; the answer is remembered for AGAIN_S."""
        now = self._clock.monotonic()
        if self._known is None or now - self._known[0] > AGAIN_S:
            checks: list[Callable[[], object]] = [self._check_machine, find_uefi]
            checks += [partial(open_image, name, build=False) for name in self._images]
            self._known = (now, [text for check in checks if (text := _problem(check))])
        return list(self._known[1])

    def _check_machine(self) -> None:
        qemu = find_qemu()
        if self._probed:
            return
        for machine in (MachineType.PC, MachineType.Q35):
            choose_accelerator(Accelerator.AUTO, qemu=qemu, machine=machine, clock=self._clock)
        self._probed = True


def _problem(check: Callable[[], object]) -> str | None:
    try:
        check()
    except EmulatorError as error:
        return str(error)
    except OSError as error:
        return f"the accelerator can't be probed: {error.strerror}"
    return None


THREADS = 32
ANSWER_S = 2.0
"""How long QMP of a healthy machine may take to answer, in seconds."""


class MachineFleet:
    """The guests of all VMs; made by `open_fleet`. The service's loop makes all calls."""

    def __init__(self, ground: Ground, readiness: Readiness, *, run_dir: Path) -> None:
        self._ground = ground
        self._readiness = readiness
        self._run_dir = run_dir
        self._guests: dict[str, MachineGuest] = {}
        self._made = 0
        self._closed = False
        self._checks: dict[MachineGuest, asyncio.Future[str | None]] = {}
        self._mute: dict[MachineGuest, str] = {}  # what was wrong at the last check, by guest
        self._looking: asyncio.Future[list[str]] | None = None

    def guest(self, vm: VirtualMachine) -> MachineGuest:
        """Return the guest of `vm`; the first call makes it, powered off, later calls return the same one.

        At the next power-on it boots what the `vm` of the latest call says. Raises StateError if the fleet is
        closed.
        """
        if self._closed:
            raise StateError(f"the fleet is closed; it must be open for {vm.id.name}")
        found = self._guests.get(vm.key)
        if found is None:
            self._made += 1
            found = MachineGuest(vm, self._ground, run_dir=self._run_dir / f"{vm.id.name}.{self._made}")
            self._guests[vm.key] = found
        found.plan = plan_of(vm)
        return found

    def existing(self, key: str) -> MachineGuest | None:
        """Return the guest of the VM with that key, in any case, if it was made."""
        return self._guests.get(key.lower())

    async def discard(self, key: str) -> None:
        """End the guest of the VM with that key for good, with its console; does nothing if there is none.

        Raises LabError, ExceptionGroup if a part could not be ended; it is gone anyway.
        """
        guest = self._guests.pop(key.lower(), None)
        if guest is not None:
            await guest.close()

    async def problems(self) -> list[str]:
        """Return why guests can't be reached; empty if they can.

        The host is checked every few seconds. Each running guest's QMP is queried; a guest that does not
        answer within ANSWER_S is named until it does, and not waited for again. A guest that spins in
        silence since it started is named too.
        """
        missing = await self._missing()
        asked = [guest for guest in self._guests.values() if guest.is_on and not guest.is_changing]
        self._mute = {guest: text for guest, text in self._mute.items() if guest in asked}
        for guest in asked:
            self._ask(guest)
        waited = [self._checks[guest] for guest in asked if guest not in self._mute]
        if waited:
            await asyncio.wait(waited)
        return missing + list(self._mute.values())

    async def _missing(self) -> list[str]:
        """Return what the host lacks; who asks during a check waits for that one, and is answered in turn."""
        if self._looking is None or self._looking.done():
            self._looking = self._ground.loop.run_in_executor(
                self._ground.executor, self._readiness.find_problems
            )
        return await asyncio.shield(self._looking)

    async def close(self) -> None:
        """End all guests at once, each within 30 s.

        Raises:
            LabError, ExceptionGroup: something could not be ended; the text says what is left.
        """
        self._closed = True
        guests, self._guests = list(self._guests.values()), {}
        ends = await asyncio.gather(*(guest.close() for guest in guests), return_exceptions=True)
        failures = [end for end in ends if isinstance(end, Exception)]
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup(f"{len(failures)} of {len(guests)} guests could not be ended", failures)

    def _ask(self, guest: MachineGuest) -> None:
        """Query a guest's QMP in the background, unless a query is under way."""
        if guest in self._checks:
            return
        loop, executor = self._ground.loop, self._ground.executor
        check = loop.run_in_executor(executor, _find_silence, guest, self._ground.clock)
        self._checks[guest] = check

        def note(done: asyncio.Future[str | None]) -> None:
            del self._checks[guest]
            text = None if done.cancelled() else done.result()
            if text is None:
                self._mute.pop(guest, None)
            else:
                self._mute[guest] = text

        check.add_done_callback(note)


def _find_silence(guest: MachineGuest, clock: Clock) -> str | None:
    machine = guest.machine
    try:
        if machine is not None:
            machine.query("query-status", deadline=Deadline.after(ANSWER_S, clock))
    except StateError:
        return None  # it has just ended
    except LabError as error:
        return f"guest {machine.spec.name if machine else ''}: {str(error).splitlines()[0]}"
    if machine is not None and machine.is_stuck:
        return f"guest {machine.spec.name}: it spins and has written nothing since it started; reset it"
    return None


def _built_spec(plan: GuestPlan, name: str) -> MachineSpec:
    """Return the machine of `plan`; its image must have been built."""
    return spec_of(plan, open_image(plan.image, build=False), name)


@asynccontextmanager
async def open_fleet(
    *,
    run_dir: Path,
    clock: Clock = SYSTEM_CLOCK,
    images: Iterable[str] = (DEFAULT_IMAGE,),
    spec_for: Callable[[GuestPlan, str], MachineSpec] | None = None,
    timeouts: Timeouts | None = None,
    on_power_change: Callable[[PowerChange], None] | None = None,
) -> AsyncIterator[MachineFleet]:
    """Open a fleet without guests on this loop; at the end of the `async with` no machine is left.

    Args:
        run_dir: where each guest's argv and stderr go; consoles are only kept in memory.
        clock: the clock of transcripts and deadlines.
        images: which images must be built for `problems` to be empty.
        spec_for: returns what to boot for a plan and a host name; default: `spec_of` with the user's image.
        timeouts: how long to wait for expected effects.
        on_power_change: called on the loop after each change of a guest's power; must not raise.

    Raises:
        LabError, ExceptionGroup: at the end, something could not be ended.
    """
    with ThreadPoolExecutor(THREADS, thread_name_prefix="fleet") as executor:  # joins its threads
        ground = Ground(
            loop=asyncio.get_running_loop(),
            executor=executor,
            clock=clock,
            spec_for=spec_for or _built_spec,
            timeouts=timeouts or Timeouts(),
            on_power_change=on_power_change,
        )
        fleet = MachineFleet(ground, Readiness(images=images, clock=clock), run_dir=run_dir)
        try:
            yield fleet
        finally:
            await _until_done(asyncio.create_task(fleet.close()))


async def _until_done(task: asyncio.Task[None]) -> None:
    """Wait for the end of `task` however often the waiter is cancelled: no machine may be left running."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
