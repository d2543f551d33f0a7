"""Guests without machines: consoles that print numbered lines at a fixed rate and echo what is typed.

For measurements of everything between a console and its reader, 200 of them at once, and for tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from emulator.clock import SYSTEM_CLOCK, Clock
from emulator.cloud.records import VirtualMachine
from emulator.console.marks import MarkKind
from emulator.console.transcript import Transcript
from emulator.errors import ConsoleClosed, StateError
from emulator.fleet.observed import Observed
from tests.support.numbered_lines import LINE, numbered_line

KEEP = 48 * 1024
TICK_S = 0.05
BURST_S = 1.0
"""How much of its rate a guest catches up on after the loop was busy, in seconds."""
SCREEN = b"P6\n1 1\n255\n\x00\x80\x00"


class SyntheticGuest:
    """`fleet.Guest` without a machine; whatever is done to it works at once.

    Attributes:
        name: what its lines are named for.
        transcript: all that came and went.
        is_on: whether it prints.
        printed: number of its next line.
    """

    def __init__(self, name: str, *, clock: Clock) -> None:
        self.name = name
        self.transcript = Transcript(clock=clock, keep=KEEP)
        self.is_on = False
        self.printed = 0
        self._owed = 0.0

    def print_for(self, seconds: float, rate: float) -> None:
        """Print what is due after `seconds` at `rate` bytes per second, in whole lines."""
        if not self.is_on:
            return
        self._owed = min(self._owed + seconds * rate, max(BURST_S * rate, LINE))
        count = int(self._owed // LINE)
        if count:
            self._owed -= count * LINE
            numbers = range(self.printed, self.printed + count)
            self.printed += count
            self.transcript.append(b"".join(numbered_line(number, name=self.name) for number in numbers))

    async def power_on(self) -> None:
        """Let it print."""
        self._require_there()
        if not self.is_on:
            self.is_on = True
            self.transcript.mark(MarkKind.MACHINE, "started")

    async def power_off(self) -> None:
        """Let it print no more; its next line is where it goes on."""
        if self.is_on:
            self.is_on = False
            self.transcript.mark(MarkKind.MACHINE, "off", {"reason": "host-qmp-quit"})

    async def shut_down(self, grace_s: float) -> bool:  # part of the protocol
        """Obey at once."""
        await self.power_off()
        return True

    async def reset(self) -> Observed:
        """Set the mark of a reset."""
        return self._react("RESET")

    async def nmi(self) -> Observed:
        """Set a mark; nothing is printed."""
        return self._react("nmi")

    async def sysrq(self, key: str) -> Observed:
        """Set a mark; nothing is printed."""
        return self._react(f"sysrq-{key}")

    async def screenshot(self) -> bytes:
        """Return a picture of one pixel."""
        self._require_on()
        return SCREEN

    def type(self, data: bytes) -> None:
        """Echo `data` at once.

        Raises:
            StateError: it is off.
            ConsoleClosed: it was discarded.
        """
        self._require_on()
        self.transcript.append_typed(data)
        self.transcript.append(data)

    async def wait_typed(self) -> None:
        """Return: nothing ever waits."""

    def _react(self, name: str) -> Observed:
        self._require_on()
        self.transcript.mark(MarkKind.QMP, name)
        return Observed(seen=True, evidence=name)

    def _require_on(self) -> None:
        self._require_there()
        if not self.is_on:
            raise StateError(f"{self.name} is off; it must be on")

    def _require_there(self) -> None:
        if self.transcript.closed is not None:
            raise ConsoleClosed(f"{self.name} is gone: {self.transcript.closed}")


class SyntheticFleet:
    """A `MachineFleet` of synthetic guests; made by `open_synthetic_fleet`, on the loop that makes all calls.

    Attributes:
        rate: bytes per second and guest; 0 prints nothing.
    """

    def __init__(self, rate: float, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.rate = rate
        self._clock = clock
        self._guests: dict[str, SyntheticGuest] = {}

    def guest(self, vm: VirtualMachine) -> SyntheticGuest:
        """Return the guest of `vm`, made powered off at the first call; the same one ever after."""
        if vm.key not in self._guests:
            name = "/".join(name for _, name in vm.id.path)[-64:]
            self._guests[vm.key] = SyntheticGuest(name, clock=self._clock)
        return self._guests[vm.key]

    def existing(self, key: str) -> SyntheticGuest | None:
        """Return the guest of the VM with that key if it was made."""
        return self._guests.get(key.lower())

    async def discard(self, key: str) -> None:
        """End the guest of the VM with that key for good."""
        guest = self._guests.pop(key.lower(), None)
        if guest is not None:
            await guest.power_off()
            guest.transcript.close("the virtual machine is gone")

    async def problems(self) -> list[str]:
        """Return nothing: there is nothing to go wrong."""
        return []

    def print_for(self, seconds: float) -> None:
        """Let all guests print what is due after `seconds`."""
        for guest in self._guests.values():
            guest.print_for(seconds, self.rate)

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Let all guests print on this loop for the time of the `with`; all consoles end with it."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        handle: asyncio.TimerHandle

        def tick() -> None:
            nonlocal last, handle
            now = loop.time()
            self.print_for(now - last)
            last = now
            handle = loop.call_later(TICK_S, tick)

        handle = loop.call_later(TICK_S, tick)
        try:
            yield
        finally:
            handle.cancel()
            for guest in self._guests.values():
                guest.is_on = False
                guest.transcript.close("the fleet was closed")


@contextmanager
def open_synthetic_fleet(rate: float, *, clock: Clock = SYSTEM_CLOCK) -> Iterator[SyntheticFleet]:
    """Open a fleet whose guests print `rate` bytes per second each, on the loop that runs now."""
    fleet = SyntheticFleet(rate, clock=clock)
    with fleet.ticking():
        yield fleet
