"""One running service from start to end: builds the parts of `Service` and serves them on a port."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fastapi import FastAPI

from emulator import places
from emulator.clock import utc_now
from emulator.cloud.config import CloudConfig
from emulator.cloud.config_records import build_records
from emulator.cloud.records import (
    Cloud,
    PowerState,
    ProvisioningState,
    Record,
    ResourceGroup,
    RoleAssignment,
    ScaleSet,
    StorageAccount,
    VirtualMachine,
)
from emulator.cloud.resource_id import is_within
from emulator.cloud.roles import BUILT_IN_ROLES
from emulator.files import open_owned_directory
from emulator.fleet.machine_fleet import MachineFleet, open_fleet
from emulator.fleet.machine_guest import PowerChange
from emulator.guest_images.own import linux_names
from emulator.service.app import create_app
from emulator.service.core.context import Service
from emulator.service.https.server import BoundSocket, bind, open_server
from emulator.service.https.tls import Authority, open_authority, server_context
from emulator.service.parts.links import Links
from emulator.service.parts.operations import Operations
from emulator.service.parts.saving import Saving
from emulator.service.parts.sessions import Faults, Sessions
from emulator.service.parts.sign_in import SignIn
from emulator.service.parts.tokens import BlobSigner, TokenDesk, TokenKey
from emulator.service.state.store import StateDirectory, Store, hold_state_directory, open_store

LINKS_END_S = 3.0
STOPPED = "The serial console connection was closed: the service is being stopped."
_SETTLED_POWER = {
    PowerState.STARTING: PowerState.RUNNING,
    PowerState.STOPPING: PowerState.STOPPED,
    PowerState.DEALLOCATING: PowerState.DEALLOCATED,
}
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """What a service is started with.

    Attributes:
        config: the settings, and the cloud, which a state directory overrides from the second start on.
        origin: the file that `config` came from, for error messages.
        host: loopback address to listen on.
        port: 0 for any.
        public_host: name in the endpoint; None for the host's own.
        state: directory that keeps the records; None keeps them in memory only.
        ca: directory of the authority; None for the state directory's or the user's.
        make_fleet: opens the guests for a cloud; None for real machines.
    """

    config: CloudConfig
    origin: str
    host: str = "127.0.0.1"
    port: int = 0
    public_host: str | None = None
    state: Path | None = None
    ca: Path | None = None
    make_fleet: Callable[[Cloud], MachineFleet] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningService:
    """A service that answers requests.

    Attributes:
        service: its parts.
        ca: file with the certificate that clients trust.
        app: the application that answers.
    """

    service: Service
    ca: Path
    app: FastAPI


@asynccontextmanager
async def open_service(options: ServiceOptions) -> AsyncIterator[RunningService]:
    """Start a service on this loop; it answers requests once the block begins.

    At the end, links are closed with 1001, requests end, operations are cancelled, state is saved and the
    guests are stopped; only the authority and the state directory remain.

    Raises:
        SpecError: a value, the state or the authority is wrong.
        StateError: the port or the state directory is in use.
        LabError: a file can't be written.
    """
    async with AsyncExitStack() as stack:
        state = stack.enter_context(hold_state_directory(options.state)) if options.state else None
        listener = bind(options.host, options.port, public_host=options.public_host)
        stack.callback(listener.socket.close)
        authority = open_authority(options.ca or (state.authority if state else places.authority()))
        store = Store(state.database) if state else None
        cloud = Cloud(first_records(options, store))
        fleet = await _open_fleet(stack, cloud, options)
        service = _assemble(
            cloud, fleet, options=options, listener=listener, authority=authority, state=state, store=store
        )
        if store is not None:
            await stack.enter_async_context(open_store(store, cloud))
        stack.push_async_callback(service.operations.close)
        app = create_app(service)
        tls = server_context(authority, (listener.name,), now=utc_now())
        await stack.enter_async_context(open_server(app, listener, tls=tls))
        stack.push_async_callback(_end_links, service.links)
        yield RunningService(service=service, ca=authority.certificate, app=app)


def first_records(options: ServiceOptions, store: Store | None) -> list[Record]:
    """Return the saved records, else those that the configuration describes; raises SpecError."""
    saved = store.load() if store is not None else []
    if store is not None and saved:
        _LOG.info(
            "%d records come from the state directory; those of the configuration are ignored", len(saved)
        )
        return [*BUILT_IN_ROLES, *finish_deletions(saved, store)]
    records = build_records(options.config, now=utc_now(), known_images=linux_names(), origin=options.origin)
    if store is not None:
        for record in records:
            store.observe(record, True)  # noqa: FBT003  # the shape of an Observer
    return records


def finish_deletions(saved: list[Record], store: Store) -> Iterator[Record]:
    """Yield the records that stay, settled; a deletion that was accepted by a killed server is done now."""
    doomed = [record for record in saved if _is_being_deleted(record)]
    groups = [record for record in doomed if isinstance(record, ResourceGroup)]
    for record in saved:
        above = groups if isinstance(record, RoleAssignment) else doomed  # only a group takes its roles along
        if any(is_within(_place_of(record), _place_of(one)) for one in above):
            store.observe(record, False)  # noqa: FBT003  # the shape of an Observer
        else:
            yield settle(record)


def settle(record: Record) -> Record:
    """Return a record as the operation that was in progress when its server was killed leaves it."""
    if isinstance(record, ScaleSet):
        return replace(record, provisioning=ProvisioningState.SUCCEEDED)
    if isinstance(record, VirtualMachine):
        power = record.goal or _SETTLED_POWER.get(record.power, record.power)
        return replace(record, power=power, goal=None, provisioning=ProvisioningState.SUCCEEDED)
    return record


def _is_being_deleted(record: Record) -> bool:
    if isinstance(record, ResourceGroup):
        return record.deleting
    return isinstance(record, VirtualMachine | ScaleSet) and record.provisioning is ProvisioningState.DELETING


def _place_of(record: Record) -> str:
    """Return where in the tree of scopes a record is; "" for one that stands outside."""
    if isinstance(record, ResourceGroup | RoleAssignment):
        return record.scope
    return str(record.id) if isinstance(record, VirtualMachine | ScaleSet | StorageAccount) else ""


async def _open_fleet(stack: AsyncExitStack, cloud: Cloud, options: ServiceOptions) -> MachineFleet:
    if options.make_fleet is not None:
        return options.make_fleet(cloud)
    return await stack.enter_async_context(
        open_fleet(
            run_dir=stack.enter_context(open_owned_directory(places.served_guests())),
            images={vm.guest.image for vm in cloud.all(VirtualMachine)},
            on_power_change=lambda change: follow_power(cloud, change),
        )
    )


def follow_power(cloud: Cloud, change: PowerChange) -> None:
    """Show a VM as stopped when its guest has switched itself off."""
    vm = cloud.find(VirtualMachine, change.key)
    if vm is None or change.is_on or change.asked or vm.power is not PowerState.RUNNING:
        return
    _LOG.info("%s switched itself off: %s", vm.id.name, change.reason)
    cloud.put(replace(vm, power=PowerState.STOPPED))


def _assemble(
    cloud: Cloud,
    fleet: MachineFleet,
    *,
    options: ServiceOptions,
    listener: BoundSocket,
    authority: Authority,
    state: StateDirectory | None,
    store: Store | None,
) -> Service:
    settings = options.config.settings
    endpoint = listener.endpoint
    service = Service(
        endpoint=endpoint,
        cloud=cloud,
        settings=settings,
        fleet=fleet,
        tokens=TokenDesk(state.token_key() if state else TokenKey.generate(), issuer=endpoint),
        operations=Operations(utc_now),
        sessions=Sessions(lifetime_s=settings.session_s),
        blobs=BlobSigner(state.blob_key() if state else secrets.token_bytes(32), endpoint=endpoint),
        now=utc_now,
        sign_in=SignIn(identity_header=settings.identity_header or secrets.token_urlsafe(24)),
        faults=Faults(settings),
        troubles=lambda: [store.trouble] if store is not None and store.trouble else [],
        saving=store or Saving(),
        ca_pem=authority.pem,
    )
    service.metrics.watch("ttylab_links_open", "WebSockets that are open.", lambda: len(service.links))
    service.metrics.watch("ttylab_guests_on", "Machines that run.", lambda: _guests_on(cloud, fleet))
    return service


def _guests_on(cloud: Cloud, fleet: MachineFleet) -> int:
    guests = (fleet.existing(vm.key) for vm in cloud.all(VirtualMachine))
    return sum(guest is not None and guest.is_on for guest in guests)


async def _end_links(links: Links) -> None:
    """End every link with its reason, and give the clients a moment to receive it."""
    for link in links:
        link.end(1001, STOPPED)
    with suppress(TimeoutError):
        async with asyncio.timeout(LINKS_END_S):
            await links.wait_none()
