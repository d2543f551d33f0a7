"""The catalog of images: what ships, and every complaint about a wrong one."""

from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.images.catalog import load_catalog

HEAD = 'mirror = "http://deb.debian.org/debian"\nkeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"\n'
IMAGE = '[images.one]\nsuite = "sid"\nflavour = "cloud"\n'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "catalog.toml"
    path.write_text(text)
    return path


def test_catalog_ships_every_debian_release_of_interest():
    catalog = load_catalog()
    x86 = ("bookworm", "bookworm-generic", "bookworm-grub", "bullseye", "sid", "trixie")
    assert sorted(catalog.names) == sorted((*x86, "bookworm-arm64", "trixie-arm64"))
    assert [name for name in catalog.names if catalog.entry(name).features & {"aarch64"}] == [
        "bookworm-arm64",
        "trixie-arm64",
    ]
    assert catalog.entry("trixie-arm64").kernel_package == "linux-image-cloud-arm64"
    assert catalog.entry("bookworm-generic").kernel_package == "linux-image-amd64"
    assert catalog.entry("sid").kernel_package == "linux-image-cloud-amd64"
    assert not catalog.entry("bullseye").check_valid_until
    assert [name for name in catalog.names if catalog.entry(name).disk] == ["bookworm-grub"]


def test_catalog_takes_a_fixed_kernel_version(tmp_path: Path):
    path = write(tmp_path, HEAD + IMAGE + 'kernel = "6.1.176-1"\n')
    assert load_catalog(path).entry("one").kernel == "6.1.176-1"


def test_catalog_names_what_there_is_when_an_image_is_unknown(tmp_path: Path):
    catalog = load_catalog(write(tmp_path, HEAD + IMAGE))
    with pytest.raises(SpecError, match=r"unknown image 'two'; .*catalog\.toml has: one"):
        catalog.entry("two")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (HEAD + IMAGE + 'colour = "red"\n', "unknown key 'images.one.colour'"),
        (
            HEAD + IMAGE.replace("sid", "potato"),
            r"'images.one.suite' has the value 'potato'.*'bullseye'.*'sid'",
        ),
        (HEAD + IMAGE.replace("cloud", "rt"), r"'images.one.flavour' has the value 'rt'.*'cloud'.*'generic'"),
        (HEAD + IMAGE.replace('"sid"', "13"), "'images.one.suite' has the value 13"),
        (HEAD + IMAGE + "check_valid_until = 0\n", "'images.one.check_valid_until' has the value 0"),
        (HEAD + IMAGE + 'disk = "yes"\n', "'images.one.disk' has the value 'yes'"),
        (HEAD + IMAGE + 'kernel = "$(id)"\n', r"'images.one.kernel' has the value '\$\(id\)'"),
        (HEAD + "[images]\n", "'images'"),
        (HEAD + IMAGE.replace("one", "'../one'"), r"'images.../one': an image's name"),
        (IMAGE, "key 'mirror' is missing"),
        (HEAD.replace("http:", "ftp:") + IMAGE, "'mirror' has the value 'ftp:"),
        ("mirror = ", "not TOML"),
    ],
)
def test_catalog_is_refused_with_file_key_and_what_is_allowed(tmp_path: Path, text: str, complaint: str):
    with pytest.raises(SpecError, match=complaint) as caught:
        load_catalog(write(tmp_path, text))
    assert "catalog.toml" in str(caught.value)


def test_catalog_is_refused_when_the_file_is_missing(tmp_path: Path):
    with pytest.raises(SpecError, match="can't be read"):
        load_catalog(tmp_path / "none.toml")


def test_catalog_refuses_an_architecture_without_a_module(tmp_path: Path):
    path = write(tmp_path, HEAD + IMAGE + 'architecture = "riscv64"\n')
    with pytest.raises(
        SpecError, match=r"images\.one.*unknown architecture 'riscv64'.*allowed: amd64, arm64"
    ):
        load_catalog(path)
