"""Subscriptions, providers, groups, lists of resources, and the activity log over HTTP."""

from dataclasses import replace

import pytest

from emulator.cloud.records import (
    Principal,
    ResourceGroup,
    RoleAssignment,
    ScaleSet,
    StorageAccount,
    Subscription,
    VirtualMachine,
)
from emulator.cloud.settings import CloudKind, Settings
from emulator.errors import LabError
from emulator.service.core.call import Call
from emulator.service.parts.tokens import Claims
from tests.support.service_lab import (
    GROUP,
    SUBSCRIPTION,
    TENANT,
    bearer,
    client_for,
    demo_vm_id,
    fake_fleet_of,
    open_test_service,
)

HERE = f"/subscriptions/{SUBSCRIPTION}"
STRANGE = "99999999-9999-9999-9999-999999999999"
VERSION = "api-version=2024-11-01"
LOG = f"{HERE}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01"


@pytest.fixture
def service():
    return open_test_service()


@pytest.fixture
def client(service):
    with client_for(service) as client:
        client.headers = bearer(service)
        yield client


def group(name):
    return f"{HERE}/resourceGroups/{name}?{VERSION}"


def code_of(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]["code"]


def names_of(answer):
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["value"]]


# -- subscriptions ---------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["app", "reader", "vmonly", "dev@localhost"])
def test_who_has_a_role_sees_the_subscription(service, client, who):
    (shown,) = client.get(f"/subscriptions?{VERSION}", headers=bearer(service, who)).json()["value"]
    assert (shown["subscriptionId"], shown["tenantId"], shown["state"]) == (SUBSCRIPTION, TENANT, "Enabled")
    assert client.get(f"{HERE}?{VERSION}", headers=bearer(service, who)).json() == shown


def test_who_has_no_role_sees_nothing(service, client):
    (app,) = (one for one in service.cloud.all(Principal) if one.name == "app")
    service.cloud.put(replace(app, id=STRANGE, name="nobody", app_id="nobody"))
    header = bearer(service, "nobody")
    assert client.get(f"/subscriptions?{VERSION}", headers=header).json()["value"] == []
    assert code_of(client.get(f"{HERE}?{VERSION}", headers=header), 403) == "AuthorizationFailed"
    for tail in ("locations", "providers", "resources", "resourceGroups"):
        assert client.get(f"{HERE}/{tail}?{VERSION}", headers=header).status_code == 403


def test_a_subscription_of_another_tenant_is_not_listed(service, client):
    service.cloud.put(Subscription(id=STRANGE, tenant=STRANGE, name="theirs"))
    assert len(client.get(f"/subscriptions?{VERSION}").json()["value"]) == 1
    answer = client.get(f"/subscriptions/{STRANGE}?{VERSION}")
    assert code_of(answer, 401) == "InvalidAuthenticationTokenTenant"


def test_a_subscription_that_there_is_not_is_not_found(client):
    answer = client.get(f"/subscriptions/{STRANGE}/resourceGroups?{VERSION}")
    assert (answer.status_code, answer.json()["code"]) == (404, "SubscriptionNotFound")


def test_tenants_and_locations_are_shown(client):
    assert [one["tenantId"] for one in client.get(f"/tenants?{VERSION}").json()["value"]] == [TENANT]
    assert "koreacentral" in names_of(client.get(f"{HERE}/locations?{VERSION}"))


@pytest.mark.parametrize("query", ["", "api-version=", "api-version=today"])
def test_the_api_version_is_demanded(client, query):
    assert client.get(f"/subscriptions?{query}").status_code == 400


# -- providers -------------------------------------------------------------------------------


def test_providers_are_registered_and_say_their_versions(client):
    shown = client.get(f"{HERE}/providers?{VERSION}").json()["value"]
    assert {one["registrationState"] for one in shown} == {"Registered"}
    one = client.get(f"{HERE}/providers/microsoft.serialconsole?{VERSION}").json()
    assert {kind["resourceType"] for kind in one["resourceTypes"]} >= {"consoleServices", "serialPorts"}
    assert one["resourceTypes"][0]["apiVersions"][0] == "2024-07-01"
    again = client.post(f"{HERE}/providers/Microsoft.SerialConsole/register?{VERSION}")
    assert again.json() == one
    answer = client.get(f"{HERE}/providers/Microsoft.Nothing?{VERSION}")
    assert code_of(answer, 404) == "InvalidResourceNamespace"


def test_u5_the_console_is_no_provider_of_the_china_cloud():
    service = open_test_service(settings=Settings(kind=CloudKind.CHINA))
    with client_for(service) as client:
        client.headers = bearer(service)
        path = f"{HERE}/providers/Microsoft.SerialConsole"
        assert client.get(f"{path}?{VERSION}").json()["registrationState"] == "NotRegistered"
        answer = client.post(f"{path}/register?{VERSION}")
        assert "not yet available in the cloud 'AzureChinaCloud'" in answer.json()["error"]["message"]
        compute = client.get(f"{HERE}/providers/Microsoft.Compute?{VERSION}").json()
        assert compute["registrationState"] == "Registered"


