"""Microsoft Graph and Microsoft.Network, as far as az asks them."""

import pytest

from emulator.cloud.directory import matching, render_principal
from emulator.cloud.records import Principal, PrincipalType
from emulator.errors import CloudError
from tests.support.service_lab import (
    GROUP,
    SUBSCRIPTION,
    TENANT,
    bearer,
    client_for,
    demo_vm_id,
    open_test_service,
)

NETWORK = "providers/Microsoft.Network"
VERSION = "api-version=2022-01-01"


@pytest.fixture
def service():
    return open_test_service()


@pytest.fixture
def client(service):
    with client_for(service) as client:
        yield client


def principal(name: str, **fields) -> Principal:
    kind = PrincipalType.USER if "@" in name else PrincipalType.SERVICE_PRINCIPAL
    return Principal(id=f"id-of-{name}", tenant=TENANT, type=kind, name=name, **fields)


PEOPLE = [principal("app", app_id="0000-app"), principal("o'neil@localhost"), principal("apple")]


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (None, ["app", "o'neil@localhost", "apple"]),
        ("servicePrincipalNames/any(c:c eq '0000-APP')", ["app"]),
        ("appId eq 'apple'", ["apple"]),
        ("userPrincipalName eq 'o''neil@localhost'", ["o'neil@localhost"]),
        ("startswith(displayName,'app')", ["app", "apple"]),
        ("startswith(displayName,'app') and displayName eq 'apple'", ["apple"]),
        ("id eq 'id-of-app'", ["app"]),
        ("appId eq 'nobody'", []),
    ],
)
def test_graph_filter_takes_what_az_asks_for(chosen, names) -> None:
    assert [one.name for one in matching(PEOPLE, chosen)] == names


@pytest.mark.parametrize("chosen", ["appId ne 'x'", "secret eq 'x'", "appId eq 'x' or 1 eq 1"])
def test_graph_filter_refuses_others(chosen) -> None:
    with pytest.raises(CloudError, match="Unsupported or invalid query filter"):
        matching(PEOPLE, chosen)


def test_principal_is_shown_without_its_secret() -> None:
    shown = render_principal(principal("app", secret="hush"), typed=True)
    assert "hush" not in str(shown)
    assert shown["@odata.type"] == "#microsoft.graph.servicePrincipal"
    assert shown["servicePrincipalType"] == "Application"
    assert render_principal(principal("identity"))["servicePrincipalType"] == "ManagedIdentity"


def test_graph_lists_and_shows_principals(client, service) -> None:
    def ask(path: str, name: str = "app"):
        return client.get(path, headers=bearer(service, name))

    assert [one["displayName"] for one in ask("/v1.0/users").json()["value"]] == ["dev@localhost"]
    assert len(ask("/v1.0/servicePrincipals").json()["value"]) == 3
    (app,) = ask("/v1.0/servicePrincipals?$filter=appId eq 'app'").json()["value"]
    assert ask(f"/v1.0/servicePrincipals/{app['id']}").json() == app
    assert ask("/v1.0/users/dev@localhost").json()["userPrincipalName"] == "dev@localhost"
    assert ask("/v1.0/me", "dev@localhost").json()["displayName"] == "dev@localhost"
    assert ask("/v1.0/me").status_code == 400
    assert ask(f"/v1.0/users/{app['id']}").status_code == 404


def test_graph_finds_by_ids_and_leaves_unknown_ones_out(client, service) -> None:
    (app, *_) = client.get("/v1.0/servicePrincipals", headers=bearer(service)).json()["value"]
    body = {"ids": [app["id"], "nobody"], "types": ["user", "servicePrincipal"]}
    found = client.post("/v1.0/directoryObjects/getByIds", json=body, headers=bearer(service)).json()["value"]
    assert [one["displayName"] for one in found] == ["app"]
    wrong = client.post("/v1.0/directoryObjects/getByIds", json={"ids": "x"}, headers=bearer(service))
    assert wrong.status_code == 400


def test_graph_needs_a_token(client) -> None:
    assert client.get("/v1.0/users").status_code == 401


def test_network_interface_that_a_vm_names_is_shown(client, service) -> None:
    interface = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/{NETWORK}/networkInterfaces/n1"
    headers = bearer(service)
    vm = f"{demo_vm_id('linux1')}?{VERSION}"
    document = client.get(vm, headers=headers).json()
    document["properties"]["networkProfile"] = {"networkInterfaces": [{"id": interface}, {"id": "nonsense"}]}
    assert client.put(vm, json=document, headers=headers).is_success
    shown = client.get(f"{interface}?{VERSION}", headers=headers).json()
    assert shown["properties"]["virtualMachine"]["id"] == str(demo_vm_id("linux1"))
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/{NETWORK}"
    for scope in (group, f"/subscriptions/{SUBSCRIPTION}/{NETWORK}"):
        assert client.get(f"{scope}/networkInterfaces?{VERSION}", headers=headers).json() == {
            "value": [shown]
        }
    addresses = client.get(
        f"/subscriptions/{SUBSCRIPTION}/{NETWORK}/publicIPAddresses?{VERSION}", headers=headers
    )
    assert addresses.json() == {"value": []}


def test_network_interface_that_no_vm_names_is_not_found(client, service) -> None:
    path = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/{NETWORK}/networkInterfaces/none?{VERSION}"
    answer = client.get(path, headers=bearer(service))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")


def test_several_slashes_in_a_path_are_one(client, service) -> None:
    path = str(demo_vm_id("linux1")).replace("/virtualMachines", "//virtualMachines")
    answer = client.get(f"{path}?{VERSION}", headers=bearer(service))
    assert answer.json()["name"] == "linux1"
