"""azure-mgmt-compute 30.5 and 39, unmodified, with azure-identity (docs/facts/azure.md 4)."""

import pytest

from tests.clients.environments import python_of
from tests.clients.lab import CloudLab

pytestmark = pytest.mark.clients

NAMES = ["custom1", "linux1", "linux2", "nodiag1", "stopped1", "win1"]
POWER = [
    "VM stopped", "VM running", "VM stopped", "VM running", "VM running", "VM deallocated", "VM running",
    "VM running",
]  # fmt: skip


@pytest.mark.parametrize("environment", ["sdk1", "sdk2"])
def test_u4_compute_sdk_sees_vms_and_instances_work(environment: str, lab: CloudLab) -> None:
    said = lab.run_program(python_of(environment), "compute_sdk.py")
    check_vm(said["vm"])
    assert said["power"] == POWER
    assert said["changes"] == {"tags": {"a": "b"}, "off": False, "on": True, "tags after": {"a": "b"}}
    assert said["made anew"] == {
        "provisioning": "Succeeded",
        "power": "VM running",
        "secret": None,
        "deleted": [404, "ResourceNotFound"],
    }
    check_blobs(said["blobs"], "linux1")
    check_blobs(said["blobs for a minute"], "linux1")
    assert said["no blobs"][0] in (400, 409)
    check_scale_set(said["scale set"])
    assert said["upgrade"] == [[False, True], [True, False], [False, False], [True, True]]


def check_vm(vm: dict) -> None:
    assert vm["id"].endswith("/resourceGroups/rg1/providers/Microsoft.Compute/virtualMachines/linux1")
    assert (vm["provisioning"], vm["os"], vm["generation"]) == ("Succeeded", "Linux", "V1")
    assert vm["offer"]
    assert vm["size"].startswith("Standard_")
    assert vm["diagnostics"]
    assert vm["power"] == vm["plain view"] == "VM running"
    assert vm["without view"]
    assert vm["names"] == vm["all names"] == NAMES
    assert vm["stopped"] == "VM deallocated"
    assert vm["no diagnostics"]
    assert vm["storage uri"].startswith("https://")
    assert vm["unknown"][:2] == [404, "ResourceNotFound"]
    assert "The Resource 'Microsoft.Compute/virtualMachines/nowhere' under resource group" in vm["unknown"][2]


def check_blobs(blobs: dict, name: str) -> None:
    assert blobs["screen"] == "BM"
    assert blobs["size"] > 54
    assert f"Booting {name}" in blobs["log"]


def check_scale_set(said: dict) -> None:
    assert said["names"] == ["ss1"]
    assert said["capacity"] == 3
    assert said["instances"] == ["0", "1", "2"]
    assert said["view"] == said["expanded"] == "VM running"
    assert said["power"] == POWER
    assert said["no set"] == [404, "ParentResourceNotFound"]
    assert said["no instance"][0] == 404
    check_blobs(said["blobs"], "0")
    assert (said["off by set"], said["on by set"]) == ("VM stopped", "VM running")