def test_a_reader_registers_nothing(service, client):
    path = f"{HERE}/providers/Microsoft.Compute/register?{VERSION}"
    assert client.post(path, headers=bearer(service, "reader")).status_code == 403


# -- resources -------------------------------------------------------------------------------


def test_resources_are_listed_without_instances(client):
    found = names_of(client.get(f"{HERE}/resources?{VERSION}"))
    assert found == ["linux1", "linux2", "win1", "nodiag1", "stopped1", "custom1", "ss1", "customdiag1"]
    assert names_of(client.get(f"{HERE}/resourceGroups/RG1/resources?{VERSION}")) == found


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ("resourceType eq 'microsoft.compute/virtualmachinescalesets'", ["ss1"]),
        ("resourceType eq 'Microsoft.Compute/virtualMachines' and name eq 'LINUX1'", ["linux1"]),
        ("resourceGroup eq 'other'", []),
        ("tagName eq 'x'", []),
        ("name ge 'x'", []),
    ],
)
def test_resources_are_filtered(client, chosen, found):
    assert names_of(client.get(f"{HERE}/resources?{VERSION}&$filter={chosen}")) == found


def test_resources_that_the_caller_may_not_read_are_not_listed(service, client):
    found = names_of(client.get(f"{HERE}/resources?{VERSION}", headers=bearer(service, "vmonly")))
    assert "linux1" in found
    assert "customdiag1" not in found


# -- groups ----------------------------------------------------------------------------------


def test_a_group_is_made_changed_and_shown(client):
    made = client.put(group("rg2"), json={"location": "West Europe", "tags": {"a": "b"}})
    assert (made.status_code, made.json()["location"]) == (201, "westeurope")
    assert client.put(group("RG2"), json={"location": "westeurope"}).json()["name"] == "rg2"
    changed = client.patch(group("rg2"), json={"tags": {"c": "d"}}).json()
    assert changed["tags"] == {"c": "d"}
    assert client.patch(group("rg2"), json={}).json() == changed == client.get(group("rg2")).json()
    assert client.head(group("rg2")).status_code == 204
    assert names_of(client.get(f"{HERE}/resourcegroups?{VERSION}")) == ["rg1", "rg2"]
    assert names_of(client.get(f"{HERE}/resourcegroups?{VERSION}&$filter=tagName eq 'c'")) == ["rg2"]


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("rg2", {}, "LocationRequired"),
        ("rg2", {"location": "mars"}, "LocationNotAvailableForResourceGroup"),
        ("rg2", {"location": "eastus", "tags": [1]}, "InvalidTagsContent"),
        ("rg2", {"location": "eastus", "tags": {"a": 1}}, "InvalidTagsContent"),
        ("rg2.", {"location": "eastus"}, "InvalidResourceGroup"),
        ("a b", {"location": "eastus"}, "InvalidResourceGroup"),
        ("x" * 91, {"location": "eastus"}, "InvalidResourceGroup"),
    ],
)
def test_a_group_is_refused(client, name, body, code):
    assert code_of(client.put(group(name), json=body), 400) == code


