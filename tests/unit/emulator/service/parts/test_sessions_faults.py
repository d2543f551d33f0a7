"""Faults of the live service on purpose: each strikes as it says, and none is on by default."""

import pytest
from starlette.websockets import WebSocketDisconnect

from emulator.cloud.settings import Fault, Settings
from emulator.service.console.gateway import FIRST_FRAME
from emulator.service.parts.sessions import Faults
from tests.support.service_lab import bearer, client_for, demo_vm_id, open_test_service, token_for

CONNECT = (
    f"{demo_vm_id('linux1')}/providers/Microsoft.SerialConsole/serialPorts/0/connect?api-version=2024-07-01"
)


def with_fault(fault: Fault, **fields):
    return Settings(faults=frozenset({fault}), **fields)


def connect(client, service) -> str:
    answer = client.post(CONNECT, headers=bearer(service))
    assert answer.status_code == 200
    return answer.json()["connectionString"].removeprefix("wss://testserver")


def test_nothing_is_on_by_default():
    faults = Faults(Settings())
    assert not any((faults.refuses_trust(), faults.conflicts(), faults.stays_silent()))
    assert (faults.first_frame_delay_s(), faults.drops_after_s()) == (0.0, None)


def test_conflict_strikes_every_other_connect_with_the_documented_text():
    service = open_test_service(settings=with_fault(Fault.CONFLICT))
    with client_for(service) as client:
        first, second = (client.post(CONNECT, headers=bearer(service)) for _ in range(2))
    assert (first.status_code, second.status_code) == (409, 200)
    assert "Another connection is currently in progress" in first.json()["error"]["message"]


def test_no_response_ends_in_the_documented_text():
    service = open_test_service(settings=with_fault(Fault.NO_RESPONSE, silence_s=0.01))
    with client_for(service) as client:
        answer = client.post(CONNECT, headers=bearer(service))
    assert answer.status_code == 504
    assert "did not respond in a timely manner" in answer.json()["error"]["message"]


def test_late_first_frame_comes_after_its_delay_and_the_link_works():
    settings = with_fault(Fault.LATE_FIRST_FRAME, late_frame_s=0.05)
    service = open_test_service(settings=settings)
    with client_for(service) as client, client.websocket_connect(connect(client, service)) as socket:
        socket.send_text(token_for(service, "app"))
        assert socket.receive_text() == FIRST_FRAME
    assert service.faults.first_frame_delay_s() == 0.05


def test_dropped_link_ends_without_a_notice():
    service = open_test_service(settings=with_fault(Fault.DROPPED_LINK, drop_after_s=0.05))
    with client_for(service) as client, client.websocket_connect(connect(client, service)) as socket:
        assert socket.receive_text() == FIRST_FRAME
        socket.send_text(token_for(service, "app"))
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 1011
