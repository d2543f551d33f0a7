"""Scale sets over HTTP (docs/facts/azure.md 4; U12)."""

from collections.abc import Iterator

import pytest

from emulator.cloud.records import PowerState
from emulator.errors import LaunchError
from tests.support.service_caller import Caller, code_of
from tests.support.service_lab import (
    GROUP,
    INSTANCES,
    SUBSCRIPTION,
    demo_instance_id,
    fake_fleet_of,
    open_test_service,
)


@pytest.fixture
def app() -> Iterator[Caller]:
    with Caller(open_test_service()) as caller:
        yield caller


SET = str(demo_instance_id("0").parent)


def instances(app: Caller) -> list[str]:
    return [one["instanceId"] for one in app.get(f"{SET}/virtualMachines")["value"]]


def applied(app: Caller) -> list[bool]:
    value = app.get(f"{SET}/virtualMachines")["value"]
    return [one["properties"]["latestModelApplied"] for one in value]


def test_scale_set_is_listed_and_read(app: Caller) -> None:
    kind = "providers/Microsoft.Compute/virtualMachineScaleSets"
    for path in (
        f"/subscriptions/{SUBSCRIPTION}/{kind}",
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/{kind}",
    ):
        assert [one["name"] for one in app.get(path)["value"]] == ["ss1"]
    assert app.get(SET)["sku"]["capacity"] == 3
    summary = app.get(f"{SET}/instanceView")["virtualMachine"]["statusesSummary"]
    assert summary == [{"code": "ProvisioningState/succeeded", "count": 3}]
    views = app.get(f"{SET}/virtualMachines?$expand=instanceView")["value"]
    assert [one["properties"]["instanceView"]["statuses"][1]["code"] for one in views] == [
        "PowerState/running"
    ] * 3


def test_instance_is_found_in_the_encoded_form_too(app: Caller) -> None:
    encoded = SET + "%2FvirtualMachines%2F0"
    assert app.get(encoded)["instanceId"] == "0"


@pytest.mark.parametrize(
    ("action", "end"),
    [
        ("poweroff", PowerState.STOPPED),
        ("deallocate", PowerState.DEALLOCATED),
        ("restart", PowerState.RUNNING),
        ("redeploy", PowerState.RUNNING),
        ("reimage", PowerState.RUNNING),
        ("reimageall", PowerState.RUNNING),
        ("start", PowerState.RUNNING),
    ],
)
def test_actions_reach_the_chosen_instances(app: Caller, action: str, end: PowerState) -> None:
    app.act(f"{SET}/{action}", {"instanceIds": ["0", "2"]})
    assert [app.vm(demo_instance_id(one)).power for one in ("0", "2")] == [end, end]
    assert app.vm(demo_instance_id("1")).power is PowerState.RUNNING
    made = {guest.vm.id.name for guest in fake_fleet_of(app.service).guests.values()}
    assert made == (set() if action in {"poweroff", "deallocate"} else {"0", "2"})


def test_actions_without_a_body_reach_all(app: Caller) -> None:
    app.act(f"{SET}/poweroff?skipShutdown=true")
    assert {app.vm(demo_instance_id(one)).power for one in INSTANCES} == {PowerState.STOPPED}


def test_one_failure_does_not_keep_the_others(app: Caller) -> None:
    broken = app.guest(demo_instance_id("0"))
    broken.fail("power_on", LaunchError("no QEMU", argv=("qemu",), exit_code=1, stderr=b""))
    assert app.finish(app.send("POST", f"{SET}/start"))["status"] == "Failed"
    states = [app.vm(demo_instance_id(one)).provisioning.value for one in INSTANCES]
    assert states == ["Failed", "Succeeded", "Succeeded"]


@pytest.mark.parametrize("body", [{"instanceIds": ["7"]}, {"instanceIds": "0"}, {"instanceIds": []}])
def test_instance_ids_that_are_not_there_are_refused(app: Caller, body: dict) -> None:
    assert code_of(app.send("POST", f"{SET}/start", body)) == (400, "InvalidParameter")


def test_capacity_makes_and_deletes_instances(app: Caller) -> None:
    app.finish(app.send("PATCH", SET, {"sku": {"capacity": 5}}))
    assert instances(app) == ["0", "1", "2", "3", "4"]
    made = app.get(f"{SET}/virtualMachines/4?$expand=instanceView")["properties"]
    assert made["instanceView"]["statuses"][1]["code"] == "PowerState/running"
    assert made["osProfile"]["computerName"] == "ss1000004"
    app.finish(app.send("PATCH", SET, {"sku": {"capacity": 1}}))
    assert instances(app) == ["0"]


