"""The server on a real port, guests in memory: what it answers, refuses, and says when it ends."""

import json
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close
from websockets.sync.client import ClientConnection, connect

from emulator.errors import SpecError, StateError
from emulator.service.https import server
from emulator.service.https import server as http_protocol
from emulator.service.https.middleware import BODY_MAX
from emulator.service.https.server import HEAD_MAX, MESSAGE_MAX, ServerConfig, bind, endpoint_of
from emulator.service.running_service import STOPPED
from harness.serving.access import ServiceAccess
from tests.support.fake_fleet import FakeFleet
from tests.support.served_sockets import (
    WAIT_S,
    link_to,
    open_socket,
    post,
    served,
    upgrade,
)


@pytest.fixture(scope="module")
def fleet() -> FakeFleet:
    return FakeFleet()


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory, fleet: FakeFleet) -> Iterator[ServiceAccess]:
    with served(tmp_path_factory.mktemp("served"), fleet) as access:
        yield access


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServiceAccess]:
    """A server that waits for nobody's head."""
    monkeypatch.setattr(ServerConfig, "head_s", 0.2)
    with served(tmp_path) as access:
        yield access


def get(access: ServiceAccess, path: str, **more) -> requests.Response:
    return requests.get(access.endpoint + path, verify=str(access.ca), timeout=WAIT_S, **more)


def exchange(access: ServiceAccess, *parts: bytes, after: bytes = b"") -> bytes:
    """Return all that comes until the server ends the connection.

    Of `parts` the second and all that follow are sent once `after` has come.
    """
    with open_socket(access) as connection:
        answer = b""
        with suppress(BrokenPipeError, ConnectionResetError):  # it may say no before the end
            for part in parts:
                connection.sendall(part)
                while after not in answer:
                    answer += connection.recv(65536)
        with suppress(ConnectionResetError, ssl.SSLEOFError):
            while more := connection.recv(65536):
                answer += more
        return answer


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def read_to_end(link: ClientConnection) -> tuple[str, Close]:
    """Return what comes until the service closes, and its close."""
    shown = "".join(str(message) for message in frames_of(link))
    assert link.protocol.close_rcvd is not None
    return shown, link.protocol.close_rcvd


def frames_of(link: ClientConnection) -> Iterator[str | bytes]:
    with suppress(ConnectionClosed):
        while True:
            yield link.recv(WAIT_S)


def test_health_is_200_while_guests_can_be_reached(access: ServiceAccess) -> None:
    answer = get(access, "/health")
    assert answer.status_code == 200
    assert answer.json() == {"healthy": True, "status": "healthy", "problems": []}


def test_health_is_503_with_reasons_otherwise(access: ServiceAccess, fleet: FakeFleet) -> None:
    fleet.trouble.append("image bookworm-grub is not built; run: ttylab images build bookworm-grub")
    try:
        answer = get(access, "/health")
    finally:
        fleet.trouble.clear()
    assert answer.status_code == 503
    assert answer.json()["healthy"] is False
    assert "ttylab images build" in answer.json()["problems"][0]


def test_authority_is_served(access: ServiceAccess) -> None:
    assert get(access, "/ca.pem").content == access.ca.read_bytes()


def test_metrics_count_requests_by_route(access: ServiceAccess) -> None:
    get(access, "/ca.pem")
    get(access, "/such/a/secret-path")
    shown = get(access, "/metrics").text
    assert 'ttylab_requests_total{method="GET",route="/ca.pem",status="200"}' in shown
    assert 'route="none",status="404"' in shown
    assert "secret-path" not in shown
    assert "ttylab_links_open 0.0" in shown


def test_answers_have_careful_headers_and_no_servers_name(access: ServiceAccess) -> None:
    headers = get(access, "/nowhere", headers={"x-ms-correlation-request-id": "mine"}).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["x-ms-correlation-request-id"] == "mine"
    assert headers["x-ms-request-id"]
    assert "server" not in headers


