"""The demo cloud over guests in memory on a real port, and sockets of clients that do as they like."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from websockets.sync.client import connect

from emulator.cloud.config import DEMO_FILE, demo_config
from emulator.service.running_service import ServiceOptions
from harness.serving.access import ServiceAccess
from harness.serving.server_process import serve_in_thread
from tests.support.fake_fleet import FakeFleet

WAIT_S = 20.0
VM = "/subscriptions/{}/resourceGroups/rg1/providers/Microsoft.Compute/virtualMachines/linux1"


@contextmanager
def served(folder: Path, fleet: FakeFleet | None = None) -> Iterator[ServiceAccess]:
    options = ServiceOptions(
        config=demo_config(),
        origin=DEMO_FILE,
        ca=folder / "ca",
        make_fleet=lambda _: fleet or FakeFleet(),
    )
    with serve_in_thread(options) as access:
        yield access


def open_socket(access: ServiceAccess) -> ssl.SSLSocket:
    port = int(access.endpoint.rpartition(":")[2])
    plain = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
    return ssl.create_default_context(cafile=access.ca).wrap_socket(plain, server_hostname="localhost")


def token_of(access: ServiceAccess, name: str = "app") -> str:
    known = access.credentials[name]
    form = {
        "grant_type": "client_credentials",
        "client_id": known["client_id"],
        "client_secret": known["client_secret"],
        "scope": f"{access.endpoint}/.default",
    }
    url = f"{access.endpoint}/{access.tenant}/oauth2/v2.0/token"
    answer = requests.post(url, data=form, verify=str(access.ca), timeout=WAIT_S)
    return answer.json()["access_token"]


@contextmanager
def link_to(access: ServiceAccess, name: str = "linux1"):
    """Connect to a VM's console as clients do; yield the socket after its first frame and the token."""
    token = token_of(access)
    context = ssl.create_default_context(cafile=access.ca)
    with connect(connection_string(access, name, token), ssl=context, open_timeout=WAIT_S) as link:
        assert link.recv(WAIT_S).startswith("Connecting...")
        link.send(token)
        yield link


def post(head: str, body: bytes = b"") -> bytes:
    return f"POST /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n\r\n".encode() + body


def connection_string(access: ServiceAccess, name: str, token: str) -> str:
    path = VM.format(access.subscription).replace("linux1", name)
    url = f"{access.endpoint}{path}/providers/Microsoft.SerialConsole/serialPorts/0/connect"
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.post(
        url, params={"api-version": "2018-05-01"}, headers=headers, verify=str(access.ca), timeout=WAIT_S
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["connectionString"]


def upgrade(access: ServiceAccess, name: str) -> bytes:
    """Return the bytes that open a link to a VM, for a client that then does as it likes."""
    path = "/" + connection_string(access, name, token_of(access)).split("/", 3)[3]
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
