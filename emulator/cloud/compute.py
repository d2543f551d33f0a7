"""Virtual machines and instances of scale sets as Resource Manager shows them; pure.

See docs/facts/azure.md 4, REC.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from emulator.cloud.documents import table
from emulator.cloud.records import Cloud, PowerState, ProvisioningState, ScaleSet, VirtualMachine
from emulator.cloud.settings import azure_document

Json = dict[str, Any]

DISPLAY_OF_PROVISIONING: Mapping[ProvisioningState, str] = {
    ProvisioningState.CREATING: "Creating",
    ProvisioningState.UPDATING: "Updating",
    ProvisioningState.SUCCEEDED: "Provisioning succeeded",
    ProvisioningState.FAILED: "Provisioning failed",
    ProvisioningState.DELETING: "Deleting",
}
_OFF = frozenset({PowerState.DEALLOCATED, PowerState.DEALLOCATING})


def stamp(moment: datetime) -> str:
    """Return `moment` as Resource Manager writes it."""
    return moment.isoformat(timespec="microseconds")


def shown_name(vm: VirtualMachine) -> str:
    """Return the name that is shown: `ss1_0` for instance 0 of `ss1`."""
    return vm.id.name if vm.scale_set is None else f"{vm.scale_set.name}_{vm.id.name}"


def render_vm(vm: VirtualMachine, *, view: Json | None = None) -> Json:
    """Return a VM as its GET answers; `view` is its instance view if that was asked for."""
    properties = _properties(vm) | ({} if view is None else {"instanceView": view})
    return {**_envelope(vm), "properties": properties}


def render_instance(vm: VirtualMachine, scale_set: ScaleSet, *, view: Json | None = None) -> Json:
    """Return an instance of `scale_set`; `latestModelApplied` tells whether it was upgraded (U12)."""
    body = render_vm(vm, view=view)
    properties = {
        "latestModelApplied": vm.model_version == scale_set.model_version,
        "modelDefinitionApplied": "VirtualMachineScaleSet",
        **body["properties"],
    }
    return {
        **body,
        "name": shown_name(vm),
        "instanceId": vm.id.name,
        "sku": {name: table(scale_set.document, "sku").get(name, "Standard") for name in ("name", "tier")},
        "properties": properties,
    }


def render_instance_view(vm: VirtualMachine, *, now: datetime) -> Json:
    """Return the instance view: `statuses[0]` is the provisioning state, `statuses[1]` the power state."""
    view: Json = {}
    if vm.power not in _OFF:
        view |= _guest_facts(vm)
        view["vmAgent"] = _agent(vm, now)
    changed = stamp(vm.changed or vm.created)
    disk_status = _status("ProvisioningState/succeeded", "Provisioning succeeded", time=changed)
    view["disks"] = [{"name": disk_name(vm), "statuses": [disk_status]}]
    if vm.boot_diagnostics.enabled:
        view["bootDiagnostics"] = render_blob_uris(vm)
    view["hyperVGeneration"] = vm.guest.generation
    view["statuses"] = [
        _status(
            f"ProvisioningState/{vm.provisioning.value.lower()}",
            DISPLAY_OF_PROVISIONING[vm.provisioning],
            level="Error" if vm.provisioning is ProvisioningState.FAILED else "Info",
            time=changed,
        ),
        _status(f"PowerState/{vm.power.value}", f"VM {vm.power.value}"),
    ]
    return view


def render_blob_uris(vm: VirtualMachine) -> Json:
    """Return where a custom storage account keeps the blobs; Azure says nothing about a managed one (REC)."""
    uri = vm.boot_diagnostics.storage_uri
    if uri is None:
        return {}
    container = f"{uri.rstrip('/')}/{container_name(vm)}"
    return {
        "consoleScreenshotBlobUri": f"{container}/{screenshot_name(vm)}",
        "serialConsoleLogBlobUri": f"{container}/{log_name(vm)}",
    }


def container_name(vm: VirtualMachine) -> str:
    """Return the name of the container of the boot-diagnostics blobs."""
    letters = "".join(one for one in shown_name(vm).lower() if one.isascii() and one.isalnum())
    return f"bootdiagnostics-{letters[:9]}-{vm.vm_id}"


def screenshot_name(vm: VirtualMachine) -> str:
    """Return the name of the screenshot's blob."""
    return f"{shown_name(vm)}.{vm.vm_id}.screenshot.bmp"


def log_name(vm: VirtualMachine) -> str:
    """Return the name of the boot log's blob."""
    return f"{shown_name(vm)}.{vm.vm_id}.serialconsole.log"


def disk_name(vm: VirtualMachine) -> str:
    """Return the name of the disk that the guest boots from."""
    chosen = table(vm.document, "properties", "storageProfile", "osDisk").get("name")
    return str(chosen) if chosen else f"{shown_name(vm)}_disk1_{vm.vm_id.replace('-', '')}"


def os_type(vm: VirtualMachine) -> str:
    """Return "Windows" or "Linux", as the guest is shown."""
    return "Windows" if vm.is_windows else "Linux"


def _envelope(resource: VirtualMachine | ScaleSet) -> Json:
    shown = {"name": resource.id.name, "id": str(resource.id), "type": resource.id.type}
    return shown | {name: value for name, value in resource.document.items() if name != "properties"}


def _properties(vm: VirtualMachine) -> Json:
    own = dict(table(vm.document, "properties"))
    storage = dict(table(own, "storageProfile"))
    storage["osDisk"] = _os_disk(vm, table(storage, "osDisk"))
    storage.setdefault("dataDisks", [])
    return {
        "vmId": vm.vm_id,
        **own,
        "storageProfile": storage,
        "provisioningState": vm.provisioning.value,
        "timeCreated": stamp(vm.created),
    }