def test_text_that_is_no_unicode_is_refused(client):
    raw = b'{"location": "eastus", "tags": {"a": "\\ud800"}}'
    answer = client.put(group("rg2"), content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_a_group_stays_where_it_is(client):
    answer = client.put(group("rg1"), json={"location": "westeurope"})
    assert code_of(answer, 409) == "InvalidResourceGroupLocation"


def test_a_group_that_there_is_not_is_not_found(client):
    assert client.head(group("none")).status_code == 404
    for call in (client.get, client.delete):
        assert code_of(call(group("none")), 404) == "ResourceGroupNotFound"
    assert code_of(client.patch(group("none"), json={}), 404) == "ResourceGroupNotFound"


def test_a_reader_changes_no_group(service, client):
    header = bearer(service, "reader")
    assert client.put(group("rg2"), json={"location": "eastus"}, headers=header).status_code == 403
    assert client.patch(group("rg1"), json={}, headers=header).status_code == 403
    assert client.delete(group("rg1"), headers=header).status_code == 403


def finish(client, answer):
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
    place = answer.headers["location"]
    for _ in range(50):
        answer = client.get(place)
        if answer.status_code != 202:
            break
    return answer


def test_a_group_goes_with_all_that_is_in_it(service, client):
    service.fleet.guest(service.cloud.find(VirtualMachine, demo_vm_id("linux1").key))
    assert finish(client, client.delete(group("rg1"))).status_code == 200
    assert client.head(group("rg1")).status_code == 404
    kinds = (VirtualMachine, ScaleSet, StorageAccount, ResourceGroup)
    assert [service.cloud.all(kind) for kind in kinds] == [[], [], [], []]
    assert {one.scope for one in service.cloud.all(RoleAssignment)} == {HERE}
    assert fake_fleet_of(service).discarded == [demo_vm_id("linux1").key]


def test_nothing_comes_into_a_group_that_is_being_deleted(service, client):
    here = service.cloud.find(ResourceGroup, f"{HERE}/resourceGroups/rg1")
    service.cloud.put(replace(here, deleting=True))
    assert client.get(group("rg1")).json()["properties"]["provisioningState"] == "Deleting"
    disk = f"{HERE}/resourceGroups/rg1/providers/Microsoft.Storage/storageAccounts/fresh1?{VERSION}"
    for path in (group("rg1"), disk):
        assert code_of(client.put(path, json={"location": "eastus"}), 409) == "ResourceGroupBeingDeleted"
    assert code_of(client.patch(group("rg1"), json={}), 409) == "ResourceGroupBeingDeleted"


def test_deletion_is_followed_by_who_asked_for_it_or_may_read_there(service, client):
    place = client.delete(group("rg1")).headers["location"]
    seen = [client.get(place, headers=bearer(service, name)) for name in ("app", "reader", "vmonly")]
    assert [one.status_code in {200, 202} for one in seen] == [True, True, False]


def test_a_deletion_that_fails_says_so(service, client, monkeypatch):
    async def discard(key):
        raise LabError("it will not go")

    monkeypatch.setattr(service.fleet, "discard", discard)
    assert code_of(finish(client, client.delete(group("rg1"))), 500) == "InternalExecutionError"
    assert client.head(group("rg1")).status_code == 204


def test_an_operation_that_there_is_not_is_not_found(client):
    answer = client.get(f"{HERE}/operationresults/{STRANGE}?{VERSION}")
    assert code_of(answer, 404) == "OperationNotFound"


# -- the activity log ------------------------------------------------------------------------


def note(service, name, scope, *, succeeded=True):
    caller = Claims(principal="4", tenant=TENANT, name="dev@localhost", expires=0.0, id="")
    call = Call(service=service, caller=caller, address="127.0.0.1", api_version="")
    call.note(f"Microsoft.{name}", scope, succeeded=succeeded)
    service.now.advance(60)


@pytest.fixture
def logged(service):
    note(service, "Compute/virtualMachines/start/action", str(demo_vm_id("linux1")))
    note(
        service,
        "SerialConsole/serialPorts/connect/action",
        f"{demo_vm_id('linux2')}/providers/x/y/0",
        succeeded=False,
    )
    note(service, "Authorization/roleAssignments/write", f"{HERE}/providers/x/y/0")
    return service


def operations_of(answer):
    assert answer.status_code == 200, answer.text
    return [one["operationName"]["value"].split("/")[-2] for one in answer.json()["value"]]


def test_an_event_has_azures_shape(logged, client):
    event = client.get(LOG).json()["value"][1]
    assert event["operationName"]["value"] == "MICROSOFT.SERIALCONSOLE/SERIALPORTS/CONNECT/ACTION"
    assert event["category"]["value"] == "Administrative"
    assert (event["status"]["value"], event["resultType"]) == ("Failed", "Failure")
    assert (event["caller"], event["claims"]["ipaddr"]) == ("dev@localhost", "127.0.0.1")
    assert (event["resourceGroupName"], event["subscriptionId"]) == (GROUP, SUBSCRIPTION)
    assert event["eventTimestamp"] == "2026-03-01T12:01:00.0000000Z"


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ("", ["ROLEASSIGNMENTS", "CONNECT", "START"]),
        ("eventTimestamp ge 2026-03-01T12:01:00Z", ["ROLEASSIGNMENTS", "CONNECT"]),
        (
            "eventTimestamp ge '2026-03-01T12:01:00Z' and eventTimestamp le '2026-03-01T12:01:59Z'",
            ["CONNECT"],
        ),
        ("resourceGroupName eq 'RG1'", ["CONNECT", "START"]),
        (f"resourceUri eq '{demo_vm_id('linux1')}'", ["START"]),
        ("resourceProvider eq 'Microsoft.Compute'", ["START"]),
        ("status eq 'Failed'", ["CONNECT"]),
        ("caller eq 'nobody'", []),
    ],
)
def test_events_are_filtered_newest_first(logged, client, chosen, found):
    assert operations_of(client.get(LOG, params={"$filter": chosen, "api-version": "2015-04-01"})) == found


@pytest.mark.parametrize("chosen", ["eventTimestamp ge noon", "color eq 'red'"])
def test_a_filter_that_means_nothing_is_refused(client, chosen):
    assert client.get(f"{LOG}&$filter={chosen}").status_code == 400


def test_changes_of_groups_and_roles_are_logged(client):
    client.put(group("rg2"), json={"location": "eastus"})
    (event,) = client.get(LOG).json()["value"]
    assert (event["resourceId"], event["caller"]) == (f"{HERE}/resourceGroups/rg2", "app")


def test_who_may_not_read_the_log_does_not(service, client):
    assert client.get(LOG, headers=bearer(service, "reader")).status_code == 200
    assert code_of(client.get(LOG, headers=bearer(service, "vmonly")), 403) == "AuthorizationFailed"
