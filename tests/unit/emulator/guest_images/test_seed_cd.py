"""The CD that cloud-init reads: its label, its files, and what they say."""

import json
from dataclasses import replace
from io import BytesIO

import pycdlib
import pytest

from emulator import places
from emulator.errors import SpecError
from emulator.guest_images.seed_cd import write_seed
from emulator.guest_text.linux import LinuxProfile


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path / "cache"))


def read(path):
    iso = pycdlib.PyCdlib()
    iso.open(str(path))
    try:
        label = iso.pvd.volume_identifier.decode().strip()
        files = {}
        for name in ("meta-data", "user-data"):
            content = BytesIO()
            iso.get_file_from_iso_fp(content, joliet_path=f"/{name}")
            files[name] = content.getvalue()
        return label, files
    finally:
        iso.close()


def user_data(**changes):
    label, files = read(write_seed("server", replace(LinuxProfile(), **changes)))
    assert label == "CIDATA"
    head, _, text = files["user-data"].partition(b"\n")
    assert head == b"#cloud-config"
    return json.loads(text)


def test_instance_has_the_images_name():
    _, files = read(write_seed("server", LinuxProfile()))
    assert json.loads(files["meta-data"]) == {"instance-id": "ttylab-server", "local-hostname": "server"}


def test_root_gets_the_password():
    said = user_data(user=b"root", password=b"p:#'\"%w")
    assert said["chpasswd"]["users"] == [{"name": "root", "password": "p:#'\"%w", "type": "text"}]
    assert said["disable_root"] is False
    assert said["users"] == ["default"]


def test_other_account_is_made_with_a_shell_and_sudo():
    said = user_data(user=b"tester", password=b"pw")
    (account,) = [one for one in said["users"] if isinstance(one, dict)]
    assert (account["name"], account["shell"], account["lock_passwd"]) == ("tester", "/bin/bash", False)
    assert "NOPASSWD" in account["sudo"]


def test_without_a_password_no_account_is_touched():
    assert {"chpasswd", "users"}.isdisjoint(user_data(user=b"root", password=b""))


def test_same_words_give_the_same_file_and_it_is_private():
    one = write_seed("server", LinuxProfile())
    assert one == write_seed("server", LinuxProfile())
    assert one.stat().st_mode & 0o077 == 0
    assert one != write_seed("other", LinuxProfile())


@pytest.mark.parametrize("password", [b"two words", b"caf\xc3\xa9", b"a\nb"])
def test_password_that_nobody_can_type_is_refused(password):
    with pytest.raises(SpecError, match="the password can't be typed on a console"):
        user_data(password=password)
