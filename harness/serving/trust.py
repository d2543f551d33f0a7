"""Files of certificates for clients: what they trust anyway, and the service's authority besides.

Most variables that name such a file replace a client's own list, so a file with the authority alone would cut
a shell off from every other server. Node's adds to it.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from pathlib import Path

from emulator.files import write_whole

REPLACING = ("REQUESTS_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE", "SSL_CERT_FILE")
"""az and Python's requests; az's WebSocket; Go and OpenSSL."""
ADDING = "NODE_EXTRA_CA_CERTS"
_ELSE = {"REQUESTS_CA_BUNDLE": "CURL_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE": "SSL_CERT_FILE"}
"""What these clients read where their own variable is not set."""
_SYSTEM = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def write_bundles(authority: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Write what clients are to trust beside `authority`; return the file for each variable.

    A variable that is set already keeps what it names: a company's certificates, for one. Otherwise the file
    has the certificates of this machine, or certifi's where it has none. Raises FileError if a file can't be
    written.
    """
    files = {}
    for name in (*REPLACING, ADDING):
        named = environment.get(name) or environment.get(_ELSE.get(name, ""), "")
        given = _certificates(Path(named))
        if not given and name == ADDING:
            files[name] = str(authority)
            continue
        bundle = authority.with_name(f"bundle-{name}.pem" if given else "bundle.pem")
        known = dict.fromkeys([*(given or _of_this_machine()), *_certificates(authority)])
        write_whole(bundle, b"\n".join(known) + b"\n")
        files[name] = str(bundle)
    return files


def _certificates(path: Path) -> list[bytes]:
    """Return the certificates in a file, or in the files of a directory; none where it can't be read."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() and path != Path() else [path]
        texts = [file.read_bytes() for file in files if file.is_file()]
    except OSError:
        return []
    return [found for text in texts for found in _CERTIFICATE.findall(text)]


def _of_this_machine() -> list[bytes]:
    for name in (ssl.get_default_verify_paths().openssl_cafile, *_SYSTEM, _certifi()):
        if name and (found := _certificates(Path(name))):
            return found
    return []


def _certifi() -> str:
    try:
        import certifi  # noqa: PLC0415  # clients' libraries bring it; ttylab alone has no need of it
    except ImportError:
        return ""
    return certifi.where()
