"""The gateway frame by frame (docs/facts/azure.md 3), over the whole application with guests in memory."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from emulator.cloud.records import Principal, RoleAssignment, VirtualMachine
from emulator.cloud.settings import Fault, Settings
from emulator.errors import ControlError
from emulator.service.console.gateway import FIRST_FRAME, NOT_TRUSTED
from emulator.service.core.context import Service
from emulator.service.parts.links import TAKEN_OVER
from tests.support.service_lab import (
    SUBSCRIPTION,
    bearer,
    client_for,
    demo_instance_id,
    demo_vm_id,
    fake_fleet_of,
    open_test_service,
    token_for,
)

PORT = "providers/Microsoft.SerialConsole/serialPorts/0"


@pytest.fixture
def service():
    return open_test_service()


@pytest.fixture
def client(service):
    with client_for(service) as client:
        yield client


def connect(client, service: Service, *, vm: str = "linux1", name: str = "app") -> str:
    """Return the path of a new session's client."""
    answer = client.post(
        f"{demo_vm_id(vm)}/{PORT}/connect?api-version=2024-07-01", headers=bearer(service, name)
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["connectionString"].removeprefix("wss://testserver")


def guest_of(service: Service, vm: str = "linux1"):
    machine = service.cloud.find(VirtualMachine, demo_vm_id(vm).key)
    assert machine is not None
    return fake_fleet_of(service).guest(machine)


def text_until(socket, ending: str) -> str:
    """Return the text that comes until it ends in `ending`."""
    text = ""
    while not text.endswith(ending):
        text += socket.receive_text()
    return text


def test_connection_string_survives_what_az_makes_of_it(client, service):
    path = connect(client, service)
    whole = f"wss://testserver{path}"
    assert whole.removeprefix("wss").count("ws") == 0
    assert whole.count("/client") == 1
    assert whole.endswith("/client")


def test_link_greets_at_once_and_shows_the_guest_after_the_token(client, service):
    guest = guest_of(service)
    guest.says_at_power_on = b"SeaBIOS\r\n"
    with client.websocket_connect(connect(client, service)) as socket:
        assert socket.receive_text() == FIRST_FRAME
        socket.send_text(token_for(service, "app"))
        assert text_until(socket, "SeaBIOS\r\n") == "SeaBIOS\r\n"


def test_token_may_come_before_the_first_frame_is_read(client, service):
    guest = guest_of(service)
    guest.says_at_power_on = b"login: "
    with client.websocket_connect(connect(client, service)) as socket:
        socket.send_text(token_for(service, "app"))
        assert socket.receive_text() == FIRST_FRAME
        assert text_until(socket, "login: ") == "login: "


def test_query_token_is_accepted_and_its_repeats_are_swallowed(client, service):
    guest = guest_of(service)
    guest.says_at_power_on = b"login: "
    guest.echoes = True
    token = token_for(service, "app")
    path = f"{connect(client, service)}?authorization={token}&new=1"
    with client.websocket_connect(path) as socket:
        socket.send_text(token)
        assert socket.receive_text() == FIRST_FRAME
        text_until(socket, "login: ")
        socket.send_text(token)
        socket.send_text("root\r")
        assert text_until(socket, "root\r") == "root\r"
    assert bytes(guest.typed) == b"root\r"


def test_newer_token_renews_the_link_and_is_not_typed(client, service):
    guest = guest_of(service)
    guest.echoes = True
    with client.websocket_connect(connect(client, service)) as socket:
        socket.receive_text()
        socket.send_text(token_for(service, "app"))
        socket.send_text(token_for(service, "app", lifetime_s=7200))
        socket.send_text("x")
        assert text_until(socket, "x") == "x"
    assert bytes(guest.typed) == b"x"


@pytest.mark.parametrize("loss", ["expired", "audience", "principal", "signature"])
def test_token_that_is_refused_late_is_neither_typed_nor_logged(client, service, caplog, loss):
    guest = guest_of(service)
    guest.echoes = True
    other = {"expired": {"lifetime_s": -1}, "audience": {"audience": "https://elsewhere.test"}}.get(loss, {})
    bad = token_for(service, "dev@localhost" if loss == "principal" else "app", **other)
    bad = bad[:-20] + "A" * 20 if loss == "signature" else bad
    with caplog.at_level("DEBUG"), client.websocket_connect(connect(client, service)) as socket:
        socket.receive_text()
        socket.send_text(token_for(service, "app"))
        for form in (bad, f"Bearer {bad}", f" {bad}\r\n"):
            socket.send_text(form)
            socket.send_bytes(form.encode())
        socket.send_text(bad[:200])
        socket.send_text(bad[200:])
        socket.send_text("x")
        assert text_until(socket, "x") == "x"
    assert bytes(guest.typed) == b"x"
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("emulator")]
    assert not [line for line in ours if "eyJ" in line or bad[-50:] in line]