def _os_disk(vm: VirtualMachine, own: Mapping[str, Any]) -> Json:
    group = f"/subscriptions/{vm.id.subscription}/resourceGroups/{vm.id.group}"
    disk = {"storageAccountType": "Standard_LRS", **table(own, "managedDisk")}
    disk.setdefault("id", f"{group}/providers/Microsoft.Compute/disks/{disk_name(vm)}")
    return {
        "createOption": "FromImage",
        "caching": "ReadWrite",
        **own,
        "osType": os_type(vm),
        "name": disk_name(vm),
        "managedDisk": disk,
    }


def _guest_facts(vm: VirtualMachine) -> Json:
    profile = table(vm.document, "properties", "osProfile")
    return {
        "computerName": str(profile.get("computerName") or shown_name(vm)),
        "osName": "Windows Server" if vm.is_windows else "debian",
        "osVersion": "10.0" if vm.is_windows else "12",
    }


def _agent(vm: VirtualMachine, now: datetime) -> Json:
    ready = vm.power is PowerState.RUNNING
    status = _status(
        "ProvisioningState/succeeded" if ready else "ProvisioningState/Unavailable",
        "Ready" if ready else "Not Ready",
        level="Info" if ready else "Warning",
        time=stamp(now),
    )
    status["message"] = "Guest Agent is running" if ready else "VM Agent is unresponsive."
    return {"vmAgentVersion": "2.9.1.1" if ready else "Unknown", "statuses": [status]}


def _status(code: str, display: str, *, level: str = "Info", time: str | None = None) -> Json:
    status: Json = {"code": code, "level": level, "displayStatus": display}
    if time is not None:
        status["time"] = time
    return status


_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OF_MODEL_ONLY = frozenset({"networkProfile", "extensionProfile", "timeCreated"})


def render_scale_set(scale_set: ScaleSet) -> Json:
    """Return a scale set as its GET answers."""
    own = table(scale_set.document, "properties")
    return {
        **_envelope(scale_set),
        "properties": {
            **azure_document("scale_set"),
            **own,
            "provisioningState": scale_set.provisioning.value,
            "uniqueId": scale_set.unique_id,
            "timeCreated": stamp(scale_set.created),
        },
    }


def render_scale_set_view(scale_set: ScaleSet, instances: Iterable[VirtualMachine]) -> Json:
    """Return the instance view of a scale set: how many instances are in each state."""
    counts = Counter(f"ProvisioningState/{one.provisioning.value.lower()}" for one in instances)
    state = scale_set.provisioning
    return {
        "virtualMachine": {
            "statusesSummary": [{"code": code, "count": count} for code, count in sorted(counts.items())]
        },
        "statuses": [
            _status(
                f"ProvisioningState/{state.value.lower()}",
                DISPLAY_OF_PROVISIONING[state],
                time=stamp(scale_set.created),
            )
        ],
    }


def model_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what instances are made from; if it changes, that is a new model (`model_version`)."""
    return {
        "profile": table(document, "properties", "virtualMachineProfile"),
        "size": table(document, "sku").get("name"),
    }


def upgrades_by_itself(document: Mapping[str, Any]) -> bool:
    """Tell whether instances get a new model without being asked (upgradePolicy.mode)."""
    mode = table(document, "properties", "upgradePolicy").get("mode", "Manual")
    return str(mode).lower() in {"automatic", "rolling"}


def instance_document(scale_set: ScaleSet, number: str) -> dict[str, Any]:
    """Return the document of instance `number` of `scale_set`, made from its present model."""
    profile = table(scale_set.document, "properties", "virtualMachineProfile")
    properties = {name: value for name, value in profile.items() if name not in _OF_MODEL_ONLY}
    size = table(scale_set.document, "sku").get("name")
    properties["hardwareProfile"] = {"vmSize": str(size)} if size else {}
    names = dict(table(profile, "osProfile"))
    prefix = str(names.pop("computerNamePrefix", None) or scale_set.id.name)
    properties["osProfile"] = {"computerName": f"{prefix}{_base36(int(number)):0>6}", **names}
    return {
        "location": scale_set.document.get("location", ""),
        "tags": dict(table(scale_set.document, "tags")),
        "properties": properties,
    }


def capacity_of(document: Mapping[str, Any]) -> int:
    """Return how many instances there should be."""
    capacity = table(document, "sku").get("capacity", 0)
    return capacity if isinstance(capacity, int) else 0


def with_capacity(document: Mapping[str, Any], capacity: int) -> dict[str, Any]:
    """Return `document` with another number of instances."""
    return {**document, "sku": {**table(document, "sku"), "capacity": capacity}}


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits


_ID = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Network/networkInterfaces/([^/]+)",
    re.IGNORECASE,
)


def network_interfaces(cloud: Cloud, *, within: str) -> list[dict[str, Any]]:
    """Return the interfaces under the scope `within` that VMs refer to, each as its GET answers."""
    start = f"{within}/".lower()
    found: dict[str, dict[str, Any]] = {}
    for vm in cloud.all(VirtualMachine):
        for interface in _ids(vm):
            if interface.lower().startswith(start):
                found.setdefault(interface.lower(), _document(interface, vm))
    return list(found.values())


def _ids(vm: VirtualMachine) -> list[str]:
    listed = table(vm.document, "properties", "networkProfile").get("networkInterfaces")
    ids = [str(one.get("id")) for one in listed or () if isinstance(one, dict)]
    return [one for one in ids if _ID.fullmatch(one)]


def _document(interface: str, vm: VirtualMachine) -> dict[str, Any]:
    name, location = interface.rpartition("/")[2], vm.document.get("location")
    return azure_document("network_interface", id=interface, name=name, location=location, vm=str(vm.id))
