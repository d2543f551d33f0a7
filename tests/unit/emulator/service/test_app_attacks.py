"""What nobody may get by asking oddly: paths that climb, forms of other sites, sessions of others."""

import pytest

from tests.support.service_lab import bearer, client_for, demo_vm_id, open_test_service, token_for

VM = str(demo_vm_id("linux1"))
VERSION = "api-version=2024-07-01"


@pytest.fixture(scope="module")
def service():
    return open_test_service()


@pytest.fixture(scope="module")
def client(service):
    with client_for(service) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/page/../app.py",
        "/page/%2e%2e/%2e%2e/records.py",
        "/page/..%2f..%2fetc%2fpasswd",
        "/page//etc/passwd",
        "/blobs/managed/../../etc/passwd",
        "/blobs/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/ttylab/guests/../../etc/passwd",
        f"{VM}/../../../../{VM}",
        f"{VM}%00",
        f"{VM}%2f..%2fwin1",
        "/subscriptions/" + "a" * 3000,
        "/n/connector/x/sessions/../../client",
    ],
)
def test_path_that_climbs_gets_nothing(client, service, path):
    answer = client.get(f"{path}?{VERSION}", headers=bearer(service))
    assert 400 <= answer.status_code < 500
    assert "root:" not in answer.text


@pytest.mark.parametrize("verb", ["start", "deallocate", "redeploy"])
def test_form_of_another_site_does_nothing(client, verb):
    """A browser would send its cookies with such a form; there are none, and nothing else is taken."""
    form = {"Origin": "https://evil.example", "Content-Type": "application/x-www-form-urlencoded"}
    answer = client.post(f"{VM}/{verb}?{VERSION}", headers=form, content="x=y")
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers


def test_token_in_a_query_or_a_form_opens_nothing_of_resource_manager(client, service):
    token = token_for(service, "app")
    assert client.get(f"{VM}?{VERSION}&authorization={token}&access_token={token}").status_code == 401
    assert client.post(f"{VM}/start?{VERSION}", data={"access_token": token}).status_code == 401


@pytest.mark.parametrize("scheme", ["Basic", "Digest", "bearer\t", "", "Bearer Bearer"])
def test_other_schemes_are_refused(client, service, scheme):
    header = {"Authorization": f"{scheme} {token_for(service, 'app')}"}
    assert client.get(f"{VM}?{VERSION}", headers=header).status_code == 401


def test_session_of_somebody_else_gives_no_command(client, service):
    connect = f"{VM}/providers/Microsoft.SerialConsole/serialPorts/0/connect?{VERSION}"
    url = client.post(connect, headers=bearer(service)).json()["connectionString"]
    command = url.removeprefix("wss://testserver").replace("/client", "/adminCommand/nmi")
    answer = client.post(command, json={}, headers=bearer(service, "vmonly"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "AuthorizationFailed")


def test_no_answer_shows_a_token(client, service):
    token = token_for(service, "reader")
    answer = client.post(
        f"{VM}/start?{VERSION}&authorization={token}", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 403
    assert token not in answer.text + str(answer.headers)
