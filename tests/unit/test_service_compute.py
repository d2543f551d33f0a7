"""VMs over HTTP: reads, changes, power, operations, refusals (azure.md 4; U4, U6, U9)."""

from collections.abc import Iterator
from typing import Any, Self

import pytest
from httpx import Response

from emulator.cloud.records import ActivityEvent, PowerState, ProvisioningState, VirtualMachine
from emulator.cloud.settings import Era, Settings
from emulator.console.marks import MarkKind
from emulator.errors import LaunchError
from emulator.service.context import Service
from tests.fake_fleet import FakeGuest
from tests.service_lab import (
    ACCOUNT,
    ENDPOINT,
    GROUP,
    INSTANCES,
    SUBSCRIPTION,
    VMS,
    Now,
    bearer,
    client_for,
    demo_instance_id,
    demo_vm_id,
    fake_fleet_of,
    open_test_service,
)

LINUX = demo_vm_id("linux1")
EITHER = pytest.mark.parametrize("target", [LINUX, demo_instance_id("0")], ids=["vm", "instance"])
VERSION = "api-version=2024-07-01"
NEW_VM = {
    "location": "eastus",
    "properties": {
        "hardwareProfile": {"vmSize": "Standard_B2s"},
        "storageProfile": {"imageReference": {"offer": "debian-12"}},
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
    },
}


class Caller:
    """Calls the routes of one service as one principal."""

    def __init__(self, service: Service, name: str = "app") -> None:
        self.service = service
        self._headers = bearer(service, name)

    def __enter__(self) -> Self:
        self._client = client_for(self.service)
        self._client.__enter__()
        return self

    def __exit__(self, *ended: object) -> None:
        self._client.__exit__(*ended)

    def send(self, method: str, path: object, body: Any = None, **options: Any) -> Response:
        url = f"{path}{'&' if '?' in str(path) else '?'}{VERSION}"
        return self._client.request(method, url, json=body, headers=self._headers, **options)

    def get(self, path: object) -> Any:
        answer = self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fetch(self, url: str, **headers: str) -> Response:
        return self._client.get(url, headers=headers)

    def poll(self, accepted: Response) -> Response:
        return self._client.get(accepted.headers["azure-asyncoperation"], headers=self._headers)

    def monitor(self, accepted: Response) -> Response:
        return self._client.get(accepted.headers["location"], headers=self._headers)

    def finish(self, accepted: Response) -> dict[str, Any]:
        """Poll until the operation ends; each poll gives its work a turn."""
        assert accepted.status_code in {200, 201, 202}, accepted.text
        for _ in range(200):
            said = self.poll(accepted).json()
            if said["status"] != "InProgress":
                return said
        raise AssertionError(said)

    def act(self, path: object, body: Any = None) -> None:
        assert self.finish(self.send("POST", path, body))["status"] == "Succeeded"

    def vm(self, target: object = LINUX) -> VirtualMachine:
        found = self.service.cloud.find(VirtualMachine, str(target))
        assert found is not None
        return found

    def guest(self, target: object = LINUX) -> FakeGuest:
        return fake_fleet_of(self.service).guest(self.vm(target))


@pytest.fixture
def app() -> Iterator[Caller]:
    with Caller(open_test_service()) as caller:
        yield caller


