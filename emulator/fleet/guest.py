"""What the service needs of the machines behind its VMs, and the spec of a VM's machine; pure.

`machine_fleet` has real machines.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Protocol

from emulator.cloud.guest_plan import MEMORY_MIB, GuestPlan
from emulator.cloud.records import VirtualMachine
from emulator.cloud.resource_id import ResourceId
from emulator.console.transcript import Transcript
from emulator.fleet.observed import Observed
from emulator.guest_images.kinds import GuestImage
from emulator.machine.spec import Board, MachineSpec


class FleetGuest(Protocol):
    """The machine behind one VM, and its console. The service's loop makes all calls.

    The console, its transcript and its readers survive power cycles. A call that is impossible in the present
    state raises StateError (a stimulus while it is off), one that fails LabError (QMP, for one).
    """

    @property
    def transcript(self) -> Transcript:
        """Everything received and sent on COM1; it grows by itself."""

    @property
    def is_on(self) -> bool:
        """Whether a machine is running now."""

    async def power_on(self) -> None:
        """Switch the power on; does nothing if it is on."""

    async def power_off(self) -> None:
        """Cut the power; does nothing if it is off."""

    async def shut_down(self, grace_s: float) -> bool:
        """Push the power button; cut the power after `grace_s` seconds. Return whether the guest obeyed."""

    async def reset(self) -> Observed:
        """Push the reset button, and watch for the guest to show itself anew."""

    async def nmi(self) -> Observed:
        """Raise a non-maskable interrupt once the guest has booted, and watch for its answer."""

    async def sysrq(self, key: str) -> Observed:
        """Send a system request once the guest has booted, and watch for its answer.

        Raises SpecError if `key` is not one printable ASCII character.
        """

    async def screenshot(self) -> bytes:
        """Return what the screen shows now, as PPM (P6); raises StateError while it is off."""

    def type(self, data: bytes) -> None:
        """Queue bytes for COM1 and return at once; raises ConsoleClosed if the guest was discarded."""

    async def wait_typed(self) -> None:
        """Return when the machine has taken all queued bytes, or is off."""


class Fleet(Protocol):
    """The guests of all VMs."""

    def guest(self, vm: VirtualMachine) -> FleetGuest:
        """Return the guest of `vm`; the first call makes it, powered off, later calls return the same one."""

    def existing(self, key: str) -> FleetGuest | None:
        """Return the guest of the VM with that key if it was made."""

    async def discard(self, key: str) -> None:
        """End the guest of the VM with that key for good, with its console; does nothing if there is none."""

    async def problems(self) -> list[str]:
        """Return why guests can't be reached; empty if they can (`/health`)."""


HOST_NAME_MAX = 64
"""`__NEW_UTS_LEN` of Linux."""


def host_name_of(vm: ResourceId, plan: GuestPlan) -> str:
    """Return the guest's host name: the VM's, or `SET-N` for an instance; a stand-in's says what it is."""
    text = re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(name for _, name in vm.path)).strip(".-")
    ending = "" if plan.stands_in_for is None or plan.is_sac else "-linux-stand-in"
    return (text[: HOST_NAME_MAX - len(ending)].rstrip(".-") or "guest") + ending


def plan_of(vm: VirtualMachine) -> GuestPlan:
    """Return what to boot for `vm`: its plan, with the VM's id as the machine's UUID, as on Azure."""
    return replace(vm.guest, uuid=vm.guest.uuid or vm.vm_id or None)


def spec_of(plan: GuestPlan, image: GuestImage, name: str) -> MachineSpec:
    """Return the machine of `plan` that boots `image`; its host name is `name` unless a word says otherwise.

    Raises SpecError if there is no such machine, ImageError if a file that it boots from can't be written.
    """
    words = (*image.name_words(name), *plan.words)
    board = Board(machine=plan.machine, firmware=plan.firmware, words=words, name=name, uuid=plan.uuid)
    spec = image.spec(board)
    usual = plan.memory_mib == MEMORY_MIB  # nobody asked for it: an image that needs more gets it
    return replace(
        spec,
        vcpus=plan.vcpus,
        memory_mib=max(spec.memory_mib, MEMORY_MIB) if usual else plan.memory_mib,
        devices=plan.devices,
        watchdog_action=plan.watchdog_action,
        seed=plan.seed,
    )
