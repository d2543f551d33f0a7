"""From a VM's plan to the machine that plays it; pure."""

from __future__ import annotations

import re
from dataclasses import replace

from emulator.cloud.guest_plan import GuestPlan
from emulator.cloud.records import VirtualMachine
from emulator.cloud.resource_id import ResourceId
from emulator.errors import SpecError
from emulator.images.image import Image
from emulator.images.linux_boot import linux_spec
from emulator.machine.spec import MachineSpec
from emulator.sac.image import SAC_IMAGES
from emulator.sac.knobs import SacKnobs, parse_knobs

HOST_NAME_MAX = 64
"""`__NEW_UTS_LEN` of Linux."""
COMPUTER_NAME_MAX = 15
"""Of a NetBIOS name, which Windows' computer name is."""


def host_name_of(vm: ResourceId, plan: GuestPlan) -> str:
    """Return the guest's host name: the VM's, `SET-N` for an instance; a stand-in says what it is."""
    text = re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(name for _, name in vm.path)).strip(".-")
    ending = "" if plan.stands_in_for is None or plan.is_sac else "-linux-stand-in"
    return (text[: HOST_NAME_MAX - len(ending)].rstrip(".-") or "guest") + ending


def plan_of(vm: VirtualMachine) -> GuestPlan:
    """Return what to boot for `vm`: its plan, whose machine has the VM's id for a UUID, as on Azure."""
    return replace(vm.guest, uuid=vm.guest.uuid or vm.vm_id or None)


def spec_of(plan: GuestPlan, image: Image, name: str) -> MachineSpec:
    """Return the machine of `plan` that boots `image` and calls itself `name`.

    Raises:
        SpecError: there is no such machine.
    """
    words = (f"ttylab.hostname={name}", *plan.words)
    plain = linux_spec(image, machine=plan.machine, firmware=plan.firmware, words=words, name=name)
    return equip(plain, plan)


def sac_knobs(plan: GuestPlan, name: str) -> SacKnobs:
    """Return how the SAC guest of `plan` behaves; it is called `name`, unless a knob says otherwise.

    The release is the image's, whatever the knobs say.

    Raises:
        SpecError: the image is no SAC guest.
    """
    if not plan.is_sac:
        raise SpecError(f"image {plan.image!r} is no SAC guest; those are: {', '.join(SAC_IMAGES)}")
    computer = re.sub(r"[^A-Za-z0-9-]+", "-", name)[:COMPUTER_NAME_MAX].upper()
    return parse_knobs(
        (f"computer_name={computer}", *plan.words, f"profile={SAC_IMAGES[plan.image]}"),
    )


def equip(plain: MachineSpec, plan: GuestPlan) -> MachineSpec:
    """Return `plain` with the parts that `plan` gives a guest of any kind.

    Raises:
        SpecError: there is no such machine.
    """
    return replace(
        plain,
        vcpus=plan.vcpus,
        memory_mib=plan.memory_mib,
        devices=plan.devices,
        watchdog_action=plan.watchdog_action,
        seed=plan.seed,
        smbios=_with_uuid(plain.smbios, plan.uuid),
    )


def _with_uuid(table: tuple[tuple[str, str], ...], uuid: str | None) -> tuple[tuple[str, str], ...]:
    if uuid is None:
        return table
    return (*(pair for pair in table if pair[0] != "uuid"), ("uuid", uuid))
