"""The service as `ttylab serve` runs it, on a port of its own, for clients that are other processes.

with open_cloud_lab(tmp_path) as lab:
    lab.run([python, program], …)

Guests are in memory unless `real` is asked for.
"""

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from emulator.clock import Deadline
from emulator.cloud.config import CloudConfig, demo_config
from emulator.cloud.records import VirtualMachine
from emulator.cloud.resource_id import instance_id, vm_id
from emulator.cloud.settings import Settings
from emulator.fleet.machine_guest import MachineGuest
from emulator.service.core.context import Service
from emulator.service.running_service import RunningService, ServiceOptions, open_service
from emulator.values import read_value
from tests.support.fake_fleet import FakeFleet, FakeGuest
from tests.support.service_server import run_on_uvloop

TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP = "rg1"
BOUND_S = 300.0
START_BOUND_S = 30.0
POLL_S = 0.05
PROGRAMS = Path(__file__).parent / "programs"
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
_OURS = ("AZURE_", "ARM_", "TTYLAB_", "IDENTITY_", "MSI_", "PYTHON", "VIRTUAL_ENV", "NODE_OPTIONS")

Value = TypeVar("Value")


class ClientFailed(AssertionError):
    """A client ended with an error, or not at all."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a client's process ended with; text as it wrote it."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return what it printed as JSON."""
        try:
            return json.loads(self.out)
        except ValueError:
            raise ClientFailed(f"no JSON: {self.out[-2000:]!r} {self.err[-3000:]}") from None


@dataclass(frozen=True, kw_only=True)
class CloudLab:
    """A service that answers, and its loop.

    Attributes:
        endpoint: "https://localhost:PORT".
        ca: file with the certificate that clients trust.
        service: its parts; `on_loop` alone may touch them.
        home: directory of the clients' own files.
    """

    endpoint: str
    ca: Path
    service: Service
    home: Path
    loop: asyncio.AbstractEventLoop

    def on_loop(self, act: Callable[[Service], Value]) -> Value:
        """Return what `act` returns, called on the service's loop."""

        async def call() -> Value:
            return act(self.service)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(START_BOUND_S)

    def vm(self, name: str) -> VirtualMachine:
        """Return the record of a demo VM ("linux1") or an instance of `ss1` ("ss1/0")."""
        scale_set, _, instance = name.partition("/")
        key = (
            instance_id(SUBSCRIPTION, GROUP, scale_set=scale_set, instance=instance)
            if instance
            else vm_id(SUBSCRIPTION, GROUP, name)
        ).key
        found = self.on_loop(lambda service: service.cloud.find(VirtualMachine, key))
        assert found is not None, name
        return found

    def change(self, name: str, **fields: Any) -> None:
        """Change the record of a VM or an instance."""
        changed = replace(self.vm(name), **fields)
        self.on_loop(lambda service: service.cloud.put(changed))

    def guest(self, name: str) -> MachineGuest:
        """Return the guest of a VM or an instance."""
        vm = self.vm(name)
        return self.on_loop(lambda service: service.fleet.guest(vm))

    def fake_guest(self, name: str) -> FakeGuest:
        """Return the guest of a VM or an instance as the fake it is."""
        guest = self.guest(name)
        assert isinstance(guest, FakeGuest)
        return guest

    def wait(self, look: Callable[[], Value]) -> Value:
        """Return what `look` returns once that is true.

        Raises:
            ClientFailed: it stayed false for too long.
        """
        deadline, pause = Deadline.after(START_BOUND_S), threading.Event()
        while not (found := look()):
            if deadline.expired():
                raise ClientFailed(f"it stayed {found!r} for {START_BOUND_S:.0f} s")
            pause.wait(POLL_S)
        return found

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a client's process: the CA, and nothing that names another cloud."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return plain | dict.fromkeys(_CA_VARIABLES, str(self.ca)) | {"HOME": str(self.home), **more}

    def run(self, argv: Sequence[str | Path], **more: str) -> Said:
        """Return what a process said whose environment trusts the service's authority."""
        return run(argv, env=self.environment(**more))

    def run_program(
        self, interpreter: Path, program: str, *, env: Mapping[str, str] | None = None, **options: Any
    ) -> Any:
        """Return the JSON that a program of ours printed, given the lab's facts and `options`.

        Raises:
            ClientFailed: it ended with an error.
        """
        facts = {
            "endpoint": self.endpoint,
            "ca": str(self.ca),
            "tenant": TENANT,
            "subscription": SUBSCRIPTION,
            "group": GROUP,
            **options,
        }
        said = self.run([interpreter, PROGRAMS / program, json.dumps(facts)], **(env or {}))
        if said.code:
            raise ClientFailed(f"{program} ended with {said.code}: {said.err[-3000:]}\n{said.out[-1000:]}")
        return said.json()


def run(argv: Sequence[str | Path], *, env: Mapping[str, str], bound_s: float = BOUND_S) -> Said:
    """Return what a process said.

    Raises:
        ClientFailed: it did not end within `bound_s` seconds.
    """
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(env),
            timeout=bound_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        so_far = f"{error.stdout or b''!r}\n{error.stderr or b''!r}"
        raise ClientFailed(f"{argv} did not end within {bound_s:.0f} s: {so_far[-3000:]}") from None
    return Said(
        code=done.returncode,
        out=done.stdout.decode("utf-8", "replace"),
        err=done.stderr.decode("utf-8", "replace"),
    )


@contextmanager
def open_cloud_lab(
    directory: Path,
    *,
    config: CloudConfig | None = None,
    real: bool = False,
    **settings: Any,
) -> Iterator[CloudLab]:
    """Serve the demo cloud, or `config`, from a thread of its own until the block ends.

    `settings` are what the table of this name in cloud.toml may hold (`era="2020"`).
    """
    described = config or demo_config()
    options = ServiceOptions(
        config=replace(described, settings=read_value(settings, Settings, origin="settings")),
        origin="demo.toml",
        ca=directory / "ca",
        make_fleet=None if real else lambda _: FakeFleet(prepare=greet),
    )
    home = directory / "home"
    home.mkdir()
    with _serving(options) as (running, loop):
        yield CloudLab(
            endpoint=running.service.endpoint, ca=running.ca, service=running.service, home=home, loop=loop
        )


def greet(guest: FakeGuest) -> None:
    """Let a guest in memory behave as one at its login prompt: it says so at power on, and echoes."""
    guest.says_at_power_on = f"Booting {guest.vm.id.name}\r\n{guest.vm.id.name} login: ".encode()
    guest.echoes = True


@contextmanager
def _serving(options: ServiceOptions) -> Iterator[tuple[RunningService, asyncio.AbstractEventLoop]]:
    started: Future[tuple[RunningService, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=run_on_uvloop, args=(_serve(options, started),))
    thread.start()
    running, loop, end = started.result(START_BOUND_S)
    try:
        yield running, loop
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(BOUND_S)
        assert not thread.is_alive(), "the service did not end"


async def _serve(options: ServiceOptions, started: Future[Any]) -> None:
    try:
        async with open_service(options) as running:
            end = asyncio.Event()
            started.set_result((running, asyncio.get_running_loop(), end))
            await end.wait()
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
