"""The service on a real port with TLS, over guests in memory: for tests of clients as processes.

with serve_lab(tmp_path) as lab:
    run(["ttylab", "console", "linux1"], env=lab.environment())
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import trustme
import uvicorn

from emulator.clock import Deadline, utc_now
from emulator.cloud.records import VirtualMachine
from emulator.service.app import create_app
from emulator.service.blobs import BlobSigner
from emulator.service.context import Service
from emulator.service.tokens import TokenDesk
from tests.fake_fleet import FakeGuest
from tests.service_lab import (
    GROUP,
    SUBSCRIPTION,
    TENANT,
    demo_instance_id,
    demo_vm_id,
    fake_fleet_of,
    open_test_service,
)

PATIENCE_S = 30.0


@dataclass(kw_only=True)
class ServedLab:
    """A running service.

    Attributes:
        service: what is served; look, but leave changes to its loop.
        endpoint: "https://localhost:PORT".
        ca: PEM file.
    """

    service: Service
    endpoint: str
    ca: Path

    def guest(self, name: str) -> FakeGuest:
        """Return the guest of a demo VM ("linux1") or of an instance of `ss1` ("ss1/0")."""
        vm = demo_instance_id(name.partition("/")[2]) if "/" in name else demo_vm_id(name)
        record = self.service.cloud.find(VirtualMachine, vm.key)
        assert record is not None
        return fake_fleet_of(self.service).guest(record)

    def environment(self, **more: str) -> dict[str, str]:
        """Return what `ttylab serve --print-env` would have set, in this process's environment."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("TTYLAB_")}
        return plain | {
            "TTYLAB_ENDPOINT": self.endpoint,
            "TTYLAB_CA": str(self.ca),
            "TTYLAB_TENANT": TENANT,
            "TTYLAB_SUBSCRIPTION": SUBSCRIPTION,
            "TTYLAB_GROUP": GROUP,
            "TTYLAB_PRINCIPAL": "app",
            "TTYLAB_SECRET": "secret",
            **more,
        }

    def wait_typed(self, name: str, data: bytes) -> None:
        """Wait until `data` was typed into a guest."""
        guest, deadline = self.guest(name), Deadline.after(PATIENCE_S)
        while data not in guest.typed:
            version = guest.transcript.version
            assert not deadline.expired(), bytes(guest.typed)
            guest.transcript.wait_change(version, deadline.sooner(0.2))

    def wait_linked(self, name: str) -> None:
        """Wait until a link is open on a guest's console and trusted."""
        guest, deadline = self.guest(name), Deadline.after(PATIENCE_S)
        while [mark.name for mark in guest.transcript.marks][-1:] != ["connected"]:
            version = guest.transcript.version
            assert not deadline.expired(), guest.transcript.marks
            guest.transcript.wait_change(version, deadline.sooner(0.2))


@contextmanager
def serve_lab(directory: Path, **options: object) -> Iterator[ServedLab]:
    """Serve the demo cloud on a free port; `options` are those of `open_test_service`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        str(directory / "server.pem")
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"https://localhost:{listener.getsockname()[1]}"
        plain = open_test_service(**options)
        service = replace(
            plain,
            endpoint=endpoint,
            tokens=TokenDesk(plain.tokens.key, issuer=endpoint),
            blobs=BlobSigner(b"k" * 32, endpoint=endpoint),
            now=utc_now,
        )
        config = uvicorn.Config(
            create_app(service), ssl_certfile=directory / "server.pem", log_level="warning", lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield ServedLab(service=service, endpoint=endpoint, ca=directory / "ca.pem")
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)
