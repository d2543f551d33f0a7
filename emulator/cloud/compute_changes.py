"""What a PUT or PATCH makes of a VM, instance or scale set, and what it refuses; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.cloud.compute import capacity_of
from emulator.cloud.documents import (
    invalid,
    merge,
    own_part,
    require_location,
    require_storable,
    require_types,
    table,
)
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import ResourceId

CAPACITY_MAX = 100

_PROFILE: Mapping[tuple[str, ...], type | tuple[type, ...]] = {
    ("storageProfile",): Mapping,
    ("storageProfile", "imageReference"): Mapping,
    ("storageProfile", "osDisk"): Mapping,
    ("storageProfile", "osDisk", "osType"): str,
    ("storageProfile", "osDisk", "name"): str,
    ("storageProfile", "osDisk", "managedDisk"): Mapping,
    ("storageProfile", "dataDisks"): list,
    ("osProfile",): Mapping,
    ("networkProfile",): Mapping,
    ("diagnosticsProfile",): Mapping,
    ("diagnosticsProfile", "bootDiagnostics"): Mapping,
    ("diagnosticsProfile", "bootDiagnostics", "enabled"): bool,
    ("diagnosticsProfile", "bootDiagnostics", "storageUri"): str,
}
_VM: Mapping[tuple[str, ...], type | tuple[type, ...]] = {
    ("tags",): Mapping,
    ("properties",): Mapping,
    ("properties", "hardwareProfile"): Mapping,
    ("properties", "hardwareProfile", "vmSize"): str,
    ("properties", "osProfile", "computerName"): str,
    **{("properties", *path): kind for path, kind in _PROFILE.items()},
}
_SCALE_SET: Mapping[tuple[str, ...], type | tuple[type, ...]] = {
    ("tags",): Mapping,
    ("sku",): Mapping,
    ("sku", "name"): str,
    ("sku", "capacity"): int,
    ("properties",): Mapping,
    ("properties", "upgradePolicy"): Mapping,
    ("properties", "upgradePolicy", "mode"): str,
    ("properties", "virtualMachineProfile"): Mapping,
    ("properties", "virtualMachineProfile", "osProfile", "computerNamePrefix"): str,
    **{("properties", "virtualMachineProfile", *path): kind for path, kind in _PROFILE.items()},
}
_INSTANCE_ONLY = frozenset(
    {"latestModelApplied", "modelDefinitionApplied", "networkProfileConfiguration", "protectionPolicy"}
)


def put_vm(body: Mapping[str, Any], *, vm: ResourceId, old: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the document that a PUT makes; `old` is the one before, None for a new VM.

    A PUT replaces everything except what a VM is made from: az leaves the image out when it puts back what
    it got (REC), so image and account stay if `body` does not name them.

    Raises:
        CloudError: 400 or 409; `body` does not describe a VM, or moves it to another region.
    """
    require_storable(body)
    document = own_part(body)
    if old is not None:
        document = {"location": old.get("location"), "properties": old.get("properties"), **document}
    document["location"] = require_location(document)
    _require_properties(document)
    require_types(document, _VM)
    if old is None:
        return document
    _require_place(document, vm=vm, old=old)
    return {**document, "properties": _with_origin(document["properties"], table(old, "properties"))}


