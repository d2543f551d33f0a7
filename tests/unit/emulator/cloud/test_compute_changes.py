"""What PUT and PATCH make of documents, and what they refuse."""

import pytest

from emulator.cloud.boot_diagnostics import put_account
from emulator.cloud.compute_changes import (
    CAPACITY_MAX,
    patch_scale_set,
    patch_vm,
    put_instance,
    put_scale_set,
    put_vm,
    read_instance_ids,
)
from emulator.cloud.documents import DEPTH_MAX
from emulator.cloud.resource_id import scale_set_id, vm_id
from emulator.errors import CloudError

VM = vm_id("s", "rg1", "vm1")
SET = scale_set_id("s", "rg1", "ss1")
IMAGE = {"offer": "debian-12"}
OLD = {
    "location": "eastus",
    "tags": {"a": "1"},
    "properties": {
        "hardwareProfile": {"vmSize": "Standard_B1s"},
        "storageProfile": {"imageReference": IMAGE, "osDisk": {"osType": "Linux"}},
        "osProfile": {"computerName": "vm1"},
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
    },
}
MODEL = {"location": "eastus", "sku": {"name": "Standard_B1s", "capacity": 2}, "properties": {}}


def nested(depth: int) -> dict:
    body: dict = {}
    for _ in range(depth):
        body = {"x": body}
    return body


def test_put_keeps_out_what_is_the_platforms_and_what_is_secret() -> None:
    body = {
        "id": "/x",
        "name": "x",
        "type": "y",
        "location": "East US",
        "zones": None,
        "properties": {
            "provisioningState": "Failed",
            "vmId": "x",
            "instanceView": {},
            "timeCreated": "x",
            "osProfile": {"adminUsername": "root", "adminPassword": "hunter2", "customData": "x"},
        },
    }
    document = put_vm(body, vm=VM, old=None)
    assert document == {"location": "eastus", "properties": {"osProfile": {"adminUsername": "root"}}}


def test_put_replaces_tags_and_diagnostics_but_not_the_origin() -> None:
    document = put_vm({"location": "eastus", "properties": {}}, vm=VM, old=OLD)
    assert "tags" not in document
    assert "diagnosticsProfile" not in document["properties"]
    assert document["properties"]["storageProfile"] == OLD["properties"]["storageProfile"]
    assert document["properties"]["osProfile"] == {"computerName": "vm1"}


def test_put_keeps_the_image_that_az_leaves_out() -> None:
    body = {"location": "eastus", "properties": {"storageProfile": {"osDisk": {"name": "d"}}}}
    assert put_vm(body, vm=VM, old=OLD)["properties"]["storageProfile"] == {
        "imageReference": IMAGE,
        "osDisk": {"name": "d"},
    }


def test_patch_merges_and_null_takes_away() -> None:
    body = {"tags": {"b": "2"}, "properties": {"diagnosticsProfile": None}}
    document = patch_vm(body, vm=VM, old=OLD)
    assert document["tags"] == {"a": "1", "b": "2"}
    assert "diagnosticsProfile" not in document["properties"]
    assert document["properties"]["storageProfile"] == OLD["properties"]["storageProfile"]


def test_instance_keeps_out_what_its_scale_set_says() -> None:
    body = {
        "location": "eastus",
        "instanceId": "0",
        "sku": {"name": "x"},
        "properties": {"latestModelApplied": True, "licenseType": "None"},
    }
    document = put_instance(body, vm=VM, old=OLD)
    assert document.keys() == {"location", "properties"}
    assert "latestModelApplied" not in document["properties"]
    assert document["properties"]["licenseType"] == "None"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"properties": {}}, "LocationRequired"),
        ({"location": 3, "properties": {}}, "LocationRequired"),
        ({"location": "../x", "properties": {}}, "LocationNotAvailableForResourceType"),
        ({"location": "eastus"}, "InvalidParameter"),
        ({"location": "eastus", "properties": []}, "InvalidParameter"),
        ({"location": "eastus", "tags": [], "properties": {}}, "InvalidParameter"),
        ({"location": "eastus", "properties": {"hardwareProfile": {"vmSize": 1}}}, "InvalidParameter"),
        (
            {
                "location": "eastus",
                "properties": {"diagnosticsProfile": {"bootDiagnostics": {"enabled": "yes"}}},
            },
            "InvalidParameter",
        ),
        ({"location": "eastus", "properties": {"x": float("nan")}}, "InvalidRequestContent"),
        ({"location": "eastus", "properties": {"x": "\ud800"}}, "InvalidRequestContent"),
        ({"location": "eastus", "properties": nested(DEPTH_MAX)}, "InvalidRequestContent"),
    ],
)
def test_put_says_no_to_what_describes_no_vm(body: dict, code: str) -> None:
    with pytest.raises(CloudError) as refused:
        put_vm(body, vm=VM, old=None)
    assert (refused.value.status, refused.value.code) == (400, code)


