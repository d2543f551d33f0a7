"""TLS of the service: its own authority, and TLS 1.2 and 1.3 (U13).

The authority is made on the first start and kept, so clients need to trust it only once. With
`--state DIR` it is in DIR/ca, otherwise in `places.authority()`. The server's own certificate is new at each
start and never on disk.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import trustme
from filelock import FileLock, Timeout

from emulator.errors import LabError, SpecError
from emulator.files import PRIVATE, make_private_directory, write_whole

CERTIFICATE_FILE = "ca.pem"
KEY_FILE = "ca.key"
ORGANISATION = "ttylab"
VALID_DAYS = 397
"""Of the server's certificate: Apple's verifier, which Go uses there, accepts at most 825,
Chromium 398 for a public root."""
LOCK_WAIT_S = 20.0
CIPHERS_12 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; the ciphers of TLS 1.3 are all AEAD."""
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority.

    Attributes:
        certificate: absolute path of the certificate that clients trust.
        pem: its content.
        issuer: signs certificates.
    """

    certificate: Path
    pem: bytes
    issuer: trustme.CA


def open_authority(directory: Path) -> Authority:
    """Return the authority in `directory`, which is made first if there is none.

    Servers that start at the same time get the same one. Raises LabError if the directory can't be used,
    SpecError if a file in it is damaged.
    """
    directory = make_private_directory(directory)
    try:
        with FileLock(directory / "lock", timeout=LOCK_WAIT_S, mode=PRIVATE):
            return _read(directory) or _make(directory)
    except Timeout as error:
        raise LabError(f"{directory}/lock is held by another process for {LOCK_WAIT_S:.0f} s") from error


def server_context(authority: Authority, names: Sequence[str], *, now: datetime) -> ssl.SSLContext:
    """Return a server's TLS context, newly certified for local names and `names`; raises SpecError."""
    wanted = tuple(dict.fromkeys((*LOCAL_NAMES, *names)))
    try:
        leaf = authority.issuer.issue_cert(
            *wanted,
            common_name=names[0] if names else LOCAL_NAMES[0],
            organization_name=ORGANISATION,
            organization_unit_name="console service",
            not_before=_naive(now - timedelta(days=1)),  # clients' clocks may be slow
            not_after=_naive(now + timedelta(days=VALID_DAYS)),
        )
    except ValueError as error:  # idna raises these
        raise SpecError(f"no certificate can be made for {', '.join(wanted)}: {error}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # TLS 1.3 sends tickets after the handshake. A client that reads on one thread and writes on another, as
    # websockets' does, can lose its request to them and hang: OpenSSL allows only one thread at a time.
    context.num_tickets = 0
    context.set_ciphers(CIPHERS_12)
    context.set_alpn_protocols(["http/1.1"])
    _load_chain(context, leaf.private_key_and_cert_chain_pem.bytes())
    return context


def is_loopback(host: str) -> bool:
    """Tell whether `host` is a loopback address or the name of one."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _read(directory: Path) -> Authority | None:
    certificate, key = directory / CERTIFICATE_FILE, directory / KEY_FILE
    try:
        pem, secret = certificate.read_bytes(), key.read_bytes()
        key.chmod(PRIVATE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LabError(f"{error.filename}: {error.strerror}") from error
    try:
        issuer = trustme.CA.from_pem(pem, secret)
        # Key and certificate must belong together: they may be of different authorities.
        _load_chain(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), issuer.private_key_pem.bytes() + pem)
    except (ValueError, TypeError, ssl.SSLError) as error:
        raise SpecError(
            f"{certificate} or {key} is damaged; remove both, and clients have to trust the new one"
        ) from error
    return Authority(certificate=certificate, pem=pem, issuer=issuer)


def _make(directory: Path) -> Authority:
    issuer = trustme.CA(
        organization_name=ORGANISATION,
        # Two authorities in one trust store must have different names.
        organization_unit_name=f"local certificate authority {secrets.token_hex(4)}",
        path_length=0,
    )
    # The certificate comes last: if it exists, so does its key.
    write_whole(directory / KEY_FILE, issuer.private_key_pem.bytes(), private=True, durable=True)
    write_whole(directory / CERTIFICATE_FILE, issuer.cert_pem.bytes(), private=True, durable=True)
    return Authority(certificate=directory / CERTIFICATE_FILE, pem=issuer.cert_pem.bytes(), issuer=issuer)


def _load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """Load key and certificate from memory, which `ssl` accepts only from files."""
    descriptor = os.memfd_create("ttylab-certificate")
    try:
        os.write(descriptor, pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _naive(moment: datetime) -> datetime:
    """Return `moment`, UTC, without its time zone, as certificates need it."""
    return moment.replace(tzinfo=None)
