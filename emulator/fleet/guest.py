"""What to boot for a VM: its plan, its host name, and the spec of its machine; pure."""

from __future__ import annotations

import re
from dataclasses import replace

from emulator.cloud.guest_plan import MEMORY_MIB, GuestPlan
from emulator.cloud.records import VirtualMachine
from emulator.cloud.resource_id import ResourceId
from emulator.guest_images.kinds import GuestImage
from emulator.machine.spec import Board, MachineSpec

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
