"""How to get to a service that is not started here: its endpoint by its options, its authority from disk."""

from __future__ import annotations

from pathlib import Path

from emulator.clock import utc_now
from emulator.cloud.config import CloudConfig
from emulator.cloud.config_records import build_records
from emulator.errors import SpecError
from emulator.images import load_catalog
from emulator.service.https.server import endpoint_of
from emulator.service.https.tls import default_ca_directory, open_authority
from harness.serving.access import ServiceAccess, access_to


def describe_access(
    tables: CloudConfig, origin: str, *, host: str, port: int, state: Path | None
) -> ServiceAccess:
    """Return what a client needs of `ttylab serve` with these options; makes the authority if need be.

    Raises:
        SpecError: the port can't be told before the start, or a value is wrong.
    """
    if port == 0:
        raise SpecError("--print-env needs the port that the service will have; give --port")
    authority = open_authority(state / "ca" if state is not None else default_ca_directory())
    images = frozenset(load_catalog().entries)
    records = build_records(tables, now=utc_now(), known_images=images, origin=origin)
    return access_to(
        records,
        endpoint=endpoint_of(host, port),
        ca=authority.certificate,
        identity_header=tables.settings.identity_header,
    )
