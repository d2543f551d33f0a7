"""VMs over HTTP: reads, changes, refusals (docs/facts/azure.md 4; U4, U6, U9)."""

from collections.abc import Iterator

import pytest

from emulator.cloud.records import PowerState, ProvisioningState
from tests.support.service_caller import INSTANCE, LINUX, Caller, code_of, operations_of
from tests.support.service_lab import (
    SUBSCRIPTION,
    VMS,
    demo_instance_id,
    demo_vm_id,
    fake_fleet_of,
    open_test_service,
)

EITHER = pytest.mark.parametrize("target", [LINUX, INSTANCE], ids=["vm", "instance"])
NEW_VM = {
    "location": "eastus",
    "properties": {
        "hardwareProfile": {"vmSize": "Standard_B2s"},
        "storageProfile": {"imageReference": {"offer": "debian-12"}},
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
    },
}


@pytest.fixture
def app() -> Iterator[Caller]:
    with Caller(open_test_service()) as caller:
        yield caller


@EITHER
def test_u4_machine_is_read_with_and_without_its_view(app: Caller, target: object) -> None:
    assert "instanceView" not in app.get(target)["properties"]
    view = app.get(f"{target}?$expand=instanceView")["properties"]["instanceView"]
    assert [one["code"] for one in view["statuses"]] == [
        "ProvisioningState/succeeded",
        "PowerState/running",
    ]
    bare = app.get(f"{target}/instanceView")
    assert bare["osName"] == "debian"
    assert bare["statuses"] == view["statuses"]
    assert app.get(f"{target}?$expand=userData") == app.get(target)


def test_lists_show_vms_and_not_instances(app: Caller) -> None:
    everywhere = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines"
    in_group = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/RG1/providers/microsoft.compute/virtualmachines"
    for path in (everywhere, in_group):
        assert [vm["name"] for vm in app.get(path)["value"]] == list(VMS)
    states = app.get(f"{everywhere}?statusOnly=true")["value"]
    assert states[4]["properties"]["instanceView"]["statuses"][1]["displayStatus"] == "VM deallocated"


def test_list_shows_what_the_caller_may_read() -> None:
    service = open_test_service()
    with Caller(service, "vmonly") as caller:
        path = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines"
        assert [vm["name"] for vm in caller.get(path)["value"]] == list(VMS)
        accounts = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Storage/storageAccounts"
        assert caller.get(accounts)["value"] == []


