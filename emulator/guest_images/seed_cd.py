"""A NoCloud CD: what cloud-init reads before the first login (cloud-init 22.4, datasources/nocloud)."""

from __future__ import annotations

import hashlib
import json
import re
from io import BytesIO
from pathlib import Path

import pycdlib

from emulator.errors import SpecError
from emulator.guest_images.hashes import keep_file
from emulator.guest_text.linux import LinuxProfile

_VOLUME = "CIDATA"
_PRINTABLE = re.compile(rb"[!-~]+")


def write_seed(name: str, profile: LinuxProfile) -> Path:
    """Return the file of a CD that lets the profile's account log in with its password on the console.

    Without a password there is none to set: the guest's own accounts stay as they are. Raises SpecError if
    the password can't be typed, and FileError as `keep_file`.
    """
    files = {
        "meta-data": json.dumps({"instance-id": f"ttylab-{name}", "local-hostname": name}).encode(),
        "user-data": b"#cloud-config\n" + json.dumps(_user_data(profile)).encode() + b"\n",
    }
    digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    return keep_file(digest, "seed.iso", lambda: _cd(files))


def _user_data(profile: LinuxProfile) -> dict[str, object]:
    """Return the user data; JSON is YAML, and quotes whatever a password has in it."""
    console = {"output": {"all": "| tee -a /var/log/cloud-init-output.log"}}
    if not profile.password:
        return {**console}
    if not _PRINTABLE.fullmatch(profile.password):
        raise SpecError("the password can't be typed on a console; allowed: printable ASCII without blanks")
    user, password = profile.user.decode(), profile.password.decode()
    account = {"name": user, "lock_passwd": False, "plain_text_passwd": password, "shell": "/bin/bash"}
    if user != "root":
        account["sudo"] = "ALL=(ALL) NOPASSWD:ALL"
    return {
        **console,
        "ssh_pwauth": False,
        "disable_root": False,
        "users": ["default", account] if user != "root" else ["default"],
        "chpasswd": {"expire": False, "users": [{"name": user, "password": password, "type": "text"}]},
    }


def _cd(files: dict[str, bytes]) -> bytes:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=_VOLUME)
    try:
        for name, content in files.items():
            plain = name.replace("-", "").upper()  # ISO 9660 itself has no hyphen; Linux reads the others
            iso.add_fp(BytesIO(content), len(content), f"/{plain}.;1", rr_name=name, joliet_path=f"/{name}")
        made = BytesIO()
        iso.write_fp(made)
    finally:
        iso.close()
    return made.getvalue()
