"""The service of a test on a real port with TLS, for clients that speak to nothing else.

with run_service(tmp_path) as served:
    session.get(f"{served.endpoint}/metadata/endpoints", verify=served.ca)
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import uvloop

from emulator.clock import utc_now
from emulator.service.app import create_app
from emulator.service.core.context import Service
from emulator.service.https.server import BoundSocket, bind, open_server
from emulator.service.https.tls import open_authority, server_context
from emulator.service.parts.tokens import BlobSigner, TokenDesk
from tests.support.service_lab import open_test_service

BOUND_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Served:
    """A service that answers.

    Attributes:
        endpoint: "https://localhost:PORT".
        ca: file with the certificate that clients must trust.
        service: its parts; only the loop's thread may change them while it runs.
        loop: that loop.
    """

    endpoint: str
    ca: str
    service: Service
    loop: asyncio.AbstractEventLoop


@contextmanager
def run_service(folder: Path, *, make: Callable[[], Service] = open_test_service) -> Iterator[Served]:
    """Serve what `make` returns on a free port of the loopback, in a thread of its own, until the end."""
    listener = bind("localhost", 0)
    authority = open_authority(folder / "ca")
    made = make()
    service = replace(
        made,
        endpoint=listener.endpoint,
        tokens=TokenDesk(made.tokens.key, issuer=listener.endpoint),
        blobs=BlobSigner(b"k" * 32, endpoint=listener.endpoint),
    )
    tls = server_context(authority, (listener.name,), now=utc_now())
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    work = _serve(service, listener, tls=tls, started=started)
    thread = threading.Thread(target=run_on_uvloop, args=(work,))
    thread.start()
    try:
        loop, end = started.result(BOUND_S)
        try:
            yield Served(
                endpoint=listener.endpoint, ca=str(authority.certificate), service=service, loop=loop
            )
        finally:
            loop.call_soon_threadsafe(end.set)
    finally:
        thread.join(BOUND_S)
        assert not thread.is_alive(), "the service did not end"


def run_on_uvloop(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` on the loop of `ttylab serve`; asyncio's own lets each answer wait 40 ms for an ACK."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


async def _serve(service: Service, listener: BoundSocket, *, tls, started: Future) -> None:
    end = asyncio.Event()
    try:
        async with open_server(create_app(service), listener, tls=tls):
            started.set_result((asyncio.get_running_loop(), end))
            await end.wait()
        await service.operations.close()
    except BaseException as error:
        if not started.done():
            started.set_exception(error)
        raise