def test_sizes_are_listed(app: Caller) -> None:
    path = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/locations/eastus/vmSizes"
    names = [one["name"] for one in app.get(path)["value"]]
    assert "Standard_B1s" in names
    assert app.get(f"{LINUX}/vmSizes")["value"] == app.get(path)["value"]
    skus = app.get(f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/skus")["value"]
    assert [one["name"] for one in skus] == names


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (demo_vm_id("nope"), (404, "ResourceNotFound")),
        (demo_instance_id("9"), (404, "NotFound")),
        (str(demo_instance_id("0")).replace("ss1", "nope"), (404, "ParentResourceNotFound")),
        (str(LINUX).replace("/rg1/", "/nope/"), (404, "ResourceNotFound")),
        (f"{LINUX}?$expand=everything", (400, "InvalidParameter")),
        (f"{demo_vm_id('x')}%0a", (400, "InvalidRequestContent")),
        (f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Foo/x", (404, "InvalidResourceNamespace")),
        (f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/x/y", (404, "InvalidResourceType")),
        (
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/nope/providers/Microsoft.Compute/virtualMachines",
            (404, "ResourceGroupNotFound"),
        ),
        (
            f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines?statusOnly=x",
            (400, "InvalidParameter"),
        ),
    ],
)
def test_read_says_no(app: Caller, path: object, expected: tuple[int, str]) -> None:
    assert code_of(app.send("GET", path)) == expected


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_u9_classic_resources_are_refused(app: Caller, method: str) -> None:
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg1/providers"
    answer = app.send(method, f"{group}/Microsoft.ClassicCompute/virtualMachines/old", {})
    assert code_of(answer) == (400, "ClassicDeploymentNotSupported")
    assert "classic" in answer.json()["error"]["message"]


def test_put_makes_a_vm_that_passes_through_creating(app: Caller) -> None:
    target = demo_vm_id("new1")
    made = app.send("PUT", target, NEW_VM)
    assert made.status_code == 201
    assert made.json()["properties"]["provisioningState"] == "Creating"
    assert made.headers["retry-after"] == "1"
    assert app.finish(made)["status"] == "Succeeded"
    vm = app.vm(target)
    assert (vm.provisioning, vm.power) == (ProvisioningState.SUCCEEDED, PowerState.RUNNING)
    assert vm.guest.vcpus == 2
    assert app.get(target)["properties"]["hardwareProfile"] == {"vmSize": "Standard_B2s"}
    assert fake_fleet_of(app.service).existing(vm.key) is None
    assert "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE" in operations_of(app.service)


@EITHER
def test_u6_boot_diagnostics_go_off_and_on_by_putting_back_the_whole(app: Caller, target: object) -> None:
    whole = app.get(target)
    for enabled in (False, True):
        whole["properties"]["diagnosticsProfile"] = {"bootDiagnostics": {"enabled": enabled}}
        changed = app.send("PUT", target, whole)
        assert changed.status_code == 200
        assert changed.json()["properties"]["provisioningState"] == "Updating"
        app.finish(changed)
        assert app.vm(target).boot_diagnostics.enabled is enabled
        assert ("bootDiagnostics" in app.get(f"{target}/instanceView")) is enabled


@EITHER
def test_put_of_what_is_there_changes_nothing(app: Caller, target: object) -> None:
    before = app.vm(target)
    answer = app.send("PUT", target, app.get(target))
    assert answer.status_code == 200
    assert "azure-asyncoperation" not in answer.headers
    assert answer.json()["properties"]["provisioningState"] == "Succeeded"
    assert app.vm(target) == before


@EITHER
def test_patch_merges(app: Caller, target: object) -> None:
    app.finish(app.send("PATCH", target, {"tags": {"a": "b"}}))
    assert app.get(target)["tags"] == {"a": "b"}
    assert app.vm(target).boot_diagnostics.enabled


@EITHER
def test_delete_ends_the_guest(app: Caller, target: object) -> None:
    key = app.vm(target).key
    app.guest(target)
    app.finish(app.send("DELETE", target))
    assert app.send("GET", target).status_code == 404
    assert fake_fleet_of(app.service).discarded == [key]
    assert app.send("DELETE", target).status_code == 204


def test_delete_waits_for_what_runs_and_forbids_what_comes(app: Caller) -> None:
    app.guest().hold("power_on")
    start = app.send("POST", f"{LINUX}/start")
    delete = app.send("DELETE", LINUX)
    assert app.get(f"{LINUX}/instanceView")["statuses"][0]["code"] == "ProvisioningState/deleting"
    assert code_of(app.send("POST", f"{LINUX}/restart")) == (409, "OperationNotAllowed")
    again = app.send("DELETE", LINUX)
    assert again.headers["location"] == delete.headers["location"]
    app.guest().release("power_on")
    app.finish(start)
    app.finish(delete)
    assert app.send("GET", LINUX).status_code == 404


@pytest.mark.parametrize(
    ("method", "target", "body", "expected"),
    [
        ("PUT", demo_vm_id("new1"), {"properties": {}}, (400, "LocationRequired")),
        ("PUT", str(demo_vm_id("x")).replace("/rg1/", "/no/"), NEW_VM, (404, "ResourceGroupNotFound")),
        ("PUT", LINUX, {"location": "westeurope", "properties": {}}, (409, "InvalidResourceLocation")),
        ("PUT", LINUX, ["x"], (400, "InvalidRequestContent")),
        ("PUT", demo_instance_id("9"), NEW_VM, (404, "NotFound")),
        ("PATCH", demo_vm_id("nope"), {}, (404, "ResourceNotFound")),
        ("PATCH", LINUX, {"properties": 3}, (400, "InvalidParameter")),
    ],
)
def test_change_says_no(
    app: Caller, method: str, target: object, body: object, expected: tuple[int, str]
) -> None:
    assert code_of(app.send(method, target, body)) == expected


def test_reader_reads_and_changes_nothing() -> None:
    with Caller(open_test_service(), "reader") as reader:
        reader.get(LINUX)
        for method, path in (("PUT", LINUX), ("DELETE", LINUX), ("POST", f"{LINUX}/start")):
            assert code_of(reader.send(method, path, {})) == (403, "AuthorizationFailed")
