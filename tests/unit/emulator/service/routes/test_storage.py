"""Storage accounts over HTTP (docs/facts/azure.md 4 "Storage", U13)."""

from collections.abc import Iterator

import pytest

from tests.support.service_lab import (
    ACCOUNT,
    GROUP,
    SUBSCRIPTION,
    TestClient,
    bearer,
    client_for,
    open_test_service,
)

PROVIDER = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Storage"
ACCOUNTS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Storage/storageAccounts"


@pytest.fixture
def client() -> Iterator[TestClient]:
    service = open_test_service()
    with client_for(service) as client:
        client.headers.update(bearer(service))
        client.params = {"api-version": "2023-05-01"}
        yield client


def test_account_is_listed_with_empty_rules_and_its_endpoint(client: TestClient) -> None:
    for path in (f"{PROVIDER}/storageAccounts", ACCOUNTS):
        (account,) = client.get(path).json()["value"]
        assert account["name"] == ACCOUNT
        assert account["properties"]["networkAcls"]["ipRules"] == []
        assert (
            account["properties"]["primaryEndpoints"]["blob"] == f"https://{ACCOUNT}.blob.core.windows.net/"
        )
    assert client.get(f"{ACCOUNTS}/{ACCOUNT}").json() == account


def test_u13_account_has_its_own_least_tls_version(client: TestClient) -> None:
    path = f"{ACCOUNTS}/new1"
    body = {"location": "eastus", "kind": "StorageV2", "properties": {"minimumTlsVersion": "TLS1_0"}}
    assert client.put(path, json=body).json()["properties"]["minimumTlsVersion"] == "TLS1_0"
    patched = client.patch(path, json={"properties": {"minimumTlsVersion": "TLS1_2"}}).json()
    assert patched["properties"]["minimumTlsVersion"] == "TLS1_2"
    assert client.get(path).json() == patched


def test_firewall_and_namespace_are_shown_as_put(client: TestClient) -> None:
    rules = [{"value": "10.0.0.1", "action": "Allow"}]
    properties = {
        "networkAcls": {"defaultAction": "Deny", "ipRules": rules},
        "isHnsEnabled": True,
        "allowSharedKeyAccess": False,
    }
    shown = client.put(f"{ACCOUNTS}/new1", json={"location": "eastus", "properties": properties}).json()
    assert shown["properties"]["networkAcls"]["ipRules"] == rules
    assert shown["properties"]["isHnsEnabled"] is True
    assert shown["properties"]["allowSharedKeyAccess"] is False


def test_account_is_deleted_once(client: TestClient) -> None:
    statuses = [client.delete(f"{ACCOUNTS}/{ACCOUNT}").status_code for _ in range(2)]
    assert statuses == [200, 204]
    assert client.get(f"{ACCOUNTS}/{ACCOUNT}").status_code == 404


def test_keys_are_listed_and_stay(client: TestClient) -> None:
    keys = client.post(f"{ACCOUNTS}/{ACCOUNT}/listKeys").json()["keys"]
    assert [one["keyName"] for one in keys] == ["key1", "key2"]
    assert keys == client.post(f"{ACCOUNTS}/{ACCOUNT}/listKeys").json()["keys"]


@pytest.mark.parametrize(
    ("name", "reason"), [("free1", None), (ACCOUNT, "AlreadyExists"), ("No!", "AccountNameInvalid")]
)
def test_name_is_checked(client: TestClient, name: str, reason: str | None) -> None:
    answer = client.post(f"{PROVIDER}/checkNameAvailability", json={"name": name}).json()
    assert (answer["nameAvailable"], answer.get("reason")) == (reason is None, reason)


def test_account_says_no_to_a_bad_name_and_to_none(client: TestClient) -> None:
    refused = client.put(f"{ACCOUNTS}/Not_Valid", json={"location": "eastus"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "AccountNameInvalid")
    for answer in (client.get(f"{ACCOUNTS}/nope1"), client.patch(f"{ACCOUNTS}/nope1", json={})):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")