@pytest.mark.parametrize("first", ["root\r", "Bearer x", "eyJhbGciOiJub25lIn0.e30."])
def test_link_is_closed_as_not_trusted_when_the_first_message_is_no_token(client, service, first):
    with client.websocket_connect(connect(client, service)) as socket:
        assert socket.receive_text() == FIRST_FRAME
        socket.send_text(first)
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert (closed.value.code, closed.value.reason) == (1011, NOT_TRUSTED)
    assert bytes(guest_of(service).typed) == b""


def test_link_is_not_trusted_by_the_token_of_somebody_else(client, service):
    with client.websocket_connect(connect(client, service)) as socket:
        socket.receive_text()
        socket.send_text(token_for(service, "dev@localhost"))
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 1011


def test_unknown_session_refuses_the_upgrade(client):
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect("/n/connector/consoleconn-0/sessions/none/client"),
    ):
        pass
    assert refused.value.status_code == 404


def test_page_of_another_site_is_refused_and_our_own_and_az_are_not(client, service):
    path = connect(client, service)
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(path, headers={"Origin": "https://evil.example"}),
    ):
        pass
    assert refused.value.status_code == 403
    for origin in ("https://testserver", "https://127.0.0.1"):
        with client.websocket_connect(path, headers={"Origin": origin}) as socket:
            assert socket.receive_text() == FIRST_FRAME


def test_input_may_be_text_or_binary_and_empty_messages_are_ignored(client, service):
    guest = guest_of(service)
    guest.echoes = True
    with client.websocket_connect(connect(client, service)) as socket:
        socket.receive_text()
        socket.send_text(token_for(service, "app"))
        socket.send_text("")
        socket.send_bytes(b"")
        socket.send_text("é")
        socket.send_bytes(b"\x1d\x00")
        text_until(socket, "\x00")
    assert bytes(guest.typed) == "é".encode() + b"\x1d\x00"


def test_character_is_never_split_between_frames_and_other_bytes_are_replaced(client, service):
    guest = guest_of(service)
    with client.websocket_connect(connect(client, service)) as socket:
        socket.receive_text()
        socket.send_text(token_for(service, "app"))
        for byte in "…é".encode():
            guest.feed(bytes([byte]))
        guest.feed(b"\xff!")
        assert text_until(socket, "!") == "…é\ufffd!"


def test_beginning_of_a_character_that_never_ends_is_replaced(client, service):
    guest = guest_of(service)
    with client.websocket_connect(connect(client, service)) as socket:
        socket.receive_text()
        socket.send_text(token_for(service, "app"))
        guest.feed(b"a\xe2")
        text_until(socket, "a")
        guest.transcript.close("the virtual machine is gone")
        assert text_until(socket, "\ufffd") == "\ufffd"


def test_second_link_takes_over_and_the_first_is_told_in_band(client, service):
    guest = guest_of(service)
    guest.says_at_power_on = b"login: "
    with client.websocket_connect(connect(client, service)) as first:
        first.receive_text()
        first.send_text(token_for(service, "app"))
        text_until(first, "login: ")
        with client.websocket_connect(connect(client, service, name="dev@localhost")) as second:
            second.receive_text()
            second.send_text(token_for(service, "dev@localhost"))
            assert (
                text_until(second, "login: ") == "login: "
            )  # the same guest session, its prompt shown again
            assert TAKEN_OVER in text_until(first, f"{TAKEN_OVER}\r\n")
            with pytest.raises(WebSocketDisconnect) as closed:
                first.receive_text()
    assert closed.value.code == 1000
    assert guest.calls.count("power_on") == 2


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"old\r\nlogin: ", "login: "),
        (b"old\r\nroot@linux1:~# \x1b[6n", "root@linux1:~# "),  # the answer would go to who reads now
        (b"old\r\nlogin: [    2.217987] clocksource: tsc\r\n", "login: [    2.217987] clocksource: tsc\r\n"),
        (b"lo[    2.217987] clocksource: tsc\r\ngin: ", "lo[    2.217987] clocksource: tsc\r\ngin: "),
        (b"old\r\n", ""),
        (b"", ""),
    ],
)
def test_new_link_is_shown_the_prompt_also_where_the_kernel_spoke_after_it(client, service, said, shown):
    guest = guest_of(service)
    guest.feed(said)
    with client.websocket_connect(connect(client, service)) as socket:
        socket.receive_text()
        socket.send_text(token_for(service, "app"))
        client.portal.call(wait_for_holder, service)
        guest.feed(b"#")
        assert text_until(socket, "#") == f"{shown}#"


