"""The options of `ttylab images add-windows`, and what is read from the files that they name."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from emulator.errors import SpecError

_LINE_MOST = 256

Iso = Annotated[Path | None, typer.Option(help="Windows media: WinPE or a Server's.")]
Disk = Annotated[Path | None, typer.Option(help="An installed disk: raw, qcow2 or vhdx.")]
Name = Annotated[str, typer.Option(help="The image's name; default made of the file's.")]
ListEditions = Annotated[
    bool, typer.Option("--list-editions", help="Say which editions the ISO has, and stop.")
]
Install = Annotated[
    bool, typer.Option("--install", help="Install from the ISO without asking, into a base of its own.")
]
Wanted = Annotated[str, typer.Option(help="What to install: number or name, or a part of it.")]
Release = Annotated[
    str | None, typer.Option(help="2016, 2019, 2022 or 2025; default what the ISO says, else 2022.")
]
FirmwareName = Annotated[
    str | None, typer.Option(help="seabios or ovmf; default by the disk, ovmf for an ISO.")
]
DiskFormatName = Annotated[
    str | None, typer.Option("--format", help="raw, qcow2 or vhdx; default what the file says.")
]
HasTpm = Annotated[bool, typer.Option("--tpm", help="Give it a TPM 2.0 (swtpm).")]
User = Annotated[str, typer.Option(help="Who logs in at cmd.")]
Domain = Annotated[str, typer.Option(help="The account's domain; default the machine's own.")]
PasswordFile = Annotated[Path | None, typer.Option(help="Its first line is the password; - asks for it.")]
ProductKeyFile = Annotated[
    Path | None, typer.Option(help="Its first line is the key; evaluation media need none.")
]
Language = Annotated[str, typer.Option(help="Of the installation; the media must have it.")]
DiskGib = Annotated[int, typer.Option(min=20, max=2000, help="Size of the disk to install on.")]
Memory = Annotated[int, typer.Option(help="MiB for the installation.")]
Vcpus = Annotated[int, typer.Option(help="CPUs for the installation.")]
Hours = Annotated[float, typer.Option(min=0.01, max=48, help="How long the installation may take.")]


def one_of(option: str, value: str | None, allowed: tuple[str, ...]) -> Any:
    """Return the value of an option that has a few; raises SpecError for another."""
    if value is not None and value not in allowed:
        raise SpecError(f"--{option} is {value!r}; allowed: {', '.join(allowed)}")
    return value


def read_secret(path: Path | None, option: str) -> str:
    """Return a file's first line; "" without a file. On a command line every process could read it.

    Raises:
        SpecError: the file can't be read, or its first line is empty.
    """
    if path is None:
        return ""
    if str(path) == "-":
        return getpass.getpass(f"{option.removeprefix('--').removesuffix('-file')}: ")
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline(_LINE_MOST).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{option} {path}: can't be read: {error}") from error
    if not line:
        raise SpecError(f"{option} {path}: its first line is empty")
    return line
