"""A service whose VMs print numbered lines; a process of its own, so that its CPU and memory are its own.

Prints a line of JSON with what clients need, then answers each line on stdin with its CPU time so far
and its resident memory, and ends with stdin. `bare` serves the same bytes over TLS and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvloop

from emulator.clock import utc_now
from emulator.cloud.guest_plan import GuestPlan
from emulator.cloud.records import (
    Cloud,
    Principal,
    PrincipalType,
    RoleAssignment,
    Subscription,
    VirtualMachine,
)
from emulator.cloud.resource_id import subscription_scope, vm_id
from emulator.cloud.roles import BUILT_IN_ROLES
from emulator.cloud.settings import Settings
from emulator.service.app import create_app
from emulator.service.core.context import Service
from emulator.service.https.server import bind, open_server
from emulator.service.https.tls import open_authority, server_context
from emulator.service.parts.operations import Operations
from emulator.service.parts.sessions import Faults, Sessions
from emulator.service.parts.tokens import BlobSigner, TokenDesk, TokenKey
from tests.support.numbered_lines import LINE, numbered_line
from tests.support.service_lab import OWNER
from tests.support.synthetic_fleet import TICK_S, SyntheticFleet, open_synthetic_fleet

RATE = 64_000
LINKS = 200
SUBSCRIPTION = str(uuid.UUID(int=1))
TENANT = str(uuid.UUID(int=2))
OWNER_ID = str(uuid.UUID(int=3))


def _cloud() -> Cloud:
    machines = [
        VirtualMachine(
            id=vm_id(SUBSCRIPTION, "rg", f"vm{number}"),
            document={"properties": {"diagnosticsProfile": {"bootDiagnostics": {"enabled": True}}}},
            vm_id=str(uuid.UUID(int=1000 + number)),
            created=utc_now(),
            guest=GuestPlan(),
        )
        for number in range(LINKS)
    ]
    assignment = RoleAssignment(
        id=str(uuid.UUID(int=4)),
        scope=subscription_scope(SUBSCRIPTION),
        role=OWNER,
        principal=OWNER_ID,
        principal_type=PrincipalType.SERVICE_PRINCIPAL,
        created=utc_now(),
    )
    return Cloud(
        [
            Subscription(id=SUBSCRIPTION, tenant=TENANT, name="bench"),
            Principal(id=OWNER_ID, tenant=TENANT, type=PrincipalType.SERVICE_PRINCIPAL, name="app"),
            *BUILT_IN_ROLES,
            assignment,
            *machines,
        ]
    )


def _service(endpoint: str, fleet: SyntheticFleet) -> Service:
    cloud, settings = _cloud(), Settings()
    return Service(
        endpoint=endpoint,
        cloud=cloud,
        settings=settings,
        fleet=fleet,
        tokens=TokenDesk(TokenKey.generate(), issuer=endpoint),
        operations=Operations(utc_now),
        sessions=Sessions(lifetime_s=settings.session_s),
        blobs=BlobSigner(os.urandom(32), endpoint=endpoint),
        faults=Faults(settings),
        now=utc_now,
    )


@asynccontextmanager
async def _serve_links(scratch: Path) -> AsyncIterator[dict[str, object]]:
    listener = bind("127.0.0.1", 0)
    authority = open_authority(scratch / "ca")
    with open_synthetic_fleet(RATE) as fleet:
        service = _service(listener.endpoint, fleet)
        principal = service.cloud.find(Principal, OWNER_ID)
        assert principal is not None
        token = service.tokens.issue(
            principal, audience=listener.endpoint, now=utc_now(), lifetime_s=3600, client="app"
        )
        tls = server_context(authority, [], now=utc_now())
        async with open_server(create_app(service), listener, tls=tls):
            ids = [str(vm.id) for vm in service.cloud.all(VirtualMachine)]
            yield {
                "endpoint": listener.endpoint,
                "ca": str(authority.certificate),
                "token": token,
                "vms": ids,
            }


@asynccontextmanager
async def _serve_bare(scratch: Path) -> AsyncIterator[dict[str, object]]:
    """Write the same lines at the same rate on every TLS connection: what the transport alone costs."""
    authority = open_authority(scratch / "ca")

    async def write(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        number, owed = 0, 0.0
        with suppress(ConnectionError, asyncio.CancelledError):
            while not writer.is_closing():
                await asyncio.sleep(TICK_S)
                owed += TICK_S * RATE
                count = int(owed // LINE)
                owed -= count * LINE
                writer.write(b"".join(numbered_line(number + one, name="bare") for one in range(count)))
                number += count
                await writer.drain()

    tls = server_context(authority, [], now=utc_now())
    async with await asyncio.start_server(write, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        yield {"port": port, "ca": str(authority.certificate)}


async def _main(kind: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        serve = _serve_links if kind == "links" else _serve_bare
        async with serve(Path(scratch)) as facts:
            _say(facts)
            loop = asyncio.get_running_loop()
            while await loop.run_in_executor(None, sys.stdin.readline):
                _say({"cpu": time.process_time(), "rss": _resident()})


def _say(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _resident() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return kilobytes * 1024


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1]))
