"""Resource Manager's client: reasons, busy services, long operations, tokens; on a clock that jumps."""

import json

import pytest

from emulator.clock import Deadline
from emulator.cloud.resource_id import vm_id
from harness.azure.arm import Arm, retry_after
from harness.azure.http import SecretCredential
from harness.azure.virtual_machine import Act, AzureVm, Observed, power_state_of, read_observed
from harness.scenario.errors import ServiceRefused, ServiceUnreachable
from tests.support.fake_clock import FakeClock
from tests.support.planned_arm import ADDRESS, Server, Tokens, reply

VM = vm_id("s", "g", "vm1")
POLL = "https://h/operations/1"


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def arm(server):
    return Arm(ADDRESS, server, Tokens())


@pytest.fixture
def deadline():
    return Deadline.after(60, FakeClock())


def test_call_sends_token_version_query_and_body(arm, server, deadline):
    server.plan = [reply(body={"a": 1})]
    assert arm.call(
        "PUT", "/x", version="2024-07-01", query={"q": "1"}, body={}, deadline=deadline
    ).json() == {"a": 1}
    method, url, headers, body = server.asked[0]
    assert (method, url, body) == ("PUT", "https://h/x?api-version=2024-07-01&q=1", b"{}")
    assert headers == {
        "Authorization": "Bearer token",
        "Accept": "application/json",
        "Content-Type": "application/json",
    }


def test_call_without_a_body_sends_no_content_type(arm, server, deadline):
    server.plan = [reply()]
    arm.call("POST", "/x", deadline=deadline)
    assert "Content-Type" not in server.asked[0][2]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"code": "Conflict", "message": "Another connection."}}, "Conflict: Another connection."),
        ({"code": "SubscriptionNotFound", "message": "None."}, "SubscriptionNotFound: None."),
        (None, "the service gave no reason"),
        ([1], "the service gave no reason"),
    ],
)
def test_refusal_carries_the_services_reason(arm, server, deadline, body, said):
    server.plan = [reply(409, body)]
    with pytest.raises(ServiceRefused) as caught:
        arm.call("POST", "/x?secret=1", deadline=deadline)
    assert str(caught.value) == f"POST /x was refused (409): {said}"
    assert caught.value.status == 409


def test_busy_service_is_asked_again_when_it_says(arm, server, deadline):
    server.plan = [reply(429, retry_after="7"), reply(503, retry_after="3"), reply()]
    assert arm.call("GET", "/x", deadline=deadline).status == 200
    assert deadline.clock.monotonic() == 10


def test_busy_service_is_given_up_at_the_deadline(arm, server):
    server.plan = [reply(429, {"error": {"code": "Busy", "message": "m"}}, retry_after="7")]
    with pytest.raises(ServiceRefused, match="Busy"):
        arm.call("GET", "/x", deadline=Deadline.after(5, FakeClock()))


def test_token_goes_nowhere_else(arm, server, deadline):
    server.plan = [reply(202, azure_asyncoperation="https://evil/1"), reply()]
    with pytest.raises(ServiceUnreachable, match="no token of ours may be sent"):
        arm.operate("POST", "/x", version="v", deadline=deadline)
    assert len(server.asked) == 1


def test_operation_is_polled_at_the_services_pace(arm, server, deadline):
    server.plan = [
        reply(202, azure_asyncoperation=POLL, retry_after="2"),
        reply(body={"status": "InProgress"}, retry_after="5"),
        reply(body={"status": "Succeeded"}),
    ]
    arm.operate("POST", "/x", version="v", deadline=deadline)
    assert deadline.clock.monotonic() == 7
    assert [url for _, url, _, _ in server.asked] == ["https://h/x?api-version=v", POLL, POLL]


def test_operation_with_a_location_alone_ends_with_its_status(arm, server, deadline):
    server.plan = [reply(202, location=POLL), reply(202, location=POLL), reply(200)]
    arm.operate("POST", "/x", version="v", deadline=deadline)
    assert deadline.clock.monotonic() == 2


def test_operation_that_fails_is_refused_with_its_reason(arm, server, deadline):
    server.plan = [
        reply(202, azure_asyncoperation=POLL),
        reply(body={"status": "Failed", "error": {"code": "Broken", "message": "No machine."}}),
    ]
    with pytest.raises(ServiceRefused, match=r"POST /x was accepted, and then .* Broken: No machine\."):
        arm.operate("POST", "/x", version="v", deadline=deadline)


