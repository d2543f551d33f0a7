"""The private apt: what it reads, what it never touches, and how it fails."""

from dataclasses import replace
from pathlib import Path

import pytest

from emulator.errors import ImageError, MissingPrerequisite
from emulator.images.apt import AptSuite, parse_stanzas
from emulator.images.catalog import load_catalog
from emulator.images.image import Package
from emulator.images.store import ImageStore

STANZAS = """Package: linux-image-cloud-amd64
Version: 6.1.176-1
Depends: linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)
Description: Linux
 for cloud: platforms
Architecture: amd64
SHA256: aa

Package: busybox-static
Version: 1:1.35.0-4
SHA256: bb
"""


@pytest.fixture
def entry():
    """An image of a mirror that nobody runs: the discard port of this machine."""
    return replace(load_catalog().entry("bookworm"), mirror="http://127.0.0.1:9/debian")


def test_stanzas_are_read_without_continuation_lines():
    first, second = parse_stanzas(STANZAS)
    assert (first["Package"], first["Version"], first["SHA256"]) == (
        "linux-image-cloud-amd64",
        "6.1.176-1",
        "aa",
    )
    assert set(second) == {"Package", "Version", "SHA256"}
    assert parse_stanzas("") == []


def test_package_file_name_is_the_one_that_apt_uses():
    package = Package(name="busybox-static", version="1:1.35.0-4+b1", sha256="")
    assert package.file_name == "busybox-static_1%3a1.35.0-4+b1_amd64.deb"


def test_apt_is_told_of_no_source_and_no_state_but_its_own(tmp_path: Path, entry):
    AptSuite(tmp_path, entry)
    settings = (tmp_path / "apt.conf").read_text()
    assert "/etc/apt" not in settings
    for key in ("Dir::State", "Dir::State::status", "Dir::Cache", "Dir::Etc::sourcelist", "Dir::Etc::parts"):
        assert f'{key} "{tmp_path}' in settings
    sources = (tmp_path / "ttylab.sources").read_text()
    assert f"Suites: bookworm\nComponents: main\nSigned-By: {entry.keyring}\n" in sources
    assert "Check-Valid-Until" not in sources


def test_apt_accepts_the_index_of_a_suite_that_is_no_longer_signed_anew(tmp_path: Path, entry):
    AptSuite(tmp_path, replace(entry, check_valid_until=False))
    assert "Check-Valid-Until: no\n" in (tmp_path / "ttylab.sources").read_text()


def test_apt_says_what_to_install_when_the_keys_of_the_archive_are_missing(tmp_path: Path, entry):
    with pytest.raises(MissingPrerequisite, match="apt-get install debian-archive-keyring"):
        AptSuite(tmp_path, replace(entry, keyring=tmp_path / "none.gpg"))


def test_apt_says_what_to_install_when_it_is_missing(tmp_path: Path, entry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPrerequisite, match="apt-config is missing"):
        AptSuite(tmp_path, entry)


def test_store_says_in_one_line_that_there_is_no_network(tmp_path: Path, entry):
    catalog = load_catalog()
    catalog = replace(catalog, entries={"bookworm": entry})
    store = ImageStore(tmp_path / "images", catalog=catalog)
    with pytest.raises(ImageError, match=r"^apt-get update failed: .*127\.0\.0\.1:9.*$"):
        store.ensure("bookworm")
    assert sorted(path.name for path in store.root.rglob("*")) == [".lock", "pool"]


def test_an_index_that_is_too_old_is_told_with_what_helps(tmp_path: Path, entry, monkeypatch):
    says = "E: Release file for http://mirror/InRelease is expired (invalid since 24d)."
    (tmp_path / "apt-get").write_text(f'#!/bin/sh\necho "{says}" >&2\nexit 100\n')
    (tmp_path / "apt-get").chmod(0o755)
    suite = AptSuite(tmp_path, entry)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(
        ImageError, match=r"is expired .*clock is wrong, or the mirror lags.*Check-Valid-Until"
    ):
        suite.update()


def test_apt_refuses_a_mirror_whose_index_is_not_signed(tmp_path: Path, entry):
    release = tmp_path / "mirror/dists/bookworm/InRelease"
    release.parent.mkdir(parents=True)
    release.write_text("Origin: Debian\nSuite: bookworm\nCodename: bookworm\nSHA256:\n")
    (tmp_path / "apt").mkdir()
    suite = AptSuite(tmp_path / "apt", replace(entry, mirror=f"file:{tmp_path}/mirror"))
    with pytest.raises(ImageError, match=r"InRelease .*(isn't valid|not signed)"):
        suite.update()