async def wait_for_holder(service: Service) -> None:
    while service.links.holder(demo_vm_id("linux1")) is None:  # noqa: ASYNC110  # nobody tells of it
        await asyncio.sleep(0)


def test_link_that_is_not_trusted_yet_takes_nothing_over(client, service):
    guest = guest_of(service)
    with client.websocket_connect(connect(client, service)) as first:
        first.receive_text()
        first.send_text(token_for(service, "app"))
        with client.websocket_connect(connect(client, service)) as second:
            second.receive_text()
            guest.feed(b"still here")
            assert text_until(first, "still here") == "still here"


def test_revoked_role_ends_the_link_with_a_reason(client, service):
    with client.websocket_connect(connect(client, service, name="vmonly")) as socket:
        socket.receive_text()
        socket.send_text(token_for(service, "vmonly"))
        guest_of(service).feed(b"ready")
        text_until(socket, "ready")
        (assignment,) = (
            one for one in service.cloud.all(RoleAssignment) if one.scope == str(demo_vm_id("linux1"))
        )
        client.portal.call(service.cloud.remove, assignment)
        assert "required permissions" in text_until(socket, "permissions.\r\n")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 1008


def test_expired_token_ends_the_link_with_a_reason(client, service):
    with client.websocket_connect(connect(client, service)) as socket:
        socket.receive_text()
        socket.send_text(token_for(service, "app", lifetime_s=1))
        assert "expired" in text_until(socket, "expired.\r\n")


def test_failed_start_of_the_machine_is_said_in_band(client, service):
    guest_of(service).fail("power_on", ControlError("no such image"))
    with client.websocket_connect(connect(client, service)) as socket:
        socket.receive_text()
        socket.send_text(token_for(service, "app"))
        assert "no such image" in text_until(socket, "no such image\r\n")


def test_refused_trust_fault_strikes_every_other_time():
    service = open_test_service(settings=Settings(faults=frozenset({Fault.REFUSED_TRUST})))
    guest_of(service).says_at_power_on = b"login: "
    with client_for(service) as client:
        codes = []
        for _ in range(2):
            with client.websocket_connect(connect(client, service)) as socket:
                socket.receive_text()
                socket.send_text(token_for(service, "app"))
                try:
                    codes.append(text_until(socket, "login: "))
                except WebSocketDisconnect as closed:
                    codes.append(closed.code)
    assert codes == [1011, "login: "]


# -- admin commands --------------------------------------------------------------------------------


def admin(client, service, path: str, command: str, *, name: str = "app", **parameters: str):
    return client.post(
        path.replace("/client", f"/adminCommand/{command}"),
        json={"command": command, "requestId": f"id-{command}", "commandParameters": parameters},
        headers=bearer(service, name),
    )


def test_u15_nmi_is_injected_and_its_effect_reported(client, service):
    answer = admin(client, service, connect(client, service), "nmi")
    assert answer.status_code == 200
    assert answer.json() == {"command": "nmi", "effect": "seen", "evidence": "nmi"}
    assert guest_of(service).calls == ["power_on", "nmi"]


def test_admin_command_says_when_no_effect_was_seen(client, service):
    guest_of(service).shows_effects = False
    answer = admin(client, service, connect(client, service), "reset")
    assert (answer.status_code, answer.json()["effect"]) == (200, "no effect seen")


def test_admin_command_says_when_the_guest_refused(client, service):
    guest_of(service).refusal = "sysrq: This sysrq operation is disabled."
    answer = admin(client, service, connect(client, service), "sysrq", SysRqCommand="m").json()
    assert (answer["effect"], answer["evidence"]) == ("refused", "sysrq: This sysrq operation is disabled.")


def test_u14_sysrq_sequence_presses_its_keys_in_turn(client, service):
    answer = admin(client, service, connect(client, service), "sysrq", SysRqCommand="REISUB")
    assert answer.status_code == 200
    assert [one["key"] for one in answer.json()["keys"]] == list("reisub")
    assert guest_of(service).calls == ["power_on", *(f"sysrq {key}" for key in "reisub")]


@pytest.mark.parametrize("keys", ["", "h;", "é", "h" * 17, " "])
def test_sysrq_refuses_what_is_not_letters_and_digits(client, service, keys):
    answer = admin(client, service, connect(client, service), "sysrq", SysRqCommand=keys)
    assert answer.status_code == 400
    assert "sysrq" not in " ".join(guest_of(service).calls)


