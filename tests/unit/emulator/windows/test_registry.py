"""What is registered: kept for its owner's eyes, known again, forgotten; and what each image offers."""

import json
import os
import stat
from dataclasses import replace

import pytest

from emulator.errors import ImageError, SpecError
from emulator.machine.spec import Firmware
from emulator.sac.profile import IDENTITY
from emulator.windows.image import UNVERIFIED, Level, WindowsImage
from emulator.windows.registry import WindowsRegistry, identify

SECRET = "Passw0rd!-secret"


@pytest.fixture
def registry(tmp_path):
    return WindowsRegistry(tmp_path / "windows")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "ws.qcow2"
    path.write_bytes(b"QFI\xfb" + bytes(3 << 20))
    return WindowsImage(
        name="ws",
        level=Level.DISK,
        path=path,
        disk_format="qcow2",
        identity=identify(path),
        release="2019",
        firmware=Firmware.OVMF,
        password=SECRET,
    )


def test_image_is_registered_known_again_and_forgotten(registry, image):
    assert registry.images() == {}
    registry.add(image)
    assert registry.open("ws") == image
    assert registry.remove("ws") is None
    assert registry.images() == {}
    assert image.path.exists()


def test_registry_is_for_its_owners_eyes(registry, image):
    registry.add(image)
    file = registry.root / "images.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in registry.root.iterdir()) == [".lock", "images.json"]


def test_password_is_shown_nowhere(image):
    assert SECRET not in repr(image)
    assert SECRET not in json.dumps(image.provenance())
    assert str(image.path.parent) not in json.dumps(image.provenance())


def test_taken_name_is_refused(registry, image):
    registry.add(image)
    with pytest.raises(SpecError, match="ws is registered already"):
        registry.add(image)


@pytest.mark.parametrize("act", ["open", "remove"])
def test_unknown_name_is_refused_with_those_there_are(registry, image, act):
    registry.add(image)
    with pytest.raises(SpecError, match="no Windows image 'w' is registered; there are: ws"):
        getattr(registry, act)("w")


def test_file_that_is_gone_or_was_changed_is_told(registry, image):
    registry.add(image)
    os.utime(image.path, ns=(0, 0))
    with pytest.raises(
        SpecError, match=r"was changed since it was registered; register it again, after: ttylab"
    ):
        registry.open("ws")
    image.path.unlink()
    with pytest.raises(SpecError, match="No such file or directory; register it again"):
        registry.open("ws")


def test_only_a_base_that_ttylab_made_is_deleted(registry, image):
    registry.bases.mkdir(parents=True)
    base = registry.bases / "own.qcow2"
    base.write_bytes(b"base")
    own = replace(image, name="own", level=Level.INSTALLED, path=base, identity=identify(base))
    elsewhere = replace(image, name="elsewhere", level=Level.INSTALLED)
    inside = replace(own, name="inside", level=Level.DISK)
    for one in (own, elsewhere, inside):
        registry.add(one)
    assert registry.remove("elsewhere") is None
    assert registry.remove("inside") is None
    assert base.exists()
    assert registry.remove("own") == base
    assert not base.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 2, "images": []}',
        '{"format": 1, "images": [{"name": "x"}]}',
        '{"format": 1}',
    ],
)
def test_damaged_registry_is_told_and_left_as_it_is(registry, image, text):
    registry.root.mkdir()
    file = registry.root / "images.json"
    file.write_text(text)
    for act in (registry.images, lambda: registry.add(image), lambda: registry.remove("ws")):
        with pytest.raises(ImageError, match=r"images\.json: damaged; repair or remove it"):
            act()
    assert file.read_text() == text


def test_registry_that_can_not_be_written_is_told(tmp_path, image):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ImageError, match="can't be written"):
        WindowsRegistry(tmp_path / "file/below").add(image)


def test_identity_sees_both_ends_and_the_size(tmp_path):
    path = tmp_path / "disk"
    seen = set()
    for content in (b"a" + bytes(5 << 20), bytes(5 << 20) + b"a", b"a", b""):
        path.write_bytes(content)
        seen.add((identify(path).size, identify(path).ends_sha256))
    assert len(seen) == 4


def test_features_are_those_of_windows_without_knobs(image):
    assert image.features == {
        "sac", "registered", "boots-ovmf", "real_windows", "has_powershell", "has_livedump"
    }  # fmt: skip
    winpe = replace(image, level=Level.ISO, disk_format=None, release="2016")
    assert winpe.features == {"sac", "registered", "boots-ovmf", "real_windows", *winpe_flags(winpe)}


def winpe_flags(image):
    return {"has_livedump"} if image.profile.has_livedump else set()


def test_report_says_what_it_is_and_neither_passes_for_the_other(image):
    assert image.provenance()["guest"] == UNVERIFIED
    assert IDENTITY not in json.dumps(image.provenance())
    guest = replace(image, is_sac_guest=True)
    assert guest.provenance()["guest"] == f"{IDENTITY}, registered by its user"
    assert "real_windows" not in guest.features
    assert UNVERIFIED not in json.dumps(guest.provenance())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "Ws"}, "name is 'Ws'; allowed: 1-40 lower-case"),
        ({"name": "a" * 41}, "allowed: 1-40"),
        ({"release": "2012"}, "release is '2012'; allowed: 2003 2016"),
        ({"disk_format": None}, "disk_format is None; allowed: none for an ISO"),
        ({"level": Level.ISO}, "disk_format is 'qcow2'"),
        ({"user": "Bj\u00f6rn"}, "user is"),
        ({"password": "a b"}, "the password can't be typed at SAC"),
    ],
)
def test_wrong_image_is_refused(image, changes, text):
    with pytest.raises(SpecError) as caught:
        replace(image, **changes)
    assert text in str(caught.value)


def test_default_root_follows_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path))
    assert WindowsRegistry().bases == tmp_path / "windows/bases"