def test_operation_that_does_not_end_is_given_up(arm, server):
    server.plan = [
        reply(202, azure_asyncoperation=POLL),
        *(reply(body={"status": "InProgress"}) for _ in range(9)),
    ]
    with pytest.raises(ServiceUnreachable, match="did not end in time"):
        arm.operate("POST", "/x", version="v", deadline=Deadline.after(5, FakeClock()))


def test_call_that_is_done_at_once_is_not_polled(arm, server, deadline):
    server.plan = [reply(204)]
    assert arm.operate("DELETE", "/x", version="v", deadline=deadline).status == 204


@pytest.mark.parametrize(
    ("said", "seconds"), [("3", 3), ("-1", 0), ("999", 30), ("Fri, 31 Dec 1999", 1), (None, 1)]
)
def test_pause_is_sane(said, seconds):
    assert retry_after(reply(**({} if said is None else {"retry_after": said}))) == seconds


# -- tokens ----------------------------------------------------------------------------------------


def test_token_is_kept_until_it_is_nearly_over(server):
    clock = FakeClock()
    server.plan = [reply(body={"access_token": f"t{n}", "expires_in": 3600}) for n in range(2)]
    credential = SecretCredential(ADDRESS, server)
    assert [credential.token(Deadline.after(9, clock)) for _ in range(2)] == ["t0", "t0"]
    clock.advance(3301)
    assert credential.token(Deadline.after(9, clock)) == "t1"
    assert server.asked[0][1] == f"https://h/{ADDRESS.tenant}/oauth2/v2.0/token"


def test_sign_in_that_fails_says_why_and_keeps_the_secret(server):
    server.plan = [reply(401, {"error": "invalid_client", "error_description": "AADSTS7000215: wrong"})]
    with pytest.raises(ServiceRefused) as caught:
        SecretCredential(ADDRESS, server).token(Deadline.after(9, FakeClock()))
    assert str(caught.value) == "signing in as app was refused (401): invalid_client: AADSTS7000215: wrong"


def test_sign_in_without_a_token_is_no_answer(server):
    server.plan = [reply(body={})]
    with pytest.raises(ServiceUnreachable, match="without a token"):
        SecretCredential(ADDRESS, server).token(Deadline.after(9, FakeClock()))


# -- a VM ------------------------------------------------------------------------------------------


def test_vm_answers_with_its_connection_string(arm, server, deadline):
    server.plan = [reply(body={"connectionString": "wss://h/n/client"})]
    assert AzureVm(arm, VM).connect(deadline) == "wss://h/n/client"
    server.plan = [reply(body={"connectionString": "https://h"})]
    with pytest.raises(ServiceUnreachable, match="not of the form"):
        AzureVm(arm, VM).connect(deadline)


def test_command_has_the_extensions_body(arm, server, deadline):
    server.plan = [reply(body={"effect": "seen", "evidence": "HELP"})]
    said = AzureVm(arm, VM).command("wss://h/n/client", Act.SYSRQ, deadline, keys="h")
    assert said == Observed(seen=True, evidence="HELP")
    method, url, _, body = server.asked[0]
    assert (method, url) == ("POST", "https://h/n/adminCommand/sysrq")
    sent = json.loads(body)
    assert (sent["command"], sent["commandParameters"]) == ("sysrq", {"SysRqCommand": "h"})


@pytest.mark.parametrize(
    ("body", "observed"),
    [
        ({"effect": "no effect seen", "evidence": ""}, Observed(seen=False)),
        ({"effect": "refused", "evidence": "no"}, Observed(seen=False, evidence="no", refused=True)),
        ({}, Observed(seen=None)),
        ({"effect": {"x": 1}}, Observed(seen=None)),
    ],
)
def test_what_was_observed_is_read(body, observed):
    assert read_observed(body) == observed


def test_power_is_changed_by_the_words_of_arm(arm, server, deadline):
    vm = AzureVm(arm, VM)
    server.plan = [reply(), reply(), reply(202, location=POLL)]
    vm.power(Act.STOP, deadline, force=True)
    vm.power(Act.START, deadline)
    vm.power(Act.STOP, deadline, wait=False)
    assert [url.partition("/vm1")[2] for _, url, _, _ in server.asked] == [
        "/powerOff?api-version=2024-07-01&skipShutdown=true",
        "/start?api-version=2024-07-01",
        "/powerOff?api-version=2024-07-01&skipShutdown=false",
    ]


def test_power_state_is_read_from_an_instance_view():
    view = {"statuses": [{"code": "ProvisioningState/succeeded"}, {"code": "PowerState/stopped"}]}
    assert power_state_of(view) == "stopped"
    assert power_state_of({"statuses": [1, {}]}) == power_state_of({}) == "unknown"
