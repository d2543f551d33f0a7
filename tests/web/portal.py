"""The web console in front of a service on a real port, with guests in memory and a real browser."""

import asyncio
import base64
import hashlib
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from emulator.clock import Deadline, utc_now
from emulator.cloud.records import VirtualMachine
from emulator.cloud.resource_id import ResourceId
from emulator.cloud.settings import Settings
from emulator.service.core.context import Service
from tests.support.fake_fleet import FakeFleet, FakeGuest
from tests.support.service_lab import Now, demo_instance_id, demo_vm_id, fake_fleet_of, open_test_service
from tests.support.service_server import run_service

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 15_000
CONTEXT = {"viewport": {"width": 1280, "height": 860}}


@dataclass(kw_only=True)
class Portal:
    """A running service and what a test does to it from outside."""

    endpoint: str
    service: Service
    loop: asyncio.AbstractEventLoop

    def guest(self, name: str) -> FakeGuest:
        """Return the guest of a demo VM, or "ss1/0" of an instance."""
        vm = self.service.cloud.find(VirtualMachine, resource(name).key)
        assert vm is not None
        return self.in_loop(lambda: fake_fleet_of(self.service).guest(vm))

    def in_loop(self, act: Callable[[], object]):
        """Return what `act` returns on the service's loop, which owns the records."""
        done: Future = Future()

        def run() -> None:
            try:
                done.set_result(act())
            except Exception as error:  # noqa: BLE001  # it goes to who asked
                done.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return done.result(10)

    def power(self, name: str) -> str:
        """Return what the platform says of a machine's power."""
        vm = self.service.cloud.find(VirtualMachine, resource(name).key)
        assert vm is not None
        return vm.power.value


def resource(name: str) -> ResourceId:
    """Return the id of a demo VM, or of "ss1/0"."""
    return demo_instance_id(name.removeprefix("ss1/")) if name.startswith("ss1/") else demo_vm_id(name)


def address(name: str, page: str) -> str:
    """Return the page's address of a machine's page."""
    return f"/#/vm{resource(name)}/{page}"


def _prepare(guest: FakeGuest) -> None:
    guest.echoes = True
    guest.says_at_power_on = b"\r\nDebian GNU/Linux ttyS0\r\n\r\nlogin: "


@contextmanager
def open_portal(directory: Path, settings: Settings | None = None) -> Iterator[Portal]:
    """Serve the demo cloud on a port of its own."""

    def make() -> Service:
        return open_test_service(settings=settings, fleet=FakeFleet(prepare=_prepare), now=Now(utc_now()))

    with run_service(directory, make=make) as served:
        yield Portal(endpoint=served.endpoint, service=served.service, loop=served.loop)


def key_hash(endpoint: str) -> str:
    """Return the hash of the server's public key, by which the browser trusts it and nobody else."""
    host, _, port = endpoint.removeprefix("https://").rpartition(":")
    pem = ssl.get_server_certificate((host, int(port)))
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    info = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(info).digest()).decode()


def launch(playwright: Playwright, *endpoints: str) -> Browser:
    """Return Chromium, which trusts the keys of `endpoints`."""
    pins = ",".join(key_hash(endpoint) for endpoint in endpoints)
    pinned = f"--ignore-certificate-errors-spki-list={pins}"
    return playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, pinned])


def new_context(browser: Browser, portal: Portal, **options) -> BrowserContext:
    """Return a fresh profile whose relative addresses are the portal's."""
    context = browser.new_context(base_url=portal.endpoint, **CONTEXT, **options)
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    return context


def sign_in(page: Page, name: str = "dev@localhost", password: str = "ttylab") -> None:
    """Sign in by the form that is shown."""
    page.get_by_label("User").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def open_console(page: Page, name: str = "linux1") -> None:
    """Sign in and go to a machine's console, which is connected then; the machine has power."""
    page.goto(address(name, "serial"))
    sign_in(page)
    expect_state(page, "Connected")
    expect_shown(page, "login:")


def expect_state(page: Page, words: str) -> None:
    """Wait until the connection's state is `words`."""
    expect(page.locator("#link-state")).to_have_text(words)


def expect_shown(page: Page, text: str) -> None:
    """Wait until the terminal shows `text`."""
    expect(page.locator(".xterm-rows")).to_contain_text(text)


def expect_feedback(page: Page, text: str) -> None:
    """Wait until the newest command's feedback says `text`, to eyes and ears."""
    expect(page.locator(".feedback li").first).to_contain_text(text)
    said = page.locator("#polite, #urgent")
    expect(said.filter(has_text=text)).not_to_have_count(0)


def wait_until(page: Page, is_so: Callable[[], bool]) -> None:
    """Wait until `is_so`, while the browser goes on; whoever asked checks what came of it."""
    deadline = Deadline.after(PATIENCE_MS / 1000)
    while not is_so() and not deadline.expired():
        page.wait_for_timeout(20)
