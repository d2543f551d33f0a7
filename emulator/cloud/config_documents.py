"""The documents of the resources in a cloud.toml, as clients of Azure would have put them; pure.

Shapes are those of docs/facts/azure.md 4 (REC) and of Azure's REST reference for Compute and Storage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from emulator.cloud.config import ComputeTable, ScaleSetTable, StorageAccountTable, VmTable
from emulator.cloud.guest_plan import GuestPlan, plan_guest
from emulator.cloud.resource_id import group_scope
from emulator.cloud.settings import CLOUD_FACTS, CloudKind, azure_document


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePlace:
    """Where a resource is.

    Attributes:
        subscription: GUID.
        group: resource group's name.
        location: region.
        kind: which of Azure's clouds.
        storage_uri: blob endpoint for custom boot diagnostics.
    """

    subscription: str
    group: str
    location: str
    kind: CloudKind
    storage_uri: str | None = None

    def resource(self, provider: str, kind: str, name: str) -> str:
        """Return the id of another resource of the same group."""
        return f"{group_scope(self.subscription, self.group)}/providers/{provider}/{kind}/{name}"


def blob_endpoint(account: str, kind: CloudKind) -> str:
    """Return the blob endpoint of a storage account."""
    return f"https://{account}.blob.{CLOUD_FACTS[kind].storage_suffix}/"


def account_document(table: StorageAccountTable, place: ResourcePlace) -> dict[str, Any]:
    """Return a storage account's document."""
    usual = azure_document("storage_account")
    properties = usual | {
        "accessTier": "Hot",
        "allowSharedKeyAccess": table.key_access,
        "isHnsEnabled": table.hierarchical_namespace,
        "minimumTlsVersion": table.tls,
        # Any ipRules would send az to its hard-coded regions (docs/facts/azure.md 4).
        "networkAcls": usual["networkAcls"] | {"defaultAction": "Deny" if table.firewall else "Allow"},
        "primaryEndpoints": {"blob": blob_endpoint(table.name, place.kind)},
    }
    sku = {"name": "Standard_LRS", "tier": "Standard"}
    return {"location": place.location, "tags": {}, "kind": "StorageV2", "sku": sku, "properties": properties}


def vm_document(table: VmTable, place: ResourcePlace) -> dict[str, Any]:
    """Return a VM's document."""
    nic = place.resource("Microsoft.Network", "networkInterfaces", f"{table.name}-nic")
    interface = {"id": nic, "properties": {"primary": True, "deleteOption": "Detach"}}
    computer, disk = table.name[:15], f"{table.name}_OsDisk_1"
    properties = _machine(table, place, computer=computer, disk=disk, interface=interface)
    return {"location": place.location, "tags": dict(table.tags), "properties": properties}


def scale_set_document(table: ScaleSetTable, place: ResourcePlace) -> dict[str, Any]:
    """Return a scale set's document; `properties.virtualMachineProfile` is its model."""
    network = place.resource("Microsoft.Network", "virtualNetworks", f"{table.name}-vnet")
    address = {
        "name": f"{table.name}-ip",
        "properties": {"subnet": {"id": f"{network}/subnets/default"}, "privateIPAddressVersion": "IPv4"},
    }
    interface = {"name": f"{table.name}-nic", "properties": {"primary": True, "ipConfigurations": [address]}}
    model = {
        "osProfile": {"computerNamePrefix": table.name[:9], **_os_profile(table)},
        "storageProfile": _storage_profile(table, place, disk=None),
        "networkProfile": {"networkInterfaceConfigurations": [interface]},
        **_diagnostics(table, place),
    }
    return {
        "location": place.location,
        "tags": dict(table.tags),
        "sku": {"name": table.size, "tier": "Standard", "capacity": table.instances},
        "properties": {
            **azure_document("scale_set"),
            "upgradePolicy": {"mode": table.upgrade},
            "virtualMachineProfile": model,
        },
    }


def instance_document(table: ScaleSetTable, place: ResourcePlace, *, number: int) -> dict[str, Any]:
    """Return the document of an instance with its scale set's latest model."""
    scale_set = place.resource("Microsoft.Compute", "virtualMachineScaleSets", table.name)
    interface = {"id": f"{scale_set}/virtualMachines/{number}/networkInterfaces/{table.name}-nic"}
    computer, disk = f"{table.name[:9]}{number:06}", f"{table.name}_{number}_OsDisk_1"
    return {
        "location": place.location,
        "tags": dict(table.tags),
        "sku": {"name": table.size, "tier": "Standard"},
        "properties": _machine(table, place, computer=computer, disk=disk, interface=interface),
    }


def _machine(
    table: ComputeTable, place: ResourcePlace, *, computer: str, disk: str, interface: dict[str, Any]
) -> dict[str, Any]:
    """Return the properties that a VM and an instance have."""
    return {
        "hardwareProfile": {"vmSize": table.size},
        "storageProfile": _storage_profile(table, place, disk=disk),
        "osProfile": {"computerName": computer, **_os_profile(table)},
        "networkProfile": {"networkInterfaces": [interface]},
        **_diagnostics(table, place),
    }


def guest_of(table: ComputeTable, document: dict[str, Any], *, known_images: frozenset[str]) -> GuestPlan:
    """Return what really runs; the table provides what no document can say."""
    plan = plan_guest(document["properties"], known_images=known_images)
    return replace(
        plan,
        image=table.image or plan.image,
        memory_mib=table.memory_mib or plan.memory_mib,
        words=tuple(table.kernel_args),
    )


def _image_reference(table: ComputeTable) -> dict[str, str]:
    """Return an image reference that `plan_guest` reads the same way when a client puts it back."""
    if table.os == "windows":
        sku = "2022-datacenter-gen2" if table.generation == 2 else "2022-datacenter"
        reference = {"publisher": "MicrosoftWindowsServer", "offer": "WindowsServer", "sku": sku}
    elif table.image is not None:
        sku = "gen2" if table.generation == 2 else "gen1"
        reference = {"publisher": "ttylab", "offer": table.image, "sku": sku}
    else:
        sku = "12-gen2" if table.generation == 2 else "12"
        reference = {"publisher": "Debian", "offer": "debian-12", "sku": sku}
    return {**reference, "version": "latest", "exactVersion": "1.0.0"}


def _storage_profile(table: ComputeTable, place: ResourcePlace, *, disk: str | None) -> dict[str, Any]:
    os_disk = azure_document("os_disk", system=table.os.capitalize())
    if disk is not None:
        os_disk["managedDisk"]["id"] = place.resource("Microsoft.Compute", "disks", disk)
        os_disk |= {"name": disk, "deleteOption": "Detach"}
    return {"imageReference": _image_reference(table), "osDisk": os_disk, "dataDisks": []}


def _os_profile(table: ComputeTable) -> dict[str, Any]:
    profile: dict[str, Any] = azure_document("os_profile", admin=table.admin)[table.os]
    return profile


def _diagnostics(table: ComputeTable, place: ResourcePlace) -> dict[str, Any]:
    if table.boot_diagnostics == "off":
        return {}
    chosen: dict[str, Any] = {"enabled": True}
    if place.storage_uri is not None:
        chosen["storageUri"] = place.storage_uri
    return {"diagnosticsProfile": {"bootDiagnostics": chosen}}
