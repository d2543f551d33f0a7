"""The token endpoint: grants, refusals, and what never shows a secret."""

import asyncio
import base64
import json
import logging
from dataclasses import replace

import jwt
import pytest

from emulator.cloud.records import Principal
from emulator.errors import CloudError
from emulator.service.parts.sign_in import FREE, LONGEST_S, NAMES_MAX, WAITING_MAX, Throttle
from emulator.service.routes.oauth import DEVICE_GRANT
from tests.support.service_lab import ENDPOINT, TENANT, client_for, open_test_service

AZ = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
OTHER_TENANT = "99999999-9999-9999-9999-999999999999"
TOKEN = f"/{TENANT}/oauth2/v2.0/token"
SCOPE = f"{ENDPOINT}/.default"
APP = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "secret", "scope": SCOPE}
DEV = {
    "grant_type": "password",
    "client_id": AZ,
    "username": "dev@localhost",
    "password": "ttylab",
    "scope": f"{SCOPE} openid profile offline_access",
}


@pytest.fixture
def service():
    return open_test_service()


@pytest.fixture
def client(service):
    with client_for(service) as client:
        yield client


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def refused(answer, status, error, code):
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [code])
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    assert {"timestamp", "trace_id", "correlation_id"} <= body.keys()
    assert answer.headers["cache-control"] == "no-store"
    return body["error_description"]


# -- client credentials ----------------------------------------------------------------------


@pytest.mark.parametrize("authority", [TENANT, "common", "organizations", "adfs", f"adfs/{TENANT}", "ADFS"])
def test_client_credentials_give_a_token_under_every_authority(service, client, authority):
    answer = client.post(f"/{authority}/oauth2/v2.0/token", data=APP)
    body = answer.json()
    assert answer.status_code == 200
    assert body.keys() == {"token_type", "expires_in", "ext_expires_in", "access_token"}
    assert service.tokens.accept(body["access_token"], now=service.now()).name == "app"
    assert answer.headers["cache-control"] == "no-store"


def test_a_client_may_send_its_secret_in_the_header(client):
    form = {"grant_type": "client_credentials", "scope": SCOPE}
    assert client.post(TOKEN, data=form, auth=("app", "secret")).status_code == 200
    refused(client.post(TOKEN, data=form, auth=("app", "wrong")), 401, "invalid_client", 7000215)


def test_version_one_takes_a_resource_and_answers_numbers_as_text(client):
    form = {name: APP[name] for name in ("grant_type", "client_id", "client_secret")}
    resource = "https://management.azure.com/"
    body = client.post(f"/{TENANT}/oauth2/token", data=form | {"resource": resource}).json()
    assert claims_of(body["access_token"])["aud"] == resource == body["resource"]
    assert int(body["expires_on"]) - int(body["not_before"]) == int(body["expires_in"]) == 3600


@pytest.mark.parametrize(
    ("change", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": "secretX"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000218),
        ({"client_id": "nobody"}, 400, "unauthorized_client", 700016),
        ({"client_id": "dev@localhost", "client_secret": "ttylab"}, 400, "unauthorized_client", 700016),
        ({"client_id": ""}, 400, "invalid_request", 900144),
        ({"grant_type": ""}, 400, "invalid_request", 900144),
        ({"grant_type": "authorization_code"}, 400, "unsupported_grant_type", 70003),
        ({"scope": ""}, 400, "invalid_scope", 70011),
        ({"scope": f"{ENDPOINT}/user_impersonation"}, 400, "invalid_scope", 70011),
        ({"scope": f"{SCOPE} https://x.test/.default"}, 400, "invalid_scope", 70011),
        ({"scope": "javascript:x/.default"}, 400, "invalid_resource", 500011),
    ],
)
def test_client_credentials_are_refused(client, change, status, error, code):
    refused(client.post(TOKEN, data=APP | change), status, error, code)


def test_a_principal_without_a_secret_cannot_sign_in_by_one(service, client):
    (app,) = (one for one in service.cloud.all(Principal) if one.name == "app")
    service.cloud.put(replace(app, secret=None))
    refused(client.post(TOKEN, data=APP), 401, "invalid_client", 7000215)


def test_an_application_of_another_tenant_is_unknown_here(service, client):
    (app,) = (one for one in service.cloud.all(Principal) if one.name == "app")
    service.cloud.put(replace(app, id=OTHER_TENANT, tenant=OTHER_TENANT, app_id="stranger", name="stranger"))
    form = APP | {"client_id": "stranger"}
    refused(client.post(TOKEN, data=form), 400, "unauthorized_client", 700016)
    assert client.post(f"/{OTHER_TENANT}/oauth2/v2.0/token", data=form).status_code == 200
    refused(client.post(f"/{OTHER_TENANT}/oauth2/v2.0/token", data=APP), 400, "unauthorized_client", 700016)


