"""From a VM's plan to the machine that plays it; pure."""

from __future__ import annotations

import re
from dataclasses import replace

from emulator.cloud.guest_plan import SAC_IMAGE, GuestPlan
from emulator.cloud.resource_id import ResourceId
from emulator.images.image import Image
from emulator.machine.linux_boot import linux_spec
from emulator.machine.spec import MachineSpec

HOST_NAME_MAX = 64
"""`__NEW_UTS_LEN` of Linux."""


def host_name_of(vm: ResourceId, plan: GuestPlan) -> str:
    """Return the guest's host name: the VM's, `SET-N` for an instance; a stand-in says what it is."""
    text = re.sub(r"[^A-Za-z0-9.-]+", "-", "-".join(name for _, name in vm.path)).strip(".-")
    ending = "" if plan.stands_in_for is None or plan.image == SAC_IMAGE else "-linux-stand-in"
    return (text[: HOST_NAME_MAX - len(ending)].rstrip(".-") or "guest") + ending


def spec_of(plan: GuestPlan, image: Image, name: str) -> MachineSpec:
    """Return the machine of `plan` that boots `image` and calls itself `name`.

    Raises:
        SpecError: there is no such machine.
    """
    words = (f"ttylab.hostname={name}", *plan.words)
    plain = linux_spec(image, machine=plan.machine, firmware=plan.firmware, words=words, name=name)
    return replace(
        plain,
        vcpus=plan.vcpus,
        memory_mib=plan.memory_mib,
        devices=plan.devices,
        watchdog_action=plan.watchdog_action,
        seed=plan.seed,
    )
