"""Guests in memory: the Fleet of tests that need no machine.

A guest records what was asked of it (`calls`), fails on demand (`fail`), holds a call open (`hold`,
`release`), shows effects or none (`shows_effects`), and says what a test feeds it (`feed`).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.clock import SYSTEM_CLOCK, Clock
from emulator.cloud.records import VirtualMachine
from emulator.console.transcript import Transcript
from emulator.errors import ConsoleClosed, EmulatorError, StateError
from emulator.fleet.observed import Observed

SCREEN = b"P6\n2 2\n255\n" + bytes(range(12))
"""What a fake screen shows unless told otherwise: 2 by 2 pixels."""


@dataclass
class FakeGuest:
    """One guest; `Guest` of emulator/fleet/guest.py.

    Attributes:
        vm: whose it is, as it was at the first call.
        calls: what was asked, in order: "power_on", "shut_down 60.0", "sysrq b" …; `type` is in `typed`.
        typed: all bytes that were typed.
        failures: call's name → what it raises from now on.
        shows_effects: whether reset, nmi and sysrq are seen to do something.
        refusal: what it answers to all of them instead, or "".
        obeys: whether it shuts down by itself when its power button is pushed.
        says_at_power_on: what it writes each time it gets power.
        echoes: whether what is typed comes back.
        screen: PPM.
    """

    vm: VirtualMachine
    clock: Clock = SYSTEM_CLOCK
    calls: list[str] = field(default_factory=list)
    typed: bytearray = field(default_factory=bytearray)
    failures: dict[str, EmulatorError] = field(default_factory=dict)
    shows_effects: bool = True
    refusal: str = ""
    obeys: bool = True
    says_at_power_on: bytes = b""
    echoes: bool = False
    screen: bytes = SCREEN

    def __post_init__(self) -> None:
        self.transcript = Transcript(clock=self.clock)
        self.is_on = False
        self._gone = False
        self._held: dict[str, tuple[asyncio.AbstractEventLoop | None, asyncio.Event]] = {}

    # -- what tests do -------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Let the guest write `data` on COM1; any thread."""
        self.transcript.append(data)

    def fail(self, call: str, error: EmulatorError) -> None:
        """Let `call` ("power_on") raise `error` from now on."""
        self.failures[call] = error

    def hold(self, call: str) -> None:
        """Let `call` take until `release`."""
        self._held[call] = (None, asyncio.Event())

    def release(self, call: str) -> None:
        """End what `hold` began; any thread."""
        loop, event = self._held.pop(call)
        if loop is None:
            event.set()
        else:
            loop.call_soon_threadsafe(event.set)

    # -- Guest ---------------------------------------------------------------------------------

    async def power_on(self) -> None:
        await self._begin("power_on")
        if not self.is_on:
            self.is_on = True
            self.transcript.append(self.says_at_power_on)

    async def power_off(self) -> None:
        await self._begin("power_off")
        self.is_on = False

    async def shut_down(self, grace_s: float) -> bool:
        await self._begin("shut_down", str(grace_s))
        self.is_on = False
        return self.obeys

    async def reset(self) -> Observed:
        return await self._stimulate("reset")

    async def nmi(self) -> Observed:
        return await self._stimulate("nmi")

    async def sysrq(self, key: str) -> Observed:
        return await self._stimulate("sysrq", key)

    async def screenshot(self) -> bytes:
        await self._begin("screenshot")
        self._require_on()
        return self.screen

    def type(self, data: bytes) -> None:
        if self._gone:
            raise ConsoleClosed("the guest was discarded")
        self._require_on()
        self.typed += data
        self.transcript.append_typed(data)
        if self.echoes:
            self.transcript.append(data)

    async def wait_typed(self) -> None:
        await self._begin("wait_typed")

    # -- inside --------------------------------------------------------------------------------

    def end(self) -> None:
        self.is_on, self._gone = False, True
        self.transcript.close("discarded")

    async def _stimulate(self, call: str, *words: str) -> Observed:
        await self._begin(call, *words)
        self._require_on()
        evidence = " ".join((call, *words))
        if self.refusal:
            return Observed(seen=False, evidence=self.refusal, refused=True)
        return Observed(seen=self.shows_effects, evidence=evidence if self.shows_effects else "")

    async def _begin(self, call: str, *words: str) -> None:
        self.calls.append(" ".join((call, *words)))
        if call in self._held:
            event = self._held[call][1]
            self._held[call] = (asyncio.get_running_loop(), event)
            await event.wait()
        if call in self.failures:
            raise self.failures[call]

    def _require_on(self) -> None:
        if not self.is_on:
            raise StateError(f"{self.vm.id.name} is off")


class FakeFleet:
    """A `MachineFleet` of emulator/fleet; `guests` by key, `prepare` is called with each new guest."""

    def __init__(
        self, *, clock: Clock = SYSTEM_CLOCK, prepare: Callable[[FakeGuest], None] | None = None
    ) -> None:
        self.guests: dict[str, FakeGuest] = {}
        self.discarded: list[str] = []
        self.trouble: list[str] = []
        self._clock = clock
        self._prepare = prepare

    def guest(self, vm: VirtualMachine) -> FakeGuest:
        if vm.key not in self.guests:
            guest = FakeGuest(vm=vm, clock=self._clock)
            if self._prepare is not None:
                self._prepare(guest)
            self.guests[vm.key] = guest
        return self.guests[vm.key]

    def existing(self, key: str) -> FakeGuest | None:
        return self.guests.get(key.lower())

    async def discard(self, key: str) -> None:
        guest = self.guests.pop(key.lower(), None)
        if guest is not None:
            self.discarded.append(key.lower())
            guest.end()

    async def problems(self) -> list[str]:
        return list(self.trouble)
