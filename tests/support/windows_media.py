"""Media that look like Windows' and boot a few bytes of ours, and image files made by wimlib."""

import subprocess
from io import BytesIO
from pathlib import Path

import pycdlib

from tests.support.boot_sectors import IDLE

COM2 = 0x2F8
CORE = "Windows Server 2022 SERVERSTANDARDCORE"
DESKTOP = "Windows Server 2022 SERVERSTANDARD"
SECTOR = 2048


def saying_on(port: int, text: bytes, then: bytes = IDLE) -> bytes:
    """Return code that writes `text` to a 16550 at `port`, then does `then`."""
    status, data = ((port + offset).to_bytes(2, "little") for offset in (5, 0))
    wait = b"\xba" + status + bytes.fromhex("ec a8 20 74 fb")
    return b"".join(wait + b"\xba" + data + b"\xb0" + bytes([byte]) + b"\xee" for byte in text) + then


def write_wim(path: Path, *names: str, kind: str = "Server Core", build: str = "20348") -> Path:
    """Write an image file with an edition for each name, by wimlib."""
    tree = path.with_suffix(".tree")
    tree.mkdir(exist_ok=True)
    (tree / "file.txt").write_text("no Windows", encoding="ascii")
    for number, name in enumerate(names):
        properties = {
            "DISPLAYNAME": f"{name.removesuffix('CORE').title()} {number + 1}",
            "WINDOWS/EDITIONID": "ServerStandard",
            "WINDOWS/INSTALLATIONTYPE": kind,
            "WINDOWS/VERSION/BUILD": build,
        }
        verb = ("append", path, name) if number else ("capture", path, name)
        given = [f"--image-property={key}={value}" for key, value in properties.items()]
        argv = ["wimlib-imagex", verb[0], str(tree), str(verb[1]), verb[2], *given]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return path


def write_iso(path: Path, files: dict[str, bytes], *, boot: bytes | None = None, way: str = "udf") -> Path:
    """Write an ISO with `files`, by UDF, Joliet or plain ISO 9660 names; a BIOS starts `boot`."""
    iso = pycdlib.PyCdlib()
    more = {"udf": {"udf": "2.60"}, "joliet": {"joliet": 3}, "iso": {}}[way]
    iso.new(interchange_level=3, **more)

    def places(name: str, short: str) -> dict[str, str]:
        return {"iso_path": short} | ({} if way == "iso" else {f"{way}_path": name})

    for directory in sorted({name.rpartition("/")[0] for name in files} - {""}):
        iso.add_directory(**places(directory, directory.upper()))
    for name, content in files.items():
        iso.add_fp(BytesIO(content), len(content), **places(name, f"{name.upper()};1"))
    if boot is not None:
        padded = boot.ljust(-(-len(boot) // SECTOR) * SECTOR, b"\0")
        iso.add_fp(BytesIO(padded), len(padded), **places("/boot.bin", "/BOOT.BIN;1"))
        iso.add_eltorito("/BOOT.BIN;1", boot_load_size=len(padded) // 512)
    iso.write(str(path))
    iso.close()
    return path


def write_media(path: Path, *names: str, boot: bytes | None = None, way: str = "udf", **facts: str) -> Path:
    """Write an ISO with sources/boot.wim and, for `names`, sources/install.wim."""
    files = {"/sources/boot.wim": b"MSWIM\0\0\0"}
    if names:
        wim = write_wim(path.with_suffix(".wim"), *names, **facts)
        files["/sources/install.wim"] = wim.read_bytes()
    return write_iso(path, files, boot=boot, way=way)
