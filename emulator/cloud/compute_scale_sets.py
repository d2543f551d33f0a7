"""Scale sets as Resource Manager shows them, and what an instance gets from its model (U12); pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from emulator.cloud.compute import DISPLAY_OF_PROVISIONING, Body, stamp
from emulator.cloud.documents import table
from emulator.cloud.records import ScaleSet, VirtualMachine

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OF_MODEL_ONLY = frozenset({"networkProfile", "extensionProfile", "timeCreated"})


def render_scale_set(scale_set: ScaleSet) -> Body:
    """Return a scale set as its GET answers."""
    own = table(scale_set.document, "properties")
    return {
        "name": scale_set.id.name,
        "id": str(scale_set.id),
        "type": scale_set.id.type,
        **{name: value for name, value in scale_set.document.items() if name != "properties"},
        "properties": {
            "singlePlacementGroup": True,
            "orchestrationMode": "Uniform",
            "upgradePolicy": {"mode": "Manual"},
            "overprovision": False,
            **own,
            "provisioningState": scale_set.provisioning.value,
            "uniqueId": scale_set.unique_id,
            "timeCreated": stamp(scale_set.created),
        },
    }


def render_scale_set_view(scale_set: ScaleSet, instances: Iterable[VirtualMachine]) -> Body:
    """Return the instance view of a scale set: how many instances are in which state."""
    counts = Counter(f"ProvisioningState/{one.provisioning.value.lower()}" for one in instances)
    state = scale_set.provisioning
    return {
        "virtualMachine": {
            "statusesSummary": [{"code": code, "count": count} for code, count in sorted(counts.items())]
        },
        "statuses": [
            {
                "code": f"ProvisioningState/{state.value.lower()}",
                "level": "Info",
                "displayStatus": DISPLAY_OF_PROVISIONING[state],
                "time": stamp(scale_set.created),
            }
        ],
    }


def model_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what instances are made from; a change of it is a new model (`model_version`)."""
    return {
        "profile": table(document, "properties", "virtualMachineProfile"),
        "size": table(document, "sku").get("name"),
    }


def upgrades_by_itself(document: Mapping[str, Any]) -> bool:
    """Tell whether instances get a new model without being asked (upgradePolicy.mode)."""
    mode = table(document, "properties", "upgradePolicy").get("mode", "Manual")
    return str(mode).lower() in {"automatic", "rolling"}


def instance_document(scale_set: ScaleSet, number: str) -> dict[str, Any]:
    """Return the document of instance `number` of `scale_set` as its model now says."""
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
    """Return how many instances there are to be."""
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