def code_of(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def operations_of(service: Service) -> list[str]:
    return [event.operation for event in service.cloud.all(ActivityEvent)]


# -- reads -------------------------------------------------------------------------------------


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


# -- changes -----------------------------------------------------------------------------------


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


# -- power -------------------------------------------------------------------------------------


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
        until(lambda shown=shown: app.vm().power.value == shown, app)
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
    until(lambda: app.vm().power is PowerState.DEALLOCATED, app)


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


# -- boot diagnostics --------------------------------------------------------------------------


@EITHER
def test_u4_boot_log_and_screenshot_are_read_without_a_token(app: Caller, target: object) -> None:
    app.guest(target).says_at_power_on = b"Booting\r\nlogin: "
    uris = app.send("POST", f"{target}/retrieveBootDiagnosticsData").json()
    assert app.guest(target).is_on
    app.guest(target).transcript.mark(MarkKind.LINK, "connected", {"by": "dev@localhost"})
    log = app.fetch(uris["serialConsoleLogBlobUri"])
    assert log.headers["content-type"] == "text/plain"
    first, second, third = log.content.split(b"\r\n", 2)
    assert (first, second) == (b"Booting", b"login: ")
    assert third.startswith(b"[2026-03-01T1")
    assert third.endswith(b"Z] Serial console: connected by dev@localhost\r\n")
    screenshot = app.fetch(uris["consoleScreenshotBlobUri"])
    assert screenshot.headers["content-type"] == "image/bmp"
    assert screenshot.content[:2] == b"BM"
    for uri in uris.values():
        assert uri.startswith(f"{ENDPOINT}/blobs/")


def test_range_of_a_blob_is_read(app: Caller) -> None:
    app.guest().says_at_power_on = b"0123456789"
    uri = app.send("POST", f"{LINUX}/retrieveBootDiagnosticsData").json()["serialConsoleLogBlobUri"]
    for asked, status, expected in (
        ("bytes=2-4", 206, b"234"),
        ("bytes=8-", 206, b"89"),
        ("bytes=0-99999", 206, b"0123456789"),
        ("bytes=x", 200, b"0123456789"),
        ("bytes=10-", 416, None),
    ):
        answer = app.fetch(uri, Range=asked)
        assert answer.status_code == status
        assert expected is None or answer.content == expected
    assert app.fetch(uri, Range="bytes=2-4").headers["content-range"] == "bytes 2-4/10"


def test_signed_url_expires_and_can_not_be_bent() -> None:
    now = Now()
    with Caller(open_test_service(now=now)) as app:
        path = f"{LINUX}/retrieveBootDiagnosticsData?sasUriExpirationTimeInMinutes=5"
        uri = app.send("POST", path).json()["serialConsoleLogBlobUri"]
        assert app.fetch(uri).status_code == 200
        bent = (
            uri[:-1] + ("0" if uri[-1] != "0" else "1"),
            uri.partition("?")[0],
            uri.replace("linux1", "x"),
        )
        for url in bent:
            answer = app.fetch(url)
            assert answer.status_code == 403
            assert b"<Code>AuthenticationFailed</Code>" in answer.content
        now.advance(301)
        assert app.fetch(uri).status_code == 403


def test_blob_of_a_vm_that_is_gone_is_not_found(app: Caller) -> None:
    uris = app.send("POST", f"{LINUX}/retrieveBootDiagnosticsData").json()
    app.finish(app.send("DELETE", LINUX))
    for uri in uris.values():
        answer = app.fetch(uri)
        assert answer.status_code == 404
        assert b"<Code>BlobNotFound</Code>" in answer.content


def test_screenshot_of_a_vm_that_is_off_is_its_last(app: Caller) -> None:
    off = demo_vm_id("stopped1")
    never = app.send("POST", f"{off}/retrieveBootDiagnosticsData").json()["consoleScreenshotBlobUri"]
    answer = app.fetch(never)
    assert answer.status_code == 404
    assert b"has not shown anything yet" in answer.content
    app.act(f"{LINUX}/start")
    app.act(f"{LINUX}/powerOff")
    last = app.send("POST", f"{LINUX}/retrieveBootDiagnosticsData").json()["consoleScreenshotBlobUri"]
    assert app.fetch(last).content[:2] == b"BM"
    assert not app.guest().is_on


def test_log_of_a_vm_that_never_was_on_is_empty(app: Caller) -> None:
    off = demo_vm_id("stopped1")
    uri = app.send("POST", f"{off}/retrieveBootDiagnosticsData").json()["serialConsoleLogBlobUri"]
    assert app.fetch(uri).content == b""


@pytest.mark.parametrize("minutes", ["0", "1441", "-1", "x", "1.5", "", "9" * 5000])
def test_expiry_says_no(app: Caller, minutes: str) -> None:
    path = f"{LINUX}/retrieveBootDiagnosticsData?sasUriExpirationTimeInMinutes={minutes}"
    assert code_of(app.send("POST", path)) == (400, "InvalidParameter")


def test_u6_there_is_no_boot_log_without_boot_diagnostics(app: Caller) -> None:
    path = f"{demo_vm_id('nodiag1')}/retrieveBootDiagnosticsData"
    assert code_of(app.send("POST", path)) == (409, "OperationNotAllowed")


def test_guest_that_can_not_start_gives_a_reason(app: Caller) -> None:
    app.guest().fail("power_on", LaunchError("no QEMU", argv=("qemu",), exit_code=1, stderr=b""))
    answer = app.send("POST", f"{LINUX}/retrieveBootDiagnosticsData")
    assert answer.status_code == 409
    assert "no QEMU" in answer.json()["error"]["message"]


@EITHER
def test_u10_managed_boot_diagnostics_had_no_console_in_2020(target: object) -> None:
    for era, status in ((Era.Y2020, 409), (Era.CURRENT, 200)):
        with Caller(open_test_service(settings=Settings(era=era))) as app:
            answer = app.send("POST", f"{target}/providers/Microsoft.SerialConsole/serialPorts/0/connect")
            assert answer.status_code == status
    with Caller(open_test_service(settings=Settings(era=Era.Y2020))) as app:
        profile = {"bootDiagnostics": {"storageUri": f"https://{ACCOUNT}.blob.core.windows.net/"}}
        app.finish(app.send("PATCH", target, {"properties": {"diagnosticsProfile": profile}}))
        answer = app.send("POST", f"{target}/providers/Microsoft.SerialConsole/serialPorts/0/connect")
        assert answer.status_code == 200


# -- scale sets --------------------------------------------------------------------------------

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
        ("start", PowerState.RUNNING),
    ],
)
def test_actions_reach_the_chosen_instances(app: Caller, action: str, end: PowerState) -> None:
    app.act(f"{SET}/{action}", {"instanceIds": ["0", "2"]})
    assert [app.vm(demo_instance_id(one)).power for one in ("0", "2")] == [end, end]
    assert app.vm(demo_instance_id("1")).power is PowerState.RUNNING
    made = {guest.vm.id.name for guest in fake_fleet_of(app.service).guests.values()}
    assert made == ({"0", "2"} if action in {"restart", "redeploy", "reimage", "start"} else set())


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


def until(reached: Any, app: Caller) -> None:
    """Give the service turns until `reached`."""
    for _ in range(200):
        if reached():
            return
        app.get(LINUX)
    raise AssertionError("not reached")