def test_correlation_id_that_is_none_is_not_echoed(access: ServiceAccess) -> None:
    headers = get(access, "/nowhere", headers={"x-ms-correlation-request-id": "a b" * 50}).headers
    assert headers["x-ms-correlation-request-id"] == headers["x-ms-request-id"]


@pytest.mark.parametrize("host", ["evil.test", "localhost.evil.test", "localhost@evil.test"])
def test_foreign_host_is_refused(access: ServiceAccess, host: str) -> None:
    assert get(access, "/ca.pem", headers={"Host": host}).status_code in {400, 421}


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8443", "LOCALHOST"])
def test_own_host_is_taken_on_any_port(access: ServiceAccess, host: str) -> None:
    assert get(access, "/ca.pem", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("hosts", [b"", b"Host: localhost\r\nHost: evil.test\r\n"])
def test_request_without_one_host_is_refused(access: ServiceAccess, hosts: bytes) -> None:
    answer = exchange(access, b"GET /ca.pem HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n")
    assert status_of(answer) == 400
    assert b"InvalidHostHeader" in answer


def test_websocket_of_a_foreign_host_is_refused(access: ServiceAccess) -> None:
    answer = exchange(
        access,
        b"GET /n/connector/c/sessions/s/client HTTP/1.1\r\nHost: evil.test\r\nConnection: Upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    assert status_of(answer) == 403


@pytest.mark.parametrize("length", [str(BODY_MAX + 1), "9" * 40])
def test_body_that_says_it_is_too_large_is_refused_unread(access: ServiceAccess, length: str) -> None:
    answer = exchange(access, post(f"Content-Length: {length}"))
    assert status_of(answer) in {400, 413}  # llhttp itself refuses what no machine can hold


def test_body_too_large_has_the_form_of_all_errors(access: ServiceAccess) -> None:
    answer = exchange(access, post(f"Content-Length: {BODY_MAX + 1}"))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "RequestEntityTooLarge"
    assert b"connection: close" in answer.lower()


def test_body_that_grows_too_large_is_refused(access: ServiceAccess) -> None:
    chunk = b"%x\r\n%s\r\n" % (65536, b"x" * 65536)
    assert status_of(exchange(access, post("Transfer-Encoding: chunked"), *[chunk] * 17)) == 413


def test_body_of_allowed_size_reaches_the_routes(access: ServiceAccess) -> None:
    body = b"x" * BODY_MAX
    assert status_of(exchange(access, post(f"Content-Length: {len(body)}", body))) == 404


def test_head_that_is_too_large_is_refused(access: ServiceAccess) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * (2 * HEAD_MAX)
    assert status_of(exchange(access, head)) == 431


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"\r\n",
        b"GET / HTTP/1.1\r\nHost: local",
        b"GET /ca.pem HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHo",
    ],
)
def test_request_that_does_not_end_ends_the_connection(hasty: ServiceAccess, begun: bytes) -> None:
    assert b" 408 " in exchange(hasty, begun)


def test_rest_of_a_body_that_was_refused_is_not_awaited(hasty: ServiceAccess) -> None:
    answer = exchange(hasty, post(f"Content-Length: {BODY_MAX + 1}", b"x"))
    assert status_of(answer) == 413


def test_connections_beyond_the_limit_are_refused(
    access: ServiceAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "CONNECTIONS_MAX", 0)
    assert status_of(exchange(access, b"")) == 503


def test_garbage_is_answered_with_400(access: ServiceAccess) -> None:
    assert status_of(exchange(access, b"\x16\x03garbage\r\n\r\n")) == 400


def test_plain_http_ends_at_once(access: ServiceAccess) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get(access.endpoint.replace("https:", "http:") + "/health", timeout=WAIT_S)


