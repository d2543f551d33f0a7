"""The service of a test on a real port with TLS, for clients that speak to nothing else.

with run_service() as served:
    session.get(f"{served.endpoint}/metadata/endpoints", verify=served.ca)
"""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from socket import socket

import trustme
import uvicorn

from emulator.service.app import create_app
from emulator.service.context import Service
from emulator.service.tokens import TokenDesk
from tests.service_lab import open_test_service

BOUND_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Served:
    """A service that answers.

    Attributes:
        endpoint: "https://localhost:PORT".
        ca: file with the certificate that clients must trust.
        service: its parts; only the loop's thread may change them while it runs.
    """

    endpoint: str
    ca: str
    service: Service


class _Server(uvicorn.Server):
    """Tells another thread when it has begun to answer."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = threading.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.answers.set()


@contextmanager
def run_service(folder: Path, *, make: Callable[[], Service] = open_test_service) -> Iterator[Served]:
    """Serve what `make` returns on a free port of the loopback, in a thread of its own, until the end."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    ca = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    with socket() as listener:
        listener.bind(("127.0.0.1", 0))
        endpoint = f"https://localhost:{listener.getsockname()[1]}"
        made = make()
        service = replace(made, endpoint=endpoint, tokens=TokenDesk(made.tokens.key, issuer=endpoint))
        config = uvicorn.Config(create_app(service), log_level="warning", lifespan="off")
        config.load()
        config.ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(config.ssl)
        with _thread_of(_Server(config), listener):
            yield Served(endpoint=endpoint, ca=str(ca), service=service)


@contextmanager
def _thread_of(server: _Server, listener: socket) -> Iterator[None]:
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        assert server.answers.wait(BOUND_S), "the service did not begin to answer"
        yield
    finally:
        server.should_exit = True
        thread.join(BOUND_S)
        assert not thread.is_alive(), "the service did not end"
