"""Power over HTTP: states, operations, guests (docs/facts/azure.md 4; U4)."""

from collections.abc import Iterator

import pytest

from emulator.cloud.records import ActivityEvent, PowerState, ProvisioningState
from emulator.cloud.settings import Settings
from emulator.console.marks import MarkKind
from emulator.errors import LaunchError
from tests.support.service_caller import INSTANCE, LINUX, Caller, code_of, operations_of
from tests.support.service_lab import SUBSCRIPTION, demo_vm_id, fake_fleet_of, open_test_service

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
def test_u4_power_takes_its_course(app: Caller, target: object) -> None:
    guest = app.guest(target)
    for action, end, is_on in (
        ("start", PowerState.RUNNING, True),
        ("restart", PowerState.RUNNING, True),
        ("powerOff", PowerState.STOPPED, False),
        ("start", PowerState.RUNNING, True),
        ("redeploy", PowerState.RUNNING, True),
        ("deallocate", PowerState.DEALLOCATED, False),
        ("start", PowerState.RUNNING, True),
        ("reimage", PowerState.RUNNING, True),
        ("POWEROFF?skipShutdown=true", PowerState.STOPPED, False),
        ("deallocate", PowerState.DEALLOCATED, False),
        ("powerOff", PowerState.DEALLOCATED, False),
    ):
        app.act(f"{target}/{action}")
        assert (action, app.vm(target).power, guest.is_on) == (action, end, is_on)
        assert app.vm(target).provisioning is ProvisioningState.SUCCEEDED
    doings = [call.split()[0] for call in guest.calls if call != "screenshot"]
    on, soft, hard = "power_on", "shut_down", "power_off"
    assert doings == [on, soft, on, soft, on, hard, on, soft, on, hard, on, hard]
    assert f"shut_down {app.service.settings.shutdown_s}" in guest.calls


def test_restart_shows_each_state_while_it_lasts(app: Caller) -> None:
    guest = app.guest()
    app.act(f"{LINUX}/start")
    guest.hold("shut_down")
    guest.hold("power_on")
    accepted = app.send("POST", f"{LINUX}/restart")
    assert (accepted.status_code, accepted.content) == (202, b"")
    for held, shown in (("shut_down", "stopping"), ("power_on", "starting")):
        app.wait_for(lambda shown=shown: app.vm().power.value == shown)
        codes = [one["code"] for one in app.get(f"{LINUX}/instanceView")["statuses"]]
        assert codes == ["ProvisioningState/updating", f"PowerState/{shown}"]
        poll, monitor = app.poll(accepted), app.monitor(accepted)
        assert poll.json()["status"] == "InProgress"
        assert "endTime" not in poll.json()
        assert (poll.headers["retry-after"], monitor.headers["retry-after"]) == ("1", "1")
        assert monitor.status_code == 202
        guest.release(held)
    assert "endTime" in app.finish(accepted)
    assert (app.monitor(accepted).status_code, app.monitor(accepted).content) == (200, b"")


@pytest.mark.parametrize(
    ("action", "held", "shown"),
    [("start", "power_on", "starting"), ("deallocate", "shut_down", "deallocating")],
)
def test_power_state_is_passed_through(app: Caller, action: str, held: str, shown: str) -> None:
    app.act(f"{LINUX}/{'powerOff' if action == 'start' else 'start'}")
    app.guest().hold(held)
    accepted = app.send("POST", f"{LINUX}/{action}")
    assert app.vm().power.value == shown
    app.guest().release(held)
    app.finish(accepted)


def test_operation_takes_its_least_time_and_creation_too() -> None:
    with Caller(open_test_service(settings=Settings(operation_s=30.0))) as app:
        for accepted in (
            app.send("POST", f"{LINUX}/reapply"),
            app.send("PUT", demo_vm_id("new1"), NEW_VM),
            app.send("DELETE", demo_vm_id("nodiag1")),
        ):
            assert app.poll(accepted).json()["status"] == "InProgress"


def test_guest_that_was_never_started_is_not_started_to_be_stopped(app: Caller) -> None:
    app.act(f"{LINUX}/powerOff")
    app.act(f"{LINUX}/deallocate")
    assert fake_fleet_of(app.service).guests == {}


