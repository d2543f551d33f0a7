"""VMs of one's own in ttylab's service: made for a machine, and deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.cloud.resource_id import ResourceId
from emulator.errors import LabError
from emulator.images.sac.image import SAC_IMAGES
from emulator.machine.spec import MachineSpec
from harness.azure.arm import Arm
from harness.azure.virtual_machine import COMPUTE_VERSION
from harness.errors import ServiceRefused, ServiceUnreachable

MAKE_S = 60.0
DELETE_S = 60.0
LOCATION = "eastus"


@contextmanager
def own_vm(
    arm: Arm,
    vm: ResourceId,
    spec: MachineSpec,
    *,
    image: str,
    words: Sequence[str] = (),
    clock: Clock = SYSTEM_CLOCK,
) -> Iterator[ResourceId]:
    """Make the VM `vm` with a machine like `spec`, not on yet; delete it at the end.

    Args:
        arm: a client of ttylab's service.
        vm: its id; there must be no such VM yet.
        spec: board, firmware, CPUs, memory, devices and seed.
        image: name in the image catalog, or of a SAC guest.
        words: of the kernel's command line, besides those that every Linux guest has; knobs of a SAC guest.
        clock: of the deadlines.

    Raises:
        LabError: the service refused, or can't be reached.
    """
    path = str(vm)
    try:
        deadline = Deadline.after(MAKE_S, clock)
        body = vm_document(vm.name, image=image)
        arm.operate("PUT", path, version=COMPUTE_VERSION, body=body, deadline=deadline)
        arm.call(
            "PUT",
            f"/ttylab/guests{path}",
            body=guest_table(spec, image=image, words=words),
            deadline=deadline,
        )
    except (ServiceRefused, ServiceUnreachable) as error:
        raise LabError(f"VM {vm.name} can't be made: {error}") from error
    try:
        yield vm
    finally:
        try:
            arm.operate("DELETE", path, version=COMPUTE_VERSION, deadline=Deadline.after(DELETE_S, clock))
        except (ServiceRefused, ServiceUnreachable) as error:
            raise LabError(f"VM {vm.name} can't be deleted: {error}") from error


def vm_document(name: str, *, image: str) -> dict[str, object]:
    """Return the smallest VM that has a console, with boot diagnostics; a SAC guest is shown as Windows."""
    os_type = "Windows" if image in SAC_IMAGES else "Linux"
    return {
        "location": LOCATION,
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_B1s"},
            "storageProfile": {
                "imageReference": {"publisher": "ttylab", "offer": image, "sku": "0", "version": "latest"},
                "osDisk": {"osType": os_type, "createOption": "FromImage"},
            },
            "osProfile": {"computerName": name[:15].rstrip("-"), "adminUsername": "root"},
            "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
        },
    }


def guest_table(spec: MachineSpec, *, image: str, words: Sequence[str]) -> dict[str, object]:
    """Return the machine of a VM as ttylab's service takes it."""
    return {
        "image": image,
        "machine": spec.machine.value,
        "firmware": spec.firmware.value,
        "vcpus": spec.vcpus,
        "memoryMib": spec.memory_mib,
        "words": list(words),
        "devices": sorted(device.value for device in spec.devices),
        "watchdogAction": spec.watchdog_action.value,
        "seed": spec.seed,
        "uuid": dict(spec.smbios).get("uuid"),
    }
