"""What the service needs of the machines behind its VMs; `machine_fleet` has real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from emulator.cloud.records import VirtualMachine
from emulator.console.transcript import Transcript


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What was seen of a stimulus (docs/facts/qemu.md 4).

    Attributes:
        seen: whether what was expected came before the wait ended.
        evidence: the guest's own words or QEMU's event, escaped; "" where there is none.
    """

    seen: bool
    evidence: str = ""


class FleetGuest(Protocol):
    """The machine behind one VM, and its console. Calls come from the service's loop.

    Power cycles keep the console, its transcript and all who read it. A call that can't be done raises
    StateError, one that fails LabError.
    """

    @property
    def transcript(self) -> Transcript:
        """All that came and went on COM1; grows without anybody's doing."""
        ...

    @property
    def is_on(self) -> bool:
        """Whether there is a machine running now."""
        ...

    async def power_on(self) -> None:
        """Give power; nothing to do where it is on."""
        ...

    async def power_off(self) -> None:
        """Cut the power; nothing to do where it is off."""
        ...

    async def shut_down(self, grace_s: float) -> bool:
        """Push the power button and wait for the end; cut the power after `grace_s` seconds.

        Returns whether the guest obeyed.
        """
        ...

    async def reset(self) -> Observed:
        """Push the reset button."""
        ...

    async def nmi(self) -> Observed:
        """Raise a non-maskable interrupt."""
        ...

    async def sysrq(self, key: str) -> Observed:
        """Make a system request with one key."""
        ...

    async def screenshot(self) -> bytes:
        """Return what the screen shows now, as PPM (P6); StateError while it is off."""
        ...

    def type(self, data: bytes) -> None:
        """Queue bytes for COM1 and return at once.

        Raises:
            StateError: the machine is off.
            ConsoleClosed: it is gone for good.
        """
        ...

    async def wait_typed(self) -> None:
        """Return when what was queued has been handed to the machine, or it is off."""
        ...


class Fleet(Protocol):
    """The guests of all VMs."""

    def guest(self, vm: VirtualMachine) -> FleetGuest:
        """Return the guest of `vm`, made powered off at the first call; the same one ever after."""
        ...

    def existing(self, key: str) -> FleetGuest | None:
        """Return the guest of the VM with that key if it was made."""
        ...

    async def discard(self, key: str) -> None:
        """End the guest of the VM with that key for good, with its console; none there is fine."""
        ...

    async def problems(self) -> list[str]:
        """Return why guests can't be reached; empty means that they can (`/health`)."""
        ...