def test_reapply_leaves_the_guest_alone(app: Caller) -> None:
    app.guest()
    app.act(f"{LINUX}/reapply")
    assert app.guest().calls == []


def test_what_was_refused_is_not_logged_as_done(app: Caller) -> None:
    app.guest().hold("power_on")
    app.send("POST", f"{LINUX}/start")
    before = operations_of(app.service)
    app.send("POST", f"{LINUX}/powerOff")
    app.send("PATCH", LINUX, {"tags": {"x": "y"}})
    assert operations_of(app.service) == before
    app.guest().release("power_on")


def test_same_action_joins_and_another_is_refused(app: Caller) -> None:
    app.guest().hold("power_on")
    first = app.send("POST", f"{LINUX}/start")
    second = app.send("POST", f"{LINUX}/start")
    assert second.headers["location"] == first.headers["location"]
    app.guest().release("power_on")
    app.finish(first)
    app.guest().hold("shut_down")
    gently = app.send("POST", f"{LINUX}/powerOff")
    forced = app.send("POST", f"{LINUX}/powerOff?skipShutdown=true")
    assert code_of(forced) == (409, "OperationNotAllowed")
    app.guest().release("shut_down")
    app.finish(gently)
    app.guest().hold("power_on")
    first = app.send("POST", f"{LINUX}/start")
    refused = app.send("POST", f"{LINUX}/powerOff")
    assert code_of(refused) == (409, "OperationNotAllowed")
    assert "'start'" in refused.json()["error"]["message"]
    whole = app.get(LINUX) | {"tags": {"x": "y"}}
    assert code_of(app.send("PUT", LINUX, whole)) == (409, "OperationNotAllowed")
    app.guest().release("power_on")
    app.finish(first)


def test_failure_is_told_by_operation_monitor_and_state(app: Caller) -> None:
    app.guest().fail("power_on", LaunchError("no QEMU", argv=("qemu",), exit_code=1, stderr=b""))
    accepted = app.send("POST", f"{LINUX}/start")
    said = app.finish(accepted)
    assert said["status"] == "Failed"
    assert said["error"]["code"] == "InternalExecutionError"
    assert "no QEMU" in said["error"]["message"]
    assert code_of(app.monitor(accepted)) == (500, "InternalExecutionError")
    assert app.vm().provisioning is ProvisioningState.FAILED
    assert app.vm().power is PowerState.STOPPED


@pytest.mark.parametrize("action", ["restart", "redeploy", "reimage"])
def test_deallocated_vm_is_not_restarted(app: Caller, action: str) -> None:
    assert code_of(app.send("POST", f"{demo_vm_id('stopped1')}/{action}")) == (409, "OperationNotAllowed")


@EITHER
@pytest.mark.parametrize("action", ["generalize", "capture", "runCommand", "simulateEviction"])
def test_what_can_not_be_done_is_refused_with_a_reason(app: Caller, target: object, action: str) -> None:
    answer = app.send("POST", f"{target}/{action}", {})
    assert code_of(answer) == (409, "OperationNotAllowed")
    assert len(answer.json()["error"]["message"]) > 20


def test_spot_vm_is_evicted(app: Caller) -> None:
    app.finish(app.send("PATCH", LINUX, {"properties": {"priority": "Spot"}}))
    assert app.send("POST", f"{LINUX}/simulateEviction").status_code == 204
    app.wait_for(lambda: app.vm().power is PowerState.DEALLOCATED)


def test_actions_are_marked_and_logged_with_who_did_them(app: Caller) -> None:
    app.act(f"{LINUX}/start")
    (mark,) = [one for one in app.guest().transcript.marks if one.kind is MarkKind.LINK]
    assert (mark.name, dict(mark.detail)) == ("command", {"by": "app", "command": "start"})
    (event,) = app.service.cloud.all(ActivityEvent)
    assert event.operation == "MICROSOFT.COMPUTE/VIRTUALMACHINES/START/ACTION"
    assert (event.caller, event.address, event.scope) == ("app", "testclient", str(LINUX))


@pytest.mark.parametrize("name", ["nope", "00000000-0000-0000-0000-00000000000a"])
def test_unknown_operation_is_not_found(app: Caller, name: str) -> None:
    path = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/locations/eastus/operations/{name}"
    assert code_of(app.send("GET", path)) == (404, "NotFound")
