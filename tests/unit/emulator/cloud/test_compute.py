"""Bodies of VMs, instances, scale sets and instance views, as the real service was recorded to send them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from emulator.cloud.compute import (
    container_name,
    instance_document,
    log_name,
    render_instance,
    render_instance_view,
    render_scale_set,
    render_scale_set_view,
    render_vm,
    screenshot_name,
)
from emulator.cloud.guest_plan import GuestPlan
from emulator.cloud.records import PowerState, ProvisioningState, ScaleSet, VirtualMachine
from emulator.cloud.resource_id import instance_id, scale_set_id, vm_id
from emulator.machine.spec import Firmware

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
VM_ID = "3fbd76db-abd3-463a-b5ae-db6771dd60ba"
AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
STAMP = "2026-03-01T12:00:00.000000+00:00"
PROVISIONED = {
    "code": "ProvisioningState/succeeded",
    "level": "Info",
    "displayStatus": "Provisioning succeeded",
    "time": STAMP,
}


def a_vm(**fields) -> VirtualMachine:
    properties = {
        "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
        "storageProfile": {
            "imageReference": {"publisher": "Debian", "offer": "debian-12", "sku": "12", "version": "latest"},
            "osDisk": {"osType": "Linux", "createOption": "FromImage"},
        },
        "osProfile": {"computerName": "cli000003", "adminUsername": "root"},
        **fields.pop("properties", {}),
    }
    return replace(
        VirtualMachine(
            id=vm_id(SUBSCRIPTION, "rg1", "cli000003"),
            document={"location": "westus2", "tags": {"a": "b"}, "properties": properties},
            vm_id=VM_ID,
            created=AT,
            guest=GuestPlan(),
        ),
        **fields,
    )


def a_scale_set(**fields) -> ScaleSet:
    profile = {
        "storageProfile": {"imageReference": {"offer": "debian-12"}, "osDisk": {"osType": "Linux"}},
        "osProfile": {"computerNamePrefix": "web", "adminUsername": "root"},
        "networkProfile": {"networkInterfaceConfigurations": []},
    }
    document = {
        "location": "westus2",
        "sku": {"name": "Standard_B1s", "tier": "Standard", "capacity": 2},
        "properties": {"virtualMachineProfile": profile, "overprovision": True},
    }
    scale_set = ScaleSet(
        id=scale_set_id(SUBSCRIPTION, "rg1", "ss1"), document=document, unique_id=VM_ID, created=AT
    )
    return replace(scale_set, **fields)


def with_diagnostics(**chosen) -> VirtualMachine:
    return a_vm(properties={"diagnosticsProfile": {"bootDiagnostics": chosen}})


def test_vm_shows_what_was_put_and_what_the_platform_adds() -> None:
    name = f"cli000003_disk1_{VM_ID.replace('-', '')}"
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg1"
    assert render_vm(a_vm()) == {
        "name": "cli000003",
        "id": f"{group}/providers/Microsoft.Compute/virtualMachines/cli000003",
        "type": "Microsoft.Compute/virtualMachines",
        "location": "westus2",
        "tags": {"a": "b"},
        "properties": {
            "vmId": VM_ID,
            "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
            "storageProfile": {
                "imageReference": {
                    "publisher": "Debian",
                    "offer": "debian-12",
                    "sku": "12",
                    "version": "latest",
                },
                "osDisk": {
                    "osType": "Linux",
                    "name": name,
                    "createOption": "FromImage",
                    "caching": "ReadWrite",
                    "managedDisk": {
                        "storageAccountType": "Standard_LRS",
                        "id": f"{group}/providers/Microsoft.Compute/disks/{name}",
                    },
                },
                "dataDisks": [],
            },
            "osProfile": {"computerName": "cli000003", "adminUsername": "root"},
            "provisioningState": "Succeeded",
            "timeCreated": STAMP,
        },
    }


def test_instance_view_of_a_running_vm_is_as_recorded() -> None:
    assert render_instance_view(a_vm(), now=AT) == {
        "computerName": "cli000003",
        "osName": "debian",
        "osVersion": "12",
        "vmAgent": {
            "vmAgentVersion": "2.9.1.1",
            "statuses": [
                {
                    "code": "ProvisioningState/succeeded",
                    "level": "Info",
                    "displayStatus": "Ready",
                    "time": STAMP,
                    "message": "Guest Agent is running",
                }
            ],
        },
        "disks": [{"name": f"cli000003_disk1_{VM_ID.replace('-', '')}", "statuses": [PROVISIONED]}],
        "hyperVGeneration": "V1",
        "statuses": [
            PROVISIONED,
            {"code": "PowerState/running", "level": "Info", "displayStatus": "VM running"},
        ],
    }


@pytest.mark.parametrize("power", list(PowerState))
def test_power_state_is_the_second_status(power: PowerState) -> None:
    view = render_instance_view(a_vm(power=power), now=AT)
    assert view["statuses"][1] == {
        "code": f"PowerState/{power.value}",
        "level": "Info",
        "displayStatus": f"VM {power.value}",
    }
    off = power in {PowerState.DEALLOCATED, PowerState.DEALLOCATING}
    assert ("computerName" in view, "osName" in view, "vmAgent" in view) == (not off,) * 3


@pytest.mark.parametrize(
    ("state", "code", "display", "level"),
    [
        (ProvisioningState.CREATING, "creating", "Creating", "Info"),
        (ProvisioningState.UPDATING, "updating", "Updating", "Info"),
        (ProvisioningState.SUCCEEDED, "succeeded", "Provisioning succeeded", "Info"),
        (ProvisioningState.FAILED, "failed", "Provisioning failed", "Error"),
        (ProvisioningState.DELETING, "deleting", "Deleting", "Info"),
    ],
)
def test_provisioning_state_is_the_first_status(
    state: ProvisioningState, code: str, display: str, level: str
) -> None:
    vm = a_vm(provisioning=state, changed=AT)
    assert render_instance_view(vm, now=AT)["statuses"][0] == {
        "code": f"ProvisioningState/{code}",
        "level": level,
        "displayStatus": display,
        "time": STAMP,
    }
    assert render_vm(vm)["properties"]["provisioningState"] == state.value


def test_u6_view_tells_whether_boot_diagnostics_are_on() -> None:
    account = "https://acc.blob.core.windows.net/"
    container = f"{account}bootdiagnostics-cli000003-{VM_ID}/cli000003.{VM_ID}"
    assert "bootDiagnostics" not in render_instance_view(with_diagnostics(enabled=False), now=AT)
    assert "bootDiagnostics" not in render_instance_view(a_vm(), now=AT)
    assert render_instance_view(with_diagnostics(enabled=True), now=AT)["bootDiagnostics"] == {}
    custom = with_diagnostics(enabled=True, storageUri=account)
    assert render_instance_view(custom, now=AT)["bootDiagnostics"] == {
        "consoleScreenshotBlobUri": f"{container}.screenshot.bmp",
        "serialConsoleLogBlobUri": f"{container}.serialconsole.log",
    }


def test_blobs_of_an_instance_are_named_after_set_and_number() -> None:
    vm = a_vm(id=instance_id(SUBSCRIPTION, "rg1", scale_set="Web-Servers", instance="7"))
    assert container_name(vm) == f"bootdiagnostics-webserver-{VM_ID}"
    assert screenshot_name(vm) == f"Web-Servers_7.{VM_ID}.screenshot.bmp"
    assert log_name(vm) == f"Web-Servers_7.{VM_ID}.serialconsole.log"


def test_windows_is_told_by_disk_or_offer() -> None:
    by_disk = a_vm(properties={"storageProfile": {"osDisk": {"osType": "Windows"}}})
    by_offer = a_vm(properties={"storageProfile": {"imageReference": {"offer": "WindowsServer"}}})
    for vm in (by_disk, by_offer):
        assert "windows" in render_instance_view(vm, now=AT)["osName"].lower()
        assert render_vm(vm)["properties"]["storageProfile"]["osDisk"]["osType"] == "Windows"


def test_generation_2_is_ovmf() -> None:
    vm = a_vm(guest=GuestPlan(firmware=Firmware.OVMF))
    assert render_instance_view(vm, now=AT)["hyperVGeneration"] == "V2"


def test_u4_instance_shows_all_that_a_vm_shows() -> None:
    vm = a_vm(id=instance_id(SUBSCRIPTION, "rg1", scale_set="ss1", instance="0"), model_version=1)
    shown = render_instance(vm, a_scale_set())
    assert shown["name"] == "ss1_0"
    assert shown["instanceId"] == "0"
    assert shown["sku"] == {"name": "Standard_B1s", "tier": "Standard"}
    assert shown["type"] == "Microsoft.Compute/virtualMachineScaleSets/virtualMachines"
    assert render_vm(vm)["properties"].items() <= shown["properties"].items()


def test_u12_instance_says_whether_it_has_the_latest_model() -> None:
    vm = a_vm(model_version=1)
    for version, latest in ((1, True), (2, False)):
        shown = render_instance(vm, a_scale_set(model_version=version))
        assert shown["properties"]["latestModelApplied"] is latest


def test_scale_set_shows_its_model_and_state() -> None:
    shown = render_scale_set(a_scale_set(provisioning=ProvisioningState.UPDATING))
    assert shown["sku"]["capacity"] == 2
    assert shown["properties"]["overprovision"] is True
    assert shown["properties"]["provisioningState"] == "Updating"
    assert shown["properties"]["uniqueId"] == VM_ID
    assert shown["properties"]["upgradePolicy"] == {"mode": "Manual"}


def test_scale_set_view_counts_instances_by_state() -> None:
    vms = [a_vm(), a_vm(), a_vm(provisioning=ProvisioningState.FAILED)]
    view = render_scale_set_view(a_scale_set(), vms)
    assert view["virtualMachine"]["statusesSummary"] == [
        {"code": "ProvisioningState/failed", "count": 1},
        {"code": "ProvisioningState/succeeded", "count": 2},
    ]
    assert view["statuses"][0]["code"] == "ProvisioningState/succeeded"


@pytest.mark.parametrize(("number", "name"), [("0", "web000000"), ("11", "web00000B"), ("36", "web000010")])
def test_instance_gets_its_document_from_the_model(number: str, name: str) -> None:
    document = instance_document(a_scale_set(), number)
    assert document["location"] == "westus2"
    assert document["properties"]["osProfile"] == {"computerName": name, "adminUsername": "root"}
    assert document["properties"]["hardwareProfile"] == {"vmSize": "Standard_B1s"}
    assert "networkProfile" not in document["properties"]
