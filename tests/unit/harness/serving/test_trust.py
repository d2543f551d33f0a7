"""Files of certificates for clients: this machine's and the service's, and a company's where one is named."""

import ssl
from pathlib import Path

import pytest
import trustme

from harness.serving import trust
from harness.serving.trust import ADDING, REPLACING, write_bundles


def certificate(path: Path) -> bytes:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(trustme.CA().cert_pem.bytes())
    return path.read_bytes().strip()


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    certificate(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


def names_in(file: str) -> set[bytes]:
    """Return the certificates that OpenSSL finds in a file."""
    return set(ssl.create_default_context(cafile=file).get_ca_certs(binary_form=True))


def test_bundle_has_this_machines_certificates_and_the_services(authority: Path) -> None:
    files = write_bundles(authority, {})
    assert {files[name] for name in REPLACING} == {str(authority.with_name("bundle.pem"))}
    machine = ssl.create_default_context(cafile=ssl.get_default_verify_paths().openssl_cafile)
    assert names_in(files["SSL_CERT_FILE"]) == names_in(str(authority)) | set(machine.get_ca_certs(True))
    assert files[ADDING] == str(authority)


@pytest.mark.parametrize("name", [*REPLACING, ADDING])
def test_file_that_is_named_already_stays_trusted(authority: Path, tmp_path: Path, name: str) -> None:
    company = tmp_path / "company" / "root.pem"
    certificate(company)
    both = names_in(str(company)) | names_in(str(authority))
    files = write_bundles(authority, {name: str(company)})
    assert names_in(files[name]) == both
    again = write_bundles(authority, files)
    assert (names_in(again[name]), again[name]) == (both, files[name])
    assert names_in(write_bundles(authority, {name: str(company.parent)})[name]) == both


def test_variable_that_a_client_reads_instead_counts(authority: Path, tmp_path: Path) -> None:
    company = tmp_path / "root.pem"
    certificate(company)
    files = write_bundles(authority, {"CURL_CA_BUNDLE": str(company)})
    assert names_in(files["REQUESTS_CA_BUNDLE"]) == names_in(str(company)) | names_in(str(authority))


def test_machine_without_certificates_gets_certifis(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_SYSTEM", ())
    monkeypatch.setattr(
        ssl, "get_default_verify_paths", lambda: ssl.DefaultVerifyPaths(None, None, "", "/none", "", "/none")
    )
    assert len(names_in(write_bundles(authority, {"SSL_CERT_FILE": "/no/such/file"})["SSL_CERT_FILE"])) > 50