@pytest.mark.parametrize("change", [put_vm, patch_vm])
def test_a_vm_can_not_move(change) -> None:
    with pytest.raises(CloudError) as refused:
        change({"location": "westeurope", "properties": {}}, vm=VM, old=OLD)
    assert (refused.value.status, refused.value.code) == (409, "InvalidResourceLocation")


@pytest.mark.parametrize("capacity", [-1, CAPACITY_MAX + 1, "3", True, 1.5])
def test_scale_set_says_no_to_a_capacity(capacity: object) -> None:
    with pytest.raises(CloudError) as refused:
        put_scale_set(MODEL | {"sku": {"name": "x", "capacity": capacity}}, scale_set=SET, old=None)
    assert (refused.value.status, refused.value.code) == (400, "InvalidParameter")


def test_scale_set_needs_a_size_at_first_only() -> None:
    with pytest.raises(CloudError, match=r"sku\.name"):
        put_scale_set({"location": "eastus", "properties": {}}, scale_set=SET, old=None)
    again = put_scale_set({"location": "eastus", "properties": {}}, scale_set=SET, old=MODEL)
    assert again["sku"] == MODEL["sku"]


def test_scale_set_keeps_its_model_where_az_puts_a_capacity_alone() -> None:
    model = {"virtualMachineProfile": {"storageProfile": {"imageReference": IMAGE}}}
    body = {"location": "eastus", "sku": {"name": "Standard_B1s", "capacity": 4}}
    document = put_scale_set(body, scale_set=SET, old=MODEL | {"properties": model})
    assert document == body | {"properties": model}


def test_scale_set_patch_changes_the_capacity_alone() -> None:
    document = patch_scale_set({"sku": {"capacity": 5}}, scale_set=SET, old=MODEL)
    assert document == MODEL | {"sku": {"name": "Standard_B1s", "capacity": 5}}


@pytest.mark.parametrize("body", [None, {}, {"instanceIds": None}, {"instanceIds": ["*"]}])
def test_all_instances_are_meant_by(body: dict | None) -> None:
    assert read_instance_ids(body, known=["0", "1"]) == ["0", "1"]


def test_instances_are_meant_once() -> None:
    assert read_instance_ids({"instanceIds": ["1", "1"]}, known=["0", "1"]) == ["1"]


@pytest.mark.parametrize("chosen", [[], ["7"], "0", [0], {"0": 1}, ["\ud800"]])
def test_instance_ids_say_no(chosen: object) -> None:
    with pytest.raises(CloudError) as refused:
        read_instance_ids({"instanceIds": chosen}, known=["0"])
    assert refused.value.status == 400
    refused.value.message.encode()


@pytest.mark.parametrize(
    ("name", "properties", "code"),
    [
        ("Caps", {}, "AccountNameInvalid"),
        ("ab", {}, "AccountNameInvalid"),
        ("a" * 25, {}, "AccountNameInvalid"),
        ("acc1", {"minimumTlsVersion": "TLS9"}, "InvalidRequestPropertyValue"),
        ("acc1", {"networkAcls": {"defaultAction": "Maybe"}}, "InvalidRequestPropertyValue"),
        ("acc1", {"isHnsEnabled": "true"}, "InvalidParameter"),
    ],
)
def test_account_says_no(name: str, properties: dict, code: str) -> None:
    with pytest.raises(CloudError) as refused:
        put_account({"location": "eastus", "properties": properties}, name=name, old=None)
    assert (refused.value.status, refused.value.code) == (400, code)
