"""Signing in with the clients that people use: azure-identity and MSAL, over TLS on a real port."""

from collections.abc import Iterator

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ClientSecretCredential,
    DeviceCodeCredential,
    ManagedIdentityCredential,
    UsernamePasswordCredential,
)
from msal import ConfidentialClientApplication, PublicClientApplication

from emulator.clock import utc_now
from emulator.cloud.records import Principal, PrincipalType
from emulator.service.core.context import Service
from tests.support.service_lab import TENANT, open_test_service
from tests.support.service_server import Served, run_service

AZ = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


def make_service() -> Service:
    service = open_test_service(now=utc_now)
    service.cloud.put(
        Principal(
            id="22222222-0000-0000-0000-000000000005",
            tenant=TENANT,
            type=PrincipalType.SERVICE_PRINCIPAL,
            name="identity",
            app_id="identity",
        )
    )
    return service


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    with run_service(tmp_path_factory.mktemp("served"), make=make_service) as served:
        yield served


@pytest.fixture
def options(served):
    return {
        "authority": served.endpoint,
        "disable_instance_discovery": True,
        "connection_verify": served.ca,
    }


@pytest.fixture
def http(served):
    with requests.Session() as session:
        session.verify = served.ca
        session.trust_env = False
        yield session


def name_of(served, token):
    return served.service.tokens.accept(token, now=utc_now()).name


def subscriptions_of(served, http, token):
    header = {"Authorization": f"Bearer {token}"}
    answer = http.get(f"{served.endpoint}/subscriptions?api-version=2022-12-01", headers=header, timeout=20)
    return [one["displayName"] for one in answer.json()["value"]]


def test_azure_identity_signs_a_client_in(served, options, http):
    with ClientSecretCredential(TENANT, "app", "secret", **options) as credential:
        token = credential.get_token(f"{served.endpoint}/.default").token
    assert name_of(served, token) == "app"
    assert subscriptions_of(served, http, token) == ["ttylab"]


def test_azure_identity_is_told_of_a_wrong_secret(served, options):
    with (
        ClientSecretCredential(TENANT, "app", "wrong", **options) as credential,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215"),
    ):
        credential.get_token(f"{served.endpoint}/.default")


def test_azure_identity_is_told_of_an_unknown_tenant(served, options):
    with (
        ClientSecretCredential(
            "99999999-9999-9999-9999-999999999999", "app", "secret", **options
        ) as credential,
        pytest.raises(ClientAuthenticationError),
    ):
        credential.get_token(f"{served.endpoint}/.default")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_azure_identity_signs_a_user_in_under_adfs(served, options):
    options |= {"tenant_id": "adfs"}
    with UsernamePasswordCredential(AZ, "dev@localhost", "ttylab", **options) as credential:
        token = credential.get_token(f"{served.endpoint}/.default").token
    assert name_of(served, token) == "dev@localhost"


def test_azure_identity_signs_a_device_in(served, options, http):
    def enter(page, code, _expires):
        form = {"code": code, "user": "dev@localhost", "password": "ttylab"}
        assert "You are signed in" in http.post(page, data=form, timeout=20).text

    with DeviceCodeCredential(AZ, tenant_id=TENANT, prompt_callback=enter, **options) as credential:
        assert name_of(served, credential.get_token(f"{served.endpoint}/.default").token) == "dev@localhost"


def test_azure_identity_signs_a_managed_identity_in(served, monkeypatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{served.endpoint}/ttylab/identity/token")
    monkeypatch.setenv("IDENTITY_HEADER", served.service.sign_in.identity_header)
    with ManagedIdentityCredential(connection_verify=served.ca) as credential:
        assert name_of(served, credential.get_token(served.endpoint).token) == "identity"


def test_msal_signs_a_user_in_under_adfs_and_again_by_its_refresh_token(served, http):
    client = PublicClientApplication(AZ, authority=f"{served.endpoint}/adfs", http_client=http)
    scopes = [f"{served.endpoint}/.default"]
    with pytest.warns(DeprecationWarning, match="deprecated"):
        first = client.acquire_token_by_username_password("dev@localhost", "ttylab", scopes)
    assert first["id_token_claims"]["preferred_username"] == "dev@localhost"
    (account,) = client.get_accounts()
    again = client.acquire_token_silent_with_error(scopes, account, force_refresh=True)
    assert again["access_token"] != first["access_token"]
    assert name_of(served, again["access_token"]) == "dev@localhost"


def test_msal_is_told_of_a_wrong_password(served, http):
    client = PublicClientApplication(AZ, authority=f"{served.endpoint}/adfs", http_client=http)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        answer = client.acquire_token_by_username_password(
            "dev@localhost", "wrong", [f"{served.endpoint}/.default"]
        )
    assert (answer["error"], answer["error_codes"]) == ("invalid_grant", [50126])


def test_msal_discovers_the_instance_where_it_is_told_to_ask_us(served, http):
    client = ConfidentialClientApplication(
        "app",
        client_credential="secret",
        authority=f"{served.endpoint}/{TENANT}",
        instance_discovery=f"{served.endpoint}/common/discovery/instance",
        http_client=http,
    )
    answer = client.acquire_token_for_client([f"{served.endpoint}/.default"])
    assert name_of(served, answer["access_token"]) == "app"
