"""`serve-ready`, `connect-first-byte`, `echo-latency`: the service on a real guest, and the direct path."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from websockets.sync.client import ClientConnection, connect

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.cloud.config import demo_config
from emulator.cloud.records import VirtualMachine
from emulator.cloud.resource_id import vm_id
from emulator.console.channel import Cursor
from emulator.fleet.machine_guest import MachineGuest
from emulator.service.running_service import RunningService, ServiceOptions, open_service
from harness.commands.bench import Measurement, measure_pairs

ROOT = Path(__file__).parents[2]
STARTS = 5
CONNECTS = 20
KEYS = 200
BOOT_S = 120.0
_CLI = [sys.executable, "-P", "-m", "harness.cli"]


def serve_ready() -> Measurement:
    """Seconds from the command's start to its ready file, which it writes once it answers."""
    pairs = [(_start_service(), _import_only()) for _ in range(STARTS)]
    return measure_pairs(
        pairs,
        name="serve-ready",
        unit="s",
        baseline="importing FastAPI and uvicorn in a new process",
        goal="value <= 2",
    )


def _start_service() -> float:
    with tempfile.TemporaryDirectory() as scratch:
        ready = Path(scratch) / "ready.json"
        began = SYSTEM_CLOCK.monotonic()
        argv = [*_CLI, "serve", "--port", "0", "--ready-file", str(ready)]
        with subprocess.Popen(
            argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                deadline = Deadline.after(60)
                while not ready.exists() and not deadline.expired():
                    SYSTEM_CLOCK.sleep(0.005)
                facts = json.loads(ready.read_bytes())
                _get(f"{facts['endpoint']}/ca.pem", ca=facts["ca"])
                return SYSTEM_CLOCK.monotonic() - began
            finally:
                process.terminate()
                process.wait(20)


def _import_only() -> float:
    began = SYSTEM_CLOCK.monotonic()
    subprocess.run([sys.executable, "-c", "import fastapi, uvicorn"], check=True, timeout=60)
    return SYSTEM_CLOCK.monotonic() - began


def links_to_a_guest() -> tuple[Measurement, ...]:
    """Boot one guest and measure both what a link adds to its echo, and how soon a link shows it."""
    with _open_running() as (running, loop):
        client = _Client(running)
        vm = next(one for one in running.service.cloud.all(VirtualMachine) if one.id.name == "linux1")
        guest = running.service.fleet.guest(vm)
        with client.open_link() as link:
            _wait_text(link, rb"login: $")
            echoes = [(_echo_by_link(link), _echo_direct(guest, loop)) for _ in range(KEYS)]
        connects = [(client.first_byte_s(), _first_request_s(client)) for _ in range(CONNECTS)]
    return (
        measure_pairs(
            echoes,
            name="echo-latency",
            unit="s",
            baseline="the same key typed on the machine's console in the service's process",
            goal="value - baseline <= 0.005",
        ),
        measure_pairs(
            connects,
            name="connect-first-byte",
            unit="s",
            baseline="one GET of /ca.pem on a new connection",
            goal="value <= 0.1",
        ),
    )


@contextmanager
def _open_running() -> Iterator[tuple[RunningService, asyncio.AbstractEventLoop]]:
    """Run a service with real guests on a thread of its own."""
    started: list[RunningService] = []
    ready, end = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        options = ServiceOptions(config=demo_config(), origin="the demo")
        async with open_service(options) as running:
            started.append(running)
            ready.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        if not ready.wait(60):
            raise AssertionError("the service did not start")
        yield started[0], loop
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(60)
        loop.close()


class _Client:
    """Signs in once and opens links on linux1."""

    def __init__(self, running: RunningService) -> None:
        self.endpoint, self.ca = running.service.endpoint, running.ca
        self._trust = ssl.create_default_context(cafile=running.ca)
        subscription = "00000000-0000-0000-0000-000000000001"
        self._vm = str(vm_id(subscription, "rg1", "linux1"))
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(running.ca)
        self._token = self._sign_in()

    def _sign_in(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": "app",
            "client_secret": "secret",
            "scope": f"{self.endpoint}/.default",
        }
        tenant = "11111111-1111-1111-1111-111111111111"
        answer: Any = self._session.post(f"{self.endpoint}/{tenant}/oauth2/v2.0/token", data=form, timeout=30)
        return str(answer.json()["access_token"])

    @contextmanager
    def open_link(self) -> Iterator[ClientConnection]:
        path = "providers/Microsoft.SerialConsole/serialPorts/0/connect?api-version=2024-07-01"
        answer = self._session.post(
            f"{self.endpoint}{self._vm}/{path}",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=30,
        )
        with connect(answer.json()["connectionString"], ssl=self._trust, compression=None) as link:
            link.recv()
            link.send(self._token)
            yield link

    def first_byte_s(self) -> float:
        """Return the seconds from the call of connect to the first frame of the guest."""
        began = SYSTEM_CLOCK.monotonic()
        with self.open_link() as link:
            link.recv(30)
            return SYSTEM_CLOCK.monotonic() - began


def _wait_text(link: ClientConnection, pattern: bytes) -> None:
    text, deadline = b"", Deadline.after(BOOT_S)
    while not re.search(pattern, text[-200:]):
        message = link.recv(deadline.remaining())
        text += message.encode() if isinstance(message, str) else message


def _forget_frames(link: ClientConnection) -> None:
    """Take what came since somebody last looked: echoes of the other path's keys."""
    with suppress(TimeoutError):
        while True:
            link.recv(0)


def _echo_by_link(link: ClientConnection) -> float:
    _forget_frames(link)
    began = SYSTEM_CLOCK.monotonic()
    link.send("x")
    link.recv(10)
    took = SYSTEM_CLOCK.monotonic() - began
    link.send("\x7f")  # getty takes it back, so that the line does not grow for ever
    link.recv(10)
    SYSTEM_CLOCK.sleep(0.02)
    return took


def _echo_direct(guest: MachineGuest, loop: asyncio.AbstractEventLoop) -> float:
    cursor = Cursor(guest.transcript, position=len(guest.transcript))
    began = SYSTEM_CLOCK.monotonic()
    loop.call_soon_threadsafe(guest.type, b"x")
    _await_output(cursor)
    took = SYSTEM_CLOCK.monotonic() - began
    loop.call_soon_threadsafe(guest.type, b"\x7f")
    _await_output(cursor)
    SYSTEM_CLOCK.sleep(0.02)
    return took


def _await_output(cursor: Cursor) -> None:
    deadline, version = Deadline.after(10), cursor.transcript.version
    while not cursor.read(100) and not deadline.expired():
        version = cursor.transcript.wait_change(version, deadline)


def _first_request_s(client: _Client) -> float:
    began = SYSTEM_CLOCK.monotonic()
    _get(f"{client.endpoint}/ca.pem", ca=client.ca)
    return SYSTEM_CLOCK.monotonic() - began


def _get(url: str, *, ca: Path | str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, verify=str(ca), timeout=30).raise_for_status()
