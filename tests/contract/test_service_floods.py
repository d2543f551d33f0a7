"""A thousand connections of strangers, and callers who still get through (guests in memory)."""

import socket
import ssl
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from emulator.service.https.server import TRY_AGAIN
from harness.serving.access import ServiceAccess
from tests.support.fake_fleet import FakeFleet
from tests.support.served_sockets import (
    WAIT_S,
    link_to,
    post,
    served,
    upgrade,
)

pytestmark = pytest.mark.slow
FLOOD = 1000


def mute(access: ServiceAccess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(access.endpoint.rpartition(":")[2])), timeout=WAIT_S)


def begun(access: ServiceAccess, words: bytes, context: ssl.SSLContext) -> socket.socket:
    """Open a connection that has sent `words`; the service may have ended it already."""
    connection = context.wrap_socket(mute(access), server_hostname="localhost")
    with suppress(OSError):
        connection.sendall(words)
    return connection


def health_of(access: ServiceAccess) -> int:
    answer = requests.get(f"{access.endpoint}/health", verify=str(access.ca), timeout=WAIT_S)
    return answer.status_code


def ends_with(connection: socket.socket) -> bytes:
    """Return the status or the close code with which the service ended a connection; b"" for none."""
    said = b""
    with suppress(ConnectionResetError, ssl.SSLEOFError):
        while more := connection.recv(65536):
            said += more
    return said.rpartition(b"\x88")[2][1:3] if b"\x88" in said else said[9:12]


@pytest.mark.parametrize("kind", ["mute", "silent", "half a head", "half a body", "link without a token"])
def test_thousand_strangers_keep_no_caller_out(tmp_path: Path, kind: str) -> None:
    with served(tmp_path, FakeFleet()) as access, ExitStack() as flood:
        held = flood.enter_context(link_to(access, "linux2"))
        words = {
            "silent": b"",
            "half a head": b"GET / HTTP/1.1\r\nHost: local",
            "half a body": post("Content-Length: 9", b"{"),
            "link without a token": upgrade(access, "linux1"),
        }
        context = ssl.create_default_context(cafile=access.ca)
        strangers = [
            flood.enter_context(mute(access) if kind == "mute" else begun(access, words[kind], context))
            for _ in range(FLOOD)
        ]
        assert health_of(access) == 200
        with link_to(access, "linux1") as link:
            link.ping().wait(WAIT_S)
        assert held.ping().wait(WAIT_S)
        assert kind == "mute" or ends_with(strangers[0]) in {b"503", b"", TRY_AGAIN.to_bytes(2, "big")}
