"""Access tokens: what is accepted, and every way to forge one."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from emulator.cloud.records import Principal
from emulator.errors import CloudError
from emulator.service.core.call import accept_token
from emulator.service.parts.tokens import TOKEN_MAX, TokenKey
from tests.support.service_lab import (
    ENDPOINT,
    START,
    SUBSCRIPTION,
    TENANT,
    client_for,
    open_test_service,
    token_for,
)

OTHER_TENANT = "99999999-9999-9999-9999-999999999999"
LIST = f"/subscriptions/{SUBSCRIPTION}/resourceGroups?api-version=2024-11-01"
NOW = int(START.timestamp())


@pytest.fixture
def service():
    return open_test_service()


def claims_of(service, **changes):
    claims = jwt.decode(token_for(service, "app"), options={"verify_signature": False})
    claims.update(changes)
    return {name: value for name, value in claims.items() if value is not None}


def forge(service, *, key=None, header=None, **changes):
    """Return a token like one of ours but for the changes; None takes a claim away."""
    key = key or service.tokens.key
    headers = {"kid": key.id, **(header or {})}
    return jwt.encode(claims_of(service, **changes), key._key, algorithm="RS256", headers=headers)


def segments(header, claims, signature=b""):
    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    first = ".".join(encode(json.dumps(part).encode()) for part in (header, claims))
    return f"{first}.{encode(signature)}"


def refusal(service, token):
    with pytest.raises(CloudError) as caught:
        accept_token(service, token)
    assert caught.value.status == 401
    assert len(token) < 20 or token[:20] not in caught.value.message
    return caught.value.code


def test_a_token_of_ours_is_accepted(service):
    claims = accept_token(service, forge(service))
    assert (claims.name, claims.tenant, claims.expires) == ("app", TENANT, NOW + 3600)


@pytest.mark.parametrize("audience", [ENDPOINT, f"{ENDPOINT}/", "https://management.azure.com/"])
def test_a_token_for_resource_manager_is_accepted(service, audience):
    assert accept_token(service, forge(service, aud=audience)).name == "app"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE"])
def test_alg_none_is_refused(service, algorithm):
    token = segments({"alg": algorithm, "typ": "JWT"}, claims_of(service))
    assert refusal(service, token) == "InvalidAuthenticationToken"


@pytest.mark.parametrize("encoding", [serialization.Encoding.PEM, serialization.Encoding.DER])
def test_hs256_signed_with_the_public_key_is_refused(service, encoding):
    public = service.tokens.key._key.public_key()
    secret = public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    unsigned = segments({"alg": "HS256", "kid": service.tokens.key.id}, claims_of(service)).rpartition(".")[0]
    digest = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
    token = f"{unsigned}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    assert refusal(service, token) == "InvalidAuthenticationToken"


def test_another_key_is_refused(service):
    assert refusal(service, forge(service, key=TokenKey.generate())) == "InvalidAuthenticationToken"


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "../../../../dev/null"},
        {"kid": "x' UNION SELECT 'key"},
        {"kid": ""},
        {"jku": f"{ENDPOINT}/evil/keys"},
        {"x5u": "https://evil.test/cert"},
        {"crit": ["exp"], "exp": 1},
    ],
)
def test_another_key_is_refused_whatever_the_header_says(service, header):
    assert (
        refusal(service, forge(service, key=TokenKey.generate(), header=header))
        == "InvalidAuthenticationToken"
    )


def test_a_key_that_comes_in_the_header_is_refused(service):
    key = TokenKey.generate()
    assert (
        refusal(service, forge(service, key=key, header={"jwk": key.jwk()})) == "InvalidAuthenticationToken"
    )


def test_changed_claims_are_refused(service):
    header, _, signature = token_for(service, "reader").split(".")
    changed = segments({}, claims_of(service)).split(".")[1]
    assert refusal(service, f"{header}.{changed}.{signature}") == "InvalidAuthenticationToken"


@pytest.mark.parametrize(
    "audience", ["https://graph.microsoft.com", f"{ENDPOINT}.evil.test", "", ["https://management.azure.com"]]
)
def test_another_audience_is_refused(service, audience):
    assert refusal(service, forge(service, aud=audience)) == "InvalidAuthenticationTokenAudience"


@pytest.mark.parametrize(
    "issuer", ["https://evil.test/", f"{ENDPOINT}/{OTHER_TENANT}/", f"{ENDPOINT}/{TENANT}/v2.0"]
)
def test_another_issuer_is_refused(service, issuer):
    assert refusal(service, forge(service, iss=issuer)) in {
        "InvalidAuthenticationTokenIssuer",
        "InvalidAuthenticationToken",
    }


def test_an_expired_token_is_refused(service):
    token = forge(service)
    service.now.advance(3600)
    assert refusal(service, token) == "ExpiredAuthenticationToken"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_from_the_future_is_refused(service, claim):
    assert refusal(service, forge(service, **{claim: NOW + 61})) == "InvalidAuthenticationToken"


def test_a_clock_that_is_a_minute_ahead_is_borne(service):
    assert accept_token(service, forge(service, nbf=NOW + 60, iat=NOW + 60)).name == "app"


@pytest.mark.parametrize("claim", ["oid", "tid", "iss", "aud", "exp", "nbf", "iat", "uti"])
def test_a_token_without_a_claim_is_refused(service, claim):
    refusal(service, forge(service, **{claim: None}))


@pytest.mark.parametrize("value", ["soon", True, float("nan"), float("inf"), 10**400, [1], {}])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_a_time_that_is_none_is_refused(service, claim, value):
    claims = claims_of(service) | {claim: value}
    refusal(service, service.tokens.key.sign(claims))


def test_a_principal_of_another_tenant_is_refused(service):
    token = forge(service, tid=OTHER_TENANT, iss=f"{ENDPOINT}/{OTHER_TENANT}/")
    assert refusal(service, token) == "InvalidAuthenticationToken"


def test_another_tenant_cannot_see_our_subscription(service):
    (app,) = (one for one in service.cloud.all(Principal) if one.name == "app")
    stranger = replace(app, id=OTHER_TENANT, tenant=OTHER_TENANT, name="stranger", app_id="stranger")
    service.cloud.put(stranger)
    with client_for(service) as client:
        header = {"Authorization": f"Bearer {token_for(service, 'stranger')}"}
        answer = client.get(LIST, headers=header)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "InvalidAuthenticationTokenTenant"
        assert client.get("/subscriptions?api-version=2022-12-01", headers=header).json()["value"] == []


def test_a_removed_principal_is_refused(service):
    token = token_for(service, "app")
    (app,) = (one for one in service.cloud.all(Principal) if one.name == "app")
    service.cloud.remove(app)
    assert refusal(service, token) == "InvalidAuthenticationToken"


def test_a_giant_token_is_refused_unread(service):
    assert refusal(service, forge(service, name="x" * TOKEN_MAX)) == "InvalidAuthenticationToken"


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.é.é", "\x00", "." * 9000, "e30.e30.e30"])
def test_garbage_is_refused(service, token):
    assert refusal(service, token) == "InvalidAuthenticationToken"


def test_an_id_token_opens_nothing(service):
    with client_for(service) as client:
        form = {
            "grant_type": "password",
            "client_id": "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
            "username": "dev@localhost",
            "password": "ttylab",
            "scope": f"openid {ENDPOINT}/.default",
        }
        answer = client.post(f"/{TENANT}/oauth2/v2.0/token", data=form).json()
        refused = client.get(LIST, headers={"Authorization": f"Bearer {answer['id_token']}"})
        assert refused.status_code == 401
        assert (
            client.get(LIST, headers={"Authorization": f"Bearer {answer['access_token']}"}).status_code == 200
        )


@pytest.mark.parametrize("header", [None, "", "Basic YTpi", "Bearer", "Bearer ", "bearer x", "Token x"])
def test_a_request_without_a_token_is_unauthorized(service, header):
    with client_for(service) as client:
        answer = client.get(LIST, headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer authorization_uri=")