def test_sysrq_is_refused_for_windows(client, service):
    answer = admin(client, service, connect(client, service, vm="win1"), "sysrq", SysRqCommand="h")
    assert answer.status_code == 400
    assert "Linux" in answer.json()["error"]["message"]


def test_repeated_request_id_is_done_once(client, service):
    path = connect(client, service)
    first, second = (admin(client, service, path, "nmi") for _ in range(2))
    assert first.json() == second.json()
    assert guest_of(service).calls.count("nmi") == 1


def test_kept_answer_is_given_for_the_same_command_and_keys_alone(client, service):
    path = connect(client, service)
    asked = [("nmi", {}), ("reset", {}), ("sysrq", {"SysRqCommand": "h"}), ("sysrq", {"SysRqCommand": "b"})]
    answers = [
        client.post(
            path.replace("/client", f"/adminCommand/{command}"),
            json={"requestId": "one", "commandParameters": parameters},
            headers=bearer(service),
        ).json()["command"]
        for command, parameters in asked * 2
    ]
    assert answers == ["nmi", "reset", "sysrq h", "sysrq b"] * 2
    assert guest_of(service).calls.count("power_on") == 4


@pytest.mark.parametrize("loses", ["session", "role", "machine", "token"])
def test_kept_answer_is_not_given_to_who_may_not_ask(client, service, loses):
    path = connect(client, service, name="vmonly")
    assert admin(client, service, path, "nmi", name="vmonly").status_code == 200
    if loses == "role":
        for one in service.cloud.all(RoleAssignment):
            service.cloud.remove(one)
    if loses == "machine":
        service.cloud.remove(service.cloud.find(VirtualMachine, demo_vm_id("linux1").key))
    if loses == "token":
        service.now.advance(4000)
    name = "app" if loses == "session" else "vmonly"
    headers = {} if loses == "token" else bearer(service, name)
    answer = client.post(
        path.replace("/client", "/adminCommand/nmi"), json={"requestId": "id-nmi"}, headers=headers
    )
    assert 400 < answer.status_code < 500
    assert "effect" not in answer.text


def test_request_that_is_repeated_meanwhile_is_done_once(service):
    async def both() -> list[dict[str, object]]:
        session = service.sessions.open(demo_vm_id("linux1"), principal="p", now=service.now())
        done = []

        async def act() -> dict[str, object]:
            await asyncio.sleep(0)
            done.append("once")
            return {"done": len(done)}

        return await asyncio.gather(*(session.answer_once("nmi", act) for _ in range(3)))

    assert asyncio.run(both()) == [{"done": 1}] * 3


@pytest.mark.parametrize("request_id", [7, ["x"], "x" * 129])
def test_request_id_that_is_none_is_refused(client, service, request_id):
    url = connect(client, service).replace("/client", "/adminCommand/nmi")
    assert client.post(url, json={"requestId": request_id}, headers=bearer(service)).status_code == 400
    assert "nmi" not in guest_of(service).calls


def test_failed_admin_command_sends_one_more_frame(client, service):
    path = connect(client, service)
    guest_of(service).fail("nmi", ControlError("QMP refused"))
    with client.websocket_connect(path) as socket:
        assert socket.receive_text() == FIRST_FRAME
        answer = admin(client, service, path, "nmi")
        assert answer.status_code == 409
        assert "QMP refused" in answer.json()["error"]["message"]
        assert socket.receive_text() == ""


@pytest.mark.parametrize(
    ("name", "status"), [("dev@localhost", 403), ("reader", 403)], ids=["not its session", "no role"]
)
def test_admin_command_is_only_for_who_opened_the_session(client, service, name, status):
    answer = admin(client, service, connect(client, service), "nmi", name=name)
    assert answer.status_code == status
    assert "nmi" not in guest_of(service).calls


def test_admin_command_needs_a_token_and_a_known_name(client, service):
    path = connect(client, service)
    bare = client.post(path.replace("/client", "/adminCommand/nmi"), json={})
    assert bare.status_code == 401
    assert admin(client, service, path, "explode").status_code == 404


# -- ttylab's own links ----------------------------------------------------------------------------


def test_raw_link_is_not_for_another_tenant_whatever_roles_it_has(client, service):
    app = next(one for one in service.cloud.all(Principal) if one.name == "app")
    service.cloud.put(replace(app, tenant="99999999-0000-0000-0000-000000000009"))
    path = f"/ttylab/links{demo_vm_id('linux1')}"
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(path, headers=bearer(service)),
    ):
        pass
    assert refused.value.status_code == 401


