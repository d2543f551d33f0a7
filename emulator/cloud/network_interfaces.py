"""Network interfaces: what VMs name in their network profiles, and nothing more; pure.

Guests have no network (the console works without one, user-document U2), so an interface has no address;
`az vm show --show-details` looks each one up all the same.
"""

from __future__ import annotations

import re
from typing import Any

from emulator.cloud.cloud import Cloud
from emulator.cloud.documents import table
from emulator.cloud.records import VirtualMachine

_ID = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Network/networkInterfaces/([^/]+)",
    re.IGNORECASE,
)


def network_interfaces(cloud: Cloud, *, within: str) -> list[dict[str, Any]]:
    """Return the interfaces under the scope `within` that VMs name, each as its GET answers."""
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
    return {
        "name": interface.rpartition("/")[2],
        "id": interface,
        "type": "Microsoft.Network/networkInterfaces",
        "location": vm.document.get("location"),
        "properties": {
            "provisioningState": "Succeeded",
            "primary": True,
            "virtualMachine": {"id": str(vm.id)},
            "ipConfigurations": [],  # az takes for granted that each has an address
        },
    }
