"""TLS of the service with real handshakes: what it takes, what it refuses, and whose key it is (U13)."""

import socket
import ssl
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from emulator.clock import utc_now
from emulator.errors import LabError, SpecError
from emulator.service.https.tls import Authority, is_loopback, open_authority, server_context

WAIT_S = 10.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return open_authority(tmp_path_factory.mktemp("tls") / "ca")


@contextmanager
def one_handshake(context: ssl.SSLContext):
    """Serve one handshake on a socket pair; yield the client's end and, at the end, the server's outcome."""
    ours, theirs = socket.socketpair()
    ours.settimeout(WAIT_S)
    theirs.settimeout(WAIT_S)
    outcome: list[object] = []

    def serve() -> None:
        try:
            with context.wrap_socket(ours, server_side=True) as tls:
                outcome.append(tls.version())
                tls.sendall(tls.recv(100))
        except OSError as error:
            outcome.append(error)
        finally:
            ours.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield theirs, outcome
    finally:
        theirs.close()
        thread.join(WAIT_S)
    assert not thread.is_alive()


def client_of(authority: Authority, **versions: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN  # Python 3.13's default
    for name, version in versions.items():
        setattr(context, name, version)
    return context


def talk(context: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> tuple[str, str]:
    """Return version and cipher of a handshake that carried a byte there and back."""
    with one_handshake(context) as (end, _), client.wrap_socket(end, server_hostname=name) as tls:
        tls.sendall(b"x")
        assert tls.recv(1) == b"x"
        cipher = tls.cipher()
        return str(tls.version()), cipher[0] if cipher else ""


@pytest.mark.parametrize("tickets", [None, 2])
def test_nothing_of_tls_comes_behind_the_handshake(authority: Authority, tickets: int | None) -> None:
    server = server_context(authority, ["localhost"], now=utc_now())
    if tickets is not None:
        server.num_tickets = tickets  # OpenSSL's own number: this test would see them
    client = client_of(authority)
    with one_handshake(server) as (end, _), client.wrap_socket(end, server_hostname="localhost") as tls:
        tls.sendall(b"x")
        assert tls.recv(1) == b"x"
        session = tls.session
    assert (session is not None and session.has_ticket) == (tickets is not None)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_u13_tls_1_2_and_1_3_are_spoken(authority: Authority, version: ssl.TLSVersion) -> None:
    client = client_of(authority, minimum_version=version, maximum_version=version)
    spoken, cipher = talk(server_context(authority, (), now=utc_now()), client)
    assert spoken == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
    assert "GCM" in cipher or "CHACHA20" in cipher


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_u13_tls_1_0_and_1_1_are_refused(authority: Authority, version: ssl.TLSVersion) -> None:
    client = client_of(authority, minimum_version=version, maximum_version=version)
    client.set_ciphers("ALL:@SECLEVEL=0")
    with (
        one_handshake(server_context(authority, (), now=utc_now())) as (end, outcome),
        pytest.raises(ssl.SSLError),
    ):
        client.wrap_socket(end, server_hostname="localhost")
    assert "UNSUPPORTED_PROTOCOL" in str(outcome[0])


@pytest.mark.parametrize("ciphers", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-SHA"])
def test_u13_cipher_without_forward_secrecy_or_aead_is_refused(authority: Authority, ciphers: str) -> None:
    client = client_of(authority, maximum_version=ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    with (
        one_handshake(server_context(authority, (), now=utc_now())) as (end, outcome),
        pytest.raises(ssl.SSLError),
    ):
        client.wrap_socket(end, server_hostname="localhost")
    assert "NO_SHARED_CIPHER" in str(outcome[0])


def test_u13_plain_http_is_refused_at_once(authority: Authority) -> None:
    with one_handshake(server_context(authority, (), now=utc_now())) as (end, outcome):
        end.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with suppress(ConnectionResetError):  # or an alert, or the end: in any case an answer
            assert b"HTTP" not in end.recv(100)
    assert "HTTP_REQUEST" in str(outcome[0])


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "console.test", "127.0.0.9"])
def test_certificate_holds_for_local_and_public_names(authority: Authority, name: str) -> None:
    context = server_context(authority, ("console.test", "127.0.0.9"), now=utc_now())
    assert talk(context, client_of(authority), name)


def test_wrong_host_is_refused_by_the_client(authority: Authority) -> None:
    with (
        one_handshake(server_context(authority, (), now=utc_now())) as (end, _),
        pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"),
    ):
        client_of(authority).wrap_socket(end, server_hostname="elsewhere.test")


def test_server_of_another_authority_is_refused_by_the_client(authority: Authority, tmp_path: Path) -> None:
    stranger = open_authority(tmp_path / "other")
    with (
        one_handshake(server_context(stranger, (), now=utc_now())) as (end, _),
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        client_of(authority).wrap_socket(end, server_hostname="localhost")


def test_expired_certificate_is_refused_by_the_client(authority: Authority) -> None:
    context = server_context(authority, (), now=datetime(2020, 1, 1, tzinfo=UTC))
    with one_handshake(context) as (end, _), pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        client_of(authority).wrap_socket(end, server_hostname="localhost")


def test_certificate_lives_no_longer_than_verifiers_allow(authority: Authority) -> None:
    with (
        one_handshake(server_context(authority, (), now=utc_now())) as (end, _),
        client_of(authority).wrap_socket(end, server_hostname="localhost") as tls,
    ):
        shown = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    assert shown.not_valid_after_utc - shown.not_valid_before_utc <= timedelta(days=398)


def test_authority_is_named_and_its_key_is_private(tmp_path: Path) -> None:
    authority = open_authority(tmp_path / "ca")
    assert "O=ttylab" in x509.load_pem_x509_certificate(authority.pem).subject.rfc4514_string()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "ca").iterdir()}
    assert modes == {"ca.key": 0o600, "ca.pem": 0o600, "lock": 0o600}
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700


def test_authority_is_kept_from_start_to_start(tmp_path: Path) -> None:
    first = open_authority(tmp_path)
    (tmp_path / "ca.key").chmod(0o644)
    again = open_authority(tmp_path)
    assert again.pem == first.pem
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600
    assert talk(server_context(again, (), now=utc_now()), client_of(first))


def test_authority_is_one_where_many_start_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: open_authority(tmp_path / "ca").pem, range(8)))
    assert len(set(found)) == 1


@pytest.mark.parametrize("damage", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
@pytest.mark.parametrize("name", ["ca.pem", "ca.key"])
def test_damaged_authority_is_named(tmp_path: Path, name: str, damage: bytes) -> None:
    open_authority(tmp_path)
    (tmp_path / name).write_bytes(damage)
    with pytest.raises(SpecError, match=rf"{name}.* is damaged"):
        open_authority(tmp_path)


def test_key_of_another_authority_is_named(tmp_path: Path) -> None:
    open_authority(tmp_path / "one")
    open_authority(tmp_path / "two")
    (tmp_path / "two" / "ca.key").replace(tmp_path / "one" / "ca.key")
    with pytest.raises(SpecError, match="is damaged"):
        open_authority(tmp_path / "one")


def test_directory_that_is_a_file_is_a_lab_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match="file"):
        open_authority(tmp_path / "file")


def test_name_that_no_certificate_can_hold_is_refused(authority: Authority) -> None:
    with pytest.raises(SpecError, match="no certificate"):
        server_context(authority, ("not a name",), now=utc_now())


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("127.0.0.1", "127.0.0.9", "::1", "localhost")),
        *((host, False) for host in ("0.0.0.0", "::", "192.0.2.1", "example.test", "")),
    ],
)
def test_loopback_is_told_from_the_world(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