@pytest.mark.parametrize("tenant", ["nope", "22222222-2222-2222-2222-222222222222", "..", "%00", "é"])
def test_an_unknown_tenant_is_refused(client, tenant):
    answer = client.post(f"/{tenant}/oauth2/v2.0/token", data=APP)
    if answer.status_code != 404:  # dots are taken out of paths by clients
        refused(answer, 400, "invalid_tenant", 90002)


# -- forms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("media", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
def test_another_content_type_is_refused(client, media):
    answer = client.post(TOKEN, content=b"grant_type=x", headers={"Content-Type": media})
    refused(answer, 400, "invalid_request", 900561)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"grant_type=a&grant_type=b", 400, 90100),
        (b"\xff\xfe", 400, 90014),
        (b"a=%ff", 400, 90014),
        (b"&".join(b"a%d=1" % number for number in range(60)), 400, 90014),
        (b"a=" + b"x" * 70_000, 413, 90015),
        (b"", 400, 900144),
    ],
)
def test_a_form_that_is_none_is_refused(client, body, status, code):
    media = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(client.post(TOKEN, content=body, headers=media), status, "invalid_request", code)


# -- user and password -----------------------------------------------------------------------


def test_a_password_gives_all_tokens_of_a_person(service, client):
    body = client.post("/adfs/oauth2/token", data=DEV).json()
    assert service.tokens.accept(body["access_token"], now=service.now()).name == "dev@localhost"
    (dev,) = (one for one in service.cloud.all(Principal) if one.name == "dev@localhost")
    padded = body["client_info"] + "=" * (-len(body["client_info"]) % 4)
    assert json.loads(base64.urlsafe_b64decode(padded)) == {"uid": dev.id, "utid": TENANT}
    claims = claims_of(body["id_token"])
    assert (claims["aud"], claims["oid"], claims["tid"]) == (AZ, dev.id, TENANT)
    assert claims["preferred_username"] == "dev@localhost"
    assert body["expires_in"] == 3600
    assert body["refresh_token"]