def test_raw_link_types_no_token(client, service):
    guest = guest_of(service)
    guest.echoes = True
    path = f"/ttylab/links{demo_vm_id('linux1')}?from=start&mode=write"
    with client.websocket_connect(path, headers=bearer(service)) as socket:
        socket.send_text(token_for(service, "app"))
        socket.send_text(token_for(service, "reader", lifetime_s=-1))
        socket.send_text("x")
        assert socket.receive_bytes() == b"x"
    assert bytes(guest.typed) == b"x"


def test_raw_link_replays_from_an_offset_and_holds_nothing(client, service):
    guest = guest_of(service)
    guest.feed(b"0123\xff")
    path = f"/ttylab/links{demo_vm_id('linux1')}?from=2"
    with client.websocket_connect(path, headers=bearer(service)) as socket:
        assert socket.receive_bytes() == b"23\xff"
        socket.send_bytes(b"ignored")
        guest.feed(b"more")
        assert socket.receive_bytes() == b"more"
    assert bytes(guest.typed) == b""


def test_raw_link_types_where_it_asked_to(client, service):
    guest = guest_of(service)
    guest.echoes = True
    path = f"/ttylab/links{demo_instance_id('0')}?mode=write"
    with client.websocket_connect(path, headers=bearer(service)) as socket:
        guest = fake_fleet_of(service).guest(service.cloud.find(VirtualMachine, demo_instance_id("0").key))
        guest.echoes = True
        guest.feed(b"on")
        assert socket.receive_bytes() == b"on"
        socket.send_bytes(b"\x00\xff")
        assert socket.receive_bytes() == b"\x00\xff"


def test_timeline_link_tells_bytes_and_marks_in_order(client, service):
    guest = guest_of(service)
    path = f"/ttylab/links{demo_vm_id('linux1')}?from=start&format=timeline"
    guest.feed(b"ab")
    with client.websocket_connect(path, headers=bearer(service)) as socket:
        first, second = socket.receive_json(), socket.receive_json()
    assert (first["out"], first["data"]) == ([0, 2], "YWI=")
    assert second["name"] == "watching"


@pytest.mark.parametrize("query", ["from=-1", "mode=both", "format=png", "from=" + "9" * 30])
def test_raw_link_refuses_a_wrong_query(client, service, query):
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(f"/ttylab/links{demo_vm_id('linux1')}?{query}", headers=bearer(service)),
    ):
        pass
    assert refused.value.status_code == 400


def test_raw_link_needs_a_role(client, service):
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(f"/ttylab/links{demo_vm_id('linux1')}", headers=bearer(service, "reader")),
    ):
        pass
    assert refused.value.status_code == 403


def test_guest_of_a_vm_can_be_chosen_while_it_is_off(client, service):
    path = f"/ttylab/guests{demo_vm_id('linux1')}"
    answer = client.put(path, json={"image": "sid", "words": ["quiet"]}, headers=bearer(service))
    assert answer.status_code == 200, answer.text
    vm = service.cloud.find(VirtualMachine, demo_vm_id("linux1").key)
    assert vm is not None
    assert (vm.guest.image, vm.guest.words) == ("sid", ("quiet",))
    client.portal.call(guest_of(service).power_on)
    assert client.put(path, json={"image": "sid"}, headers=bearer(service)).status_code == 409
    assert client.get(path, headers=bearer(service)).json()["on"] is True
    assert SUBSCRIPTION in path


def test_knobs_and_uuid_of_a_sac_guest_can_be_chosen(client, service):
    path = f"/ttylab/guests{demo_vm_id('win1')}"
    table = {"image": "sac-2019", "memoryMib": 64, "words": ["hang=ems-off"], "uuid": str(UUID(int=7))}
    shown = client.put(path, json=table, headers=bearer(service)).json()["guest"]
    assert (shown["image"], shown["words"], shown["uuid"]) == (table["image"], table["words"], table["uuid"])
    assert shown["stands_in_for"] == "Windows"


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"words": ["hang=never"]}, 400, "hang is 'never'; allowed: none nmi-ignored"),
        ({"words": ["quiet"]}, 400, "'quiet' is not a knob of the SAC guest"),
        ({"uuid": "7"}, 400, "uuid"),
    ],
)
def test_knobs_that_no_sac_guest_has_are_refused_and_nothing_changes(client, service, change, status, says):
    vm = demo_vm_id("win1")
    before = service.cloud.find(VirtualMachine, vm.key)
    answer = client.put(f"/ttylab/guests{vm}", json={"image": "sac", **change}, headers=bearer(service))
    assert (answer.status_code, says in answer.text) == (status, True), answer.text
    assert service.cloud.find(VirtualMachine, vm.key) == before