def patch_vm(body: Mapping[str, Any], *, vm: ResourceId, old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document that a PATCH makes of `old`; raises CloudError as `put_vm` does."""
    require_storable(body)
    document = own_part(merge(old, body))
    document["location"] = require_location(document)
    require_types(document, _VM)
    _require_place(document, vm=vm, old=old)
    return document


def put_instance(body: Mapping[str, Any], *, vm: ResourceId, old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document that a PUT makes of an instance's, without what its scale set decides.

    Raises:
        CloudError: 400 or 409, as `put_vm`.
    """
    document = put_vm(body, vm=vm, old=old)
    document["properties"] = {
        name: value for name, value in document["properties"].items() if name not in _INSTANCE_ONLY
    }
    return {name: value for name, value in document.items() if name not in {"instanceId", "sku"}}


def put_scale_set(
    body: Mapping[str, Any], *, scale_set: ResourceId, old: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the document that a PUT makes of a scale set.

    Raises:
        CloudError: 400 or 409; `body` does not describe a scale set, moves it, or makes it too large.
    """
    require_storable(body)
    document = own_part(body)
    if old is not None:
        document = {**{name: old.get(name) for name in ("location", "sku", "properties")}, **document}
    document["location"] = require_location(document)
    _require_properties(document)
    if not table(document, "sku").get("name"):
        raise invalid("Required parameter 'sku.name' is missing (null).", target="sku.name")
    _check_scale_set(document, scale_set=scale_set, old=old)
    return document if old is None else _keep_model_origin(document, old)


def patch_scale_set(
    body: Mapping[str, Any], *, scale_set: ResourceId, old: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the document that a PATCH makes of a scale set's; errors are those of `put_scale_set`."""
    require_storable(body)
    document = own_part(merge(old, body))
    document["location"] = require_location(document)
    _check_scale_set(document, scale_set=scale_set, old=old)
    return document


def read_instance_ids(body: Mapping[str, Any] | None, *, known: list[str]) -> list[str]:
    """Return the instances that a request to a scale set is for; no body or "*" means all of them.

    Raises:
        CloudError: 400; the list is malformed or empty, or names an instance that does not exist.
    """
    chosen = None if body is None else body.get("instanceIds")
    if chosen is None:
        return known
    if not isinstance(chosen, list) or not all(isinstance(one, str) for one in chosen):
        raise invalid("The value of parameter 'instanceIds' is invalid.", target="instanceIds")
    if "*" in chosen:
        return known
    for one in chosen:
        if one not in known:
            raise invalid(
                f"The provided instanceId {ascii(one)[:40]} is not an active Virtual Machine Scale Set VM"
                " instanceId.",
                target="instanceIds",
            )
    if not chosen:
        raise invalid("The value of parameter 'instanceIds' is invalid: it is empty.", target="instanceIds")
    return list(dict.fromkeys(chosen))


def _check_scale_set(
    document: Mapping[str, Any], *, scale_set: ResourceId, old: Mapping[str, Any] | None
) -> None:
    require_types(document, _SCALE_SET)
    if not 0 <= capacity_of(document) <= CAPACITY_MAX:
        raise invalid(
            f"The value {capacity_of(document)} of parameter 'sku.capacity' is out of range: 0 to"
            f" {CAPACITY_MAX}.",
            target="sku.capacity",
        )
    if old is not None:
        _require_place(document, vm=scale_set, old=old)


def _require_properties(document: Mapping[str, Any]) -> None:
    if not isinstance(document.get("properties"), Mapping):
        raise invalid("Required parameter 'properties' is missing (null).", target="properties")


def _require_place(document: Mapping[str, Any], *, vm: ResourceId, old: Mapping[str, Any]) -> None:
    before = str(old.get("location", "")).replace(" ", "").lower()
    if document["location"] != before:
        raise refusal(
            "InvalidResourceLocation", vm=vm.name, before=before, group=vm.group, wanted=document["location"]
        )


def _keep_model_origin(document: dict[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    profile = _with_origin(
        table(document, "properties", "virtualMachineProfile"),
        table(old, "properties", "virtualMachineProfile"),
    )
    return {**document, "properties": {**document["properties"], "virtualMachineProfile": profile}}


def _with_origin(after: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(after)
    for name in ("hardwareProfile", "osProfile"):
        if name in before:
            kept.setdefault(name, before[name])
    if "storageProfile" in before:
        storage = table(before, "storageProfile")
        origin = {
            name: storage[name] for name in ("imageReference", "osDisk") if storage.get(name) is not None
        }
        kept["storageProfile"] = {**origin, **table(after, "storageProfile")}
    return kept