@pytest.mark.parametrize(
    ("change", "status", "error", "code"),
    [
        ({"password": "wrong"}, 400, "invalid_grant", 50126),
        ({"username": "nobody@localhost"}, 400, "invalid_grant", 50126),
        ({"username": "app", "password": "secret"}, 400, "invalid_grant", 50126),
        ({"client_id": "not-a-guid"}, 400, "unauthorized_client", 700016),
        ({"client_id": "app", "client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"password": ""}, 400, "invalid_request", 900144),
        ({"scope": "https://a.test/.default https://b.test/x"}, 400, "invalid_scope", 70011),
    ],
)
def test_a_password_grant_is_refused(client, change, status, error, code):
    refused(client.post(TOKEN, data=DEV | change), status, error, code)


# -- refresh ---------------------------------------------------------------------------------


def refresh(client, token, **change):
    form = {"grant_type": "refresh_token", "client_id": AZ, "refresh_token": token, "scope": SCOPE}
    return client.post(TOKEN, data=form | change)


def test_a_refresh_token_rotates(service, client):
    first = client.post(TOKEN, data=DEV).json()["refresh_token"]
    answer = refresh(client, first, scope="https://graph.microsoft.com/.default").json()
    assert answer["refresh_token"] != first
    assert claims_of(answer["access_token"])["aud"] == "https://graph.microsoft.com"
    service.now.advance(59)
    assert refresh(client, first).status_code == 200  # two programs at once
    service.now.advance(2)
    refused(refresh(client, first), 400, "invalid_grant", 700082)
    assert refresh(client, answer["refresh_token"], scope="").status_code == 200


def test_a_refresh_token_is_refused(service, client):
    token = client.post(TOKEN, data=DEV).json()["refresh_token"]
    refused(refresh(client, "made-up"), 400, "invalid_grant", 700082)
    refused(refresh(client, token, client_id=OTHER_TENANT), 400, "invalid_grant", 700082)
    (dev,) = (one for one in service.cloud.all(Principal) if one.name == "dev@localhost")
    service.cloud.remove(dev)
    refused(refresh(client, token), 400, "invalid_grant", 700082)


def test_a_refresh_token_ends(service, client):
    token = client.post(TOKEN, data=DEV).json()["refresh_token"]
    service.now.advance(24 * 3600)
    refused(refresh(client, token), 400, "invalid_grant", 700082)


# -- device ----------------------------------------------------------------------------------


def start(client, **change):
    answer = client.post(f"/{TENANT}/oauth2/v2.0/devicecode", data={"client_id": AZ, "scope": SCOPE} | change)
    assert answer.status_code == 200
    return answer.json()


def poll(client, code, client_id=AZ):
    return client.post(TOKEN, data={"grant_type": DEVICE_GRANT, "client_id": client_id, "device_code": code})


def enter(client, code, user="dev@localhost", password="ttylab"):
    return client.post("/device", data={"code": code, "user": user, "password": password})


def test_a_device_gets_its_token_once_somebody_has_signed_in(service, client):
    started = start(client)
    assert started["verification_uri"] == f"{ENDPOINT}/device"
    assert started["user_code"] in started["message"]
    refused(poll(client, started["device_code"]), 400, "authorization_pending", 70016)
    assert enter(client, f" {started['user_code'].lower()[:4]} {started['user_code'][4:]}").status_code == 200
    body = poll(client, started["device_code"]).json()
    assert service.tokens.accept(body["access_token"], now=service.now()).name == "dev@localhost"
    refused(poll(client, started["device_code"]), 400, "invalid_grant", 70000)


def test_a_device_code_is_refused(service, client):
    started = start(client)
    refused(poll(client, "made-up"), 400, "invalid_grant", 70000)
    refused(poll(client, started["device_code"], client_id=OTHER_TENANT), 400, "invalid_grant", 70000)
    service.now.advance(901)
    assert "didn&#39;t work" in enter(client, started["user_code"]).text
    refused(poll(client, started["device_code"]), 400, "expired_token", 70020)


def test_a_device_cannot_begin_with_a_bad_scope_or_program(client):
    path = f"/{TENANT}/oauth2/v2.0/devicecode"
    refused(client.post(path, data={"client_id": AZ, "scope": "x"}), 400, "invalid_scope", 70011)
    refused(client.post(path, data={"client_id": "x"}), 400, "unauthorized_client", 700016)


def test_the_page_refuses_a_wrong_password_and_keeps_the_code(client):
    started = start(client)
    answer = enter(client, started["user_code"], password="wrong")
    assert answer.status_code == 400
    assert started["user_code"] in answer.text
    assert "wrong" not in answer.text
    refused(poll(client, started["device_code"]), 400, "authorization_pending", 70016)


def test_the_page_escapes_what_it_shows_and_runs_no_script(client):
    evil = '"><script>x'
    shown = client.get("/device", params={"user_code": evil})
    posted = client.post("/device", data={"code": evil, "user": evil, "password": "x"})
    for answer in (shown, posted):
        assert "<script" not in answer.text
        assert "&#34;&gt;&lt;script&gt;x" in answer.text
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert "unsafe" not in policy
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", [f"/{TENANT}/oauth2/v2.0/authorize", "/adfs/oauth2/v2.0/authorize"])
def test_a_browser_that_az_opens_is_told_how_else_to_sign_in(client, path):
    answer = client.get(path, params={"client_id": AZ, "redirect_uri": "http://evil.test"})
    assert answer.status_code == 400
    assert "--use-device-code" in answer.text
    assert "location" not in answer.headers
    assert "evil" not in answer.text


def test_the_page_refuses_what_is_no_form(client):
    answer = client.post("/device", json={"code": "x"})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")


# -- slowing down and keeping quiet -----------------------------------------------------------


def test_wrong_secrets_are_answered_later_and_later_up_to_a_bound():
    pauses = []

    async def pause(seconds):
        pauses.append(seconds)

    throttle = Throttle(pause)
    for _ in range(FREE + 8):
        asyncio.run(throttle.fail("App"))
    assert len(pauses) == 8
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[1] < LONGEST_S == pauses[-1]
    throttle.clear("app")
    asyncio.run(throttle.fail("app"))
    assert len(pauses) == 8


def test_only_so_many_wait_at_once_and_the_loop_goes_on():
    async def flood():
        opened = asyncio.Event()
        throttle = Throttle(lambda _: opened.wait())
        for _ in range(FREE):
            await throttle.fail("app")
        waiting = [asyncio.create_task(throttle.fail("app")) for _ in range(WAITING_MAX)]
        await asyncio.wait(waiting, timeout=0)
        with pytest.raises(CloudError) as caught:
            await throttle.fail("app")
        assert caught.value.status == 429
        opened.set()
        await asyncio.gather(*waiting)

    asyncio.run(flood())


def test_names_that_are_guessed_do_not_pile_up():
    throttle = Throttle()

    async def guess():
        for number in range(NAMES_MAX + 50):
            await throttle.fail(str(number))

    asyncio.run(guess())
    assert len(throttle._failures) == NAMES_MAX


def test_no_secret_and_no_token_is_logged_or_shown(service, client, caplog):
    caplog.set_level(logging.DEBUG)
    body = client.post(TOKEN, data=DEV).json()
    answers = [
        client.post(TOKEN, data=APP | {"client_secret": "hunter2-wrong"}),
        client.post(TOKEN, data=DEV | {"password": "hunter2-wrong"}),
        refresh(client, "hunter2-wrong"),
        poll(client, "hunter2-wrong"),
        client.get(
            "/subscriptions?api-version=2022-12-01", headers={"Authorization": "Bearer hunter2-wrong"}
        ),
    ]
    assert all("hunter2" not in answer.text for answer in answers)
    for secret in ("hunter2", "ttylab&", body["access_token"], body["refresh_token"], body["id_token"]):
        assert secret not in caplog.text
    assert service.sign_in.identity_header not in repr(service)