def test_log_has_no_query_and_no_session(access: ServiceAccess, caplog: pytest.LogCaptureFixture) -> None:
    path = "/n/connector/c/sessions/hidden-session/client?authorization=hidden-token"
    context = ssl.create_default_context(cafile=access.ca)
    with caplog.at_level(logging.DEBUG):
        get(access, path)
        with pytest.raises(InvalidStatus):
            connect(access.endpoint.replace("https", "wss") + path, ssl=context, open_timeout=WAIT_S)
    ours = [one.getMessage() for one in caplog.records if one.name.startswith(("emulator", "uvicorn"))]
    assert any("/sessions/" in line for line in ours)
    assert not [line for line in ours if "hidden" in line or "authorization" in line]


def test_link_has_no_deflate_and_bounded_messages(access: ServiceAccess) -> None:
    with link_to(access, "linux2") as link:
        assert link.protocol.extensions == []
        link.send(b"x" * (MESSAGE_MAX + 1))
        _, end = read_to_end(link)
    assert end.code == 1009


def close_code_in(answer: bytes) -> int:
    """Return the code of the close frame at the end of what a server sent."""
    at = answer.rindex(b"\x88")
    return int.from_bytes(answer[at + 2 : at + 4], "big")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x01a", 1002),  # not masked
        (b"\xf1\x81\x00\x00\x00\x00a", 1002),  # reserved bits
        (b"\x8f\x80\x00\x00\x00\x00", 1002),  # no such opcode
        (b"\x81\x81\x00\x00\x00\x00\xff", 1007),  # not UTF-8
        (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", 1009),
    ],
)
def test_broken_frame_ends_the_link_with_its_code(access: ServiceAccess, frame: bytes, code: int) -> None:
    answer = exchange(access, upgrade(access, "linux1"), frame, after=b"Connecting...")
    assert close_code_in(answer) == code


def test_half_open_link_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PING_S", 0.1)
    with served(tmp_path) as access:
        answer = exchange(access, upgrade(access, "linux1"))  # and not a word more
    assert close_code_in(answer) == 1011
    assert b"keepalive ping timeout" in answer


def test_connection_that_says_nothing_does_not_get_through_its_handshake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HANDSHAKE_S", 0.3)
    with served(tmp_path) as access, ExitStack() as idle:
        port = int(access.endpoint.rpartition(":")[2])
        mute = [
            idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=WAIT_S))
            for _ in range(50)
        ]
        assert get(access, "/ca.pem").status_code == 200
        assert all(end_of(one) for one in mute)


def end_of(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_end_of_the_service_is_told_to_links(tmp_path: Path) -> None:
    with ExitStack() as links:
        with served(tmp_path) as access:
            link = links.enter_context(link_to(access))  # it outlives the service
        shown, end = read_to_end(link)
    assert STOPPED in shown
    assert (end.code, end.reason) == (1001, STOPPED)


def test_port_in_use_is_refused_with_a_remedy() -> None:
    first = bind("127.0.0.1", 0)
    with first.socket, pytest.raises(StateError, match=r"in use; choose another with --port"):
        bind("127.0.0.1", int(first.endpoint.rpartition(":")[2]))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.test"])
def test_host_open_to_the_world_is_refused(host: str) -> None:
    with pytest.raises(SpecError, match="loopback"):
        bind(host, 0)


def test_port_out_of_range_is_refused() -> None:
    with pytest.raises(SpecError, match="65535"):
        bind("127.0.0.1", 70000)


def test_public_name_with_ws_is_refused() -> None:
    with pytest.raises(SpecError, match='must not contain "ws"'):
        bind("127.0.0.1", 0, public_host="windows-lab.test")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "https://localhost:1"),
        ("localhost", "https://localhost:1"),
        ("127.0.0.9", "https://127.0.0.9:1"),
        ("::1", "https://[::1]:1"),
        ("lab.test", "https://lab.test:1"),
    ],
)
def test_endpoint_names_the_host_as_clients_do(host: str, expected: str) -> None:
    assert endpoint_of(host, 1) == expected
