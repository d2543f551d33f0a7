"""What clients ask before they sign in, and managed identities."""

import jwt
import pytest

from emulator.cloud.records import Principal, PrincipalType
from emulator.cloud.settings import CloudKind, Settings
from tests.support.service_lab import ENDPOINT, TENANT, client_for, open_test_service, token_for

IDENTITY = "/ttylab/identity/token?api-version=2019-08-01"


@pytest.fixture
def service():
    service = open_test_service()
    for number, name in ((8, "identity"), (9, "second")):
        service.cloud.put(
            Principal(
                id=f"22222222-0000-0000-0000-{number:012}",
                tenant=TENANT,
                type=PrincipalType.SERVICE_PRINCIPAL,
                name=name,
                app_id=name,
            )
        )
    return service


@pytest.fixture
def client(service):
    with client_for(service) as client:
        yield client


def texts_of(value):
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts_of(one)]
    return [text for one in value for text in texts_of(one)] if isinstance(value, list) else [str(value)]


def test_metadata_points_to_us_alone(client):
    body = client.get("/metadata/endpoints?api-version=2022-09-01").json()
    assert body["name"] == "AzureCloud"
    assert body["resourceManager"] == ENDPOINT
    assert body["authentication"]["loginEndpoint"] == f"{ENDPOINT}/adfs"
    assert body["authentication"]["audiences"][0] == ENDPOINT
    assert body["authentication"]["identityProvider"] == "AAD"
    assert {"portal", "gallery", "graphAudience", "media", "batch", "sqlManagement"} <= body.keys()
    assert {"vmImageAliasDoc", "activeDirectoryDataLake", "microsoftGraphResourceId"} <= body.keys()
    assert {"storage", "keyVaultDns", "acrLoginServer", "sqlServerHostname"} <= body["suffixes"].keys()
    body["authentication"].pop("audiences")
    for address in texts_of(body):
        assert "://" not in address or address.startswith(ENDPOINT)


@pytest.mark.parametrize(
    ("kind", "name", "suffix"),
    [
        (CloudKind.GOVERNMENT, "AzureUSGovernment", "core.usgovcloudapi.net"),
        (CloudKind.CHINA, "AzureChinaCloud", "core.chinacloudapi.cn"),
    ],
)
def test_u5_metadata_names_the_cloud(kind, name, suffix):
    with client_for(open_test_service(settings=Settings(kind=kind))) as client:
        body = client.get("/metadata/endpoints").json()
    assert (body["name"], body["suffixes"]["storage"]) == (name, suffix)


@pytest.mark.parametrize("authority", [TENANT, "common", "organizations", "adfs", f"adfs/{TENANT}"])
@pytest.mark.parametrize("version", ["/v2.0", ""])
def test_openid_configuration_leads_to_answers(client, authority, version):
    if authority == "adfs" and version:
        authority = "adfs/common"
    body = client.get(f"/{authority}{version}/.well-known/openid-configuration").json()
    for name in ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint", "jwks_uri"):
        assert body[name].startswith(f"{ENDPOINT}/{authority}/")
    keys = client.get(body["jwks_uri"].removeprefix(ENDPOINT)).json()["keys"]
    assert [key["kty"] for key in keys] == ["RSA"]
    assert client.post(body["token_endpoint"].removeprefix(ENDPOINT), data={"x": "y"}).status_code == 400
    device = body["device_authorization_endpoint"].removeprefix(ENDPOINT)
    assert client.post(device, data={"x": "y"}).json()["error_codes"] == [900144]


def test_a_stranger_can_verify_our_tokens_with_what_is_published(service, client):
    configuration = client.get(f"/{TENANT}/.well-known/openid-configuration").json()
    (key,) = client.get(configuration["jwks_uri"].removeprefix(ENDPOINT)).json()["keys"]
    token = token_for(service, "app")
    assert jwt.get_unverified_header(token)["kid"] == key["kid"]
    claims = jwt.decode(
        token,
        jwt.PyJWK(key),
        algorithms=["RS256"],
        audience=ENDPOINT,
        issuer=configuration["issuer"],
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    assert claims["tid"] == TENANT
    assert not {"d", "p", "q"} & key.keys()


@pytest.mark.parametrize(
    "path",
    [
        "/nope/v2.0/.well-known/openid-configuration",
        "/nope/.well-known/openid-configuration",
        "/adfs/nope/.well-known/openid-configuration",
        "/22222222-2222-2222-2222-222222222222/discovery/v2.0/keys",
        "/common/discovery/instance?authorization_endpoint=https://testserver/nope/oauth2/v2.0/authorize",
    ],
)
def test_an_unknown_tenant_is_refused_as_entra_does(client, path):
    answer = client.get(path)
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (400, "invalid_tenant", [90002])


def test_instance_discovery_knows_our_own_host(client):
    asked = {"api-version": "1.1", "authorization_endpoint": f"{ENDPOINT}/{TENANT}/oauth2/v2.0/authorize"}
    body = client.get("/common/discovery/instance", params=asked).json()
    assert body["tenant_discovery_endpoint"] == f"{ENDPOINT}/{TENANT}/v2.0/.well-known/openid-configuration"
    assert body["metadata"][0]["aliases"] == ["testserver"]


@pytest.mark.parametrize("asked", ["", "https://login.test/x", "https://testserver.evil.test/x", "nonsense"])
def test_instance_discovery_knows_no_other_host(client, asked):
    answer = client.get("/common/discovery/instance", params={"authorization_endpoint": asked})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_instance")


def test_a_user_realm_is_managed(client):
    body = client.get("/common/userrealm/dev@localhost?api-version=1.0").json()
    assert (body["account_type"], body["domain_name"]) == ("Managed", "localhost")


# -- managed identity ------------------------------------------------------------------------


def ask(client, service, query="", header=None):
    value = service.sign_in.identity_header if header is None else header
    return client.get(f"{IDENTITY}&resource={ENDPOINT}{query}", headers={"X-IDENTITY-HEADER": value})


def test_a_managed_identity_gets_a_token(service, client):
    body = ask(client, service).json()
    assert service.tokens.accept(body["access_token"], now=service.now()).name == "identity"
    assert (body["token_type"], body["resource"], body["client_id"]) == ("Bearer", ENDPOINT, "identity")
    assert int(body["expires_on"]) == int(service.now().timestamp()) + 3600


@pytest.mark.parametrize("name", ["client_id=second", "object_id=22222222-0000-0000-0000-000000000009"])
def test_a_managed_identity_can_be_named(service, client, name):
    assert ask(client, service, f"&{name}").json()["client_id"] == "second"


@pytest.mark.parametrize("name", ["nobody", "app"])  # app signs in with its secret
def test_a_managed_identity_that_there_is_not_is_refused(service, client, name):
    assert ask(client, service, f"&client_id={name}").status_code == 400


@pytest.mark.parametrize("header", ["", "wrong", "é".encode()])
def test_a_managed_identity_needs_the_header(service, client, header):
    answer = ask(client, service, header=header)
    assert answer.status_code == 401
    assert service.sign_in.identity_header not in answer.text


def test_a_managed_identity_needs_version_and_resource(service, client):
    headers = {"X-IDENTITY-HEADER": service.sign_in.identity_header}
    assert client.get(f"/ttylab/identity/token?resource={ENDPOINT}", headers=headers).status_code == 400
    assert client.get(IDENTITY, headers=headers).status_code == 400


def test_each_service_has_a_header_of_its_own():
    first, second = open_test_service(), open_test_service()
    assert len(first.sign_in.identity_header) >= 32
    assert first.sign_in.identity_header != second.sign_in.identity_header