def test_deleting_instances_takes_them_from_the_capacity(app: Caller) -> None:
    app.finish(app.send("POST", f"{SET}/delete", {"instanceIds": ["1"]}))
    app.finish(app.send("DELETE", f"{SET}/virtualMachines/2"))
    assert instances(app) == ["0"]
    assert app.get(SET)["sku"]["capacity"] == 1


def test_u12_boot_diagnostics_of_the_model_reach_an_instance_by_its_upgrade(app: Caller) -> None:
    diagnostics = {"diagnosticsProfile": {"bootDiagnostics": {"enabled": False}}}
    app.finish(app.send("PATCH", SET, {"properties": {"virtualMachineProfile": diagnostics}}))
    assert applied(app) == [False, False, False]
    assert all(app.vm(demo_instance_id(one)).boot_diagnostics.enabled for one in INSTANCES)
    app.act(f"{SET}/manualupgrade", {"instanceIds": ["1"]})
    assert applied(app) == [False, True, False]
    enabled = [app.vm(demo_instance_id(one)).boot_diagnostics.enabled for one in INSTANCES]
    assert enabled == [True, False, True]
    assert app.vm(demo_instance_id("1")).power is PowerState.RUNNING
    assert fake_fleet_of(app.service).guests == {}


def test_u12_new_instances_have_the_latest_model(app: Caller) -> None:
    diagnostics = {"diagnosticsProfile": {"bootDiagnostics": {"enabled": False}}}
    body = {"sku": {"capacity": 4}, "properties": {"virtualMachineProfile": diagnostics}}
    app.finish(app.send("PATCH", SET, body))
    assert applied(app) == [False, False, False, True]


def test_automatic_upgrade_policy_upgrades_at_once(app: Caller) -> None:
    profile = {"diagnosticsProfile": {"bootDiagnostics": {"enabled": False}}}
    properties = {"upgradePolicy": {"mode": "Automatic"}, "virtualMachineProfile": profile}
    app.finish(app.send("PATCH", SET, {"sku": {"capacity": 2}, "properties": properties}))
    assert applied(app) == [True, True]


def test_put_of_the_scale_set_that_is_there_changes_nothing(app: Caller) -> None:
    answer = app.send("PUT", SET, app.get(SET))
    assert answer.status_code == 200
    assert "azure-asyncoperation" not in answer.headers
    assert applied(app) == [True, True, True]


def test_scale_set_is_made_and_deleted_with_its_instances(app: Caller) -> None:
    other = SET.replace("ss1", "ss2")
    body = app.get(SET)
    made = app.send("PUT", other, body | {"sku": {"name": "Standard_B1s", "capacity": 2}})
    assert made.status_code == 201
    assert made.json()["properties"]["provisioningState"] == "Creating"
    app.finish(made)
    assert app.get(other)["properties"]["provisioningState"] == "Succeeded"
    assert len(app.get(f"{other}/virtualMachines")["value"]) == 2
    app.finish(app.send("DELETE", other))
    assert app.send("GET", other).status_code == 404
    assert code_of(app.send("GET", f"{other}/virtualMachines/0")) == (404, "ParentResourceNotFound")
    assert app.send("DELETE", other).status_code == 204


def test_empty_scale_set_does_what_is_asked_of_it(app: Caller) -> None:
    app.finish(app.send("PATCH", SET, {"sku": {"capacity": 0}}))
    app.act(f"{SET}/start")
    app.act(f"{SET}/manualupgrade", {"instanceIds": ["*"]})
    app.act(f"{SET}/delete", {"instanceIds": ["*"]})


def test_instance_that_is_busy_is_not_scaled_away(app: Caller) -> None:
    app.guest(demo_instance_id("2")).hold("power_on")
    start = app.send("POST", f"{SET}/virtualMachines/2/start")
    assert code_of(app.send("PATCH", SET, {"sku": {"capacity": 2}})) == (409, "OperationNotAllowed")
    assert app.get(SET)["sku"]["capacity"] == 3
    app.guest(demo_instance_id("2")).release("power_on")
    app.finish(start)
