"""`ttylab images add-windows` and `remove-windows`: the user's own Windows as an image."""

from __future__ import annotations

import getpass
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from typer import Argument, Option

from emulator.clock import Deadline
from emulator.disks.formats import DiskFormat
from emulator.errors import SpecError
from emulator.guest_images.kinds import image_features
from emulator.machine.spec import Firmware
from emulator.windows.image import Level
from emulator.windows.registry import WindowsRegistry, identify
from harness.commands import say, with_options

_E = TypeVar("_E", bound=StrEnum)
_LINE_MOST = 256

Iso = Annotated[Path | None, Option(help="Windows media: WinPE or a Server's.")]
Disk = Annotated[Path | None, Option(help="An installed disk: raw, qcow2 or vhdx.")]
Name = Annotated[str, Option(help="The image's name; by default made from the file's.")]
ListEditions = Annotated[bool, Option("--list-editions", help="List the editions on the ISO, and stop.")]
Install = Annotated[bool, Option("--install", help="Install from the ISO unattended, onto a new disk.")]
Wanted = Annotated[str, Option(help="What to install: number or name, or a part of it.")]
Release = Annotated[
    str | None, Option(help="2016, 2019, 2022 or 2025; default: what the ISO says, else 2022.")
]
FirmwareName = Annotated[
    str | None, Option(help="seabios or ovmf; default: what suits the disk, ovmf for an ISO.")
]
DiskFormatName = Annotated[
    str | None, Option("--format", help="raw, qcow2, vpc, vhdx or vmdk; default: what the file says.")
]
HasTpm = Annotated[bool, Option("--tpm", help="Give it a TPM 2.0 (swtpm).")]
User = Annotated[str, Option(help="User to log in at cmd.")]
Domain = Annotated[str, Option(help="The account's domain; default: the machine's own.")]
PasswordFile = Annotated[Path | None, Option(help="Its first line is the password; - asks for it.")]


def _word(kind: type[_E], option: str, given: str | None) -> _E | None:
    from harness.terminal.interactive import word  # noqa: PLC0415

    return None if given is None else word(kind, option, given)


def read_secret(path: Path | None, option: str) -> str:
    """Return a file's first line, "" without a file; on a command line every process could read the secret.

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


if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.windows.registration import Edition, Proposal, RegistrationOptions

EXAMPLES = """Examples:
  ttylab images add-windows --iso server.iso --list-editions
  ttylab images add-windows --iso server.iso --name winpe             boot the media as they are
  ttylab images add-windows --disk ws2022.vhdx --password-file pw     an installed disk with EMS on
  ttylab images add-windows --iso server.iso --install --edition "ServerStandardCore" --name ws2022

Then: `ttylab boot ws2022`, or `images = ["ws2022"]` in a matrix. docs/windows.md says what to expect, and
what nobody has verified. Files are never copied: only their paths are kept.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallOptions:
    """How Windows is installed; each field is an option."""

    product_key_file: Annotated[
        Path | None, Option(help="Its first line is the key; evaluation media need none.")
    ] = None
    language: Annotated[str, Option(help="Language of the installation; the media must have it.")] = "en-US"
    disk_gib: Annotated[int, Option(min=20, max=2000, help="Size of the disk to install on.")] = 40
    memory: Annotated[int, Option(help="MiB for the installation.")] = 4096
    vcpus: Annotated[int, Option(help="CPUs for the installation.")] = 2
    hours: Annotated[float, Option(min=0.01, max=48, help="How long the installation may take.")] = 3.0


@with_options("setup", InstallOptions)
def add_windows(
    *,
    iso: Iso = None,
    disk: Disk = None,
    name: Name = "",
    list_editions: ListEditions = False,
    install: Install = False,
    edition: Wanted = "",
    release: Release = None,
    firmware: FirmwareName = None,
    disk_format: DiskFormatName = None,
    tpm: HasTpm = False,
    user: User = "Administrator",
    domain: Domain = "",
    password_file: PasswordFile = None,
    setup: InstallOptions,
) -> None:
    """Register your own Windows as an image: media as they are, an installed disk, or a new installation.

    Exit code 2: the file is missing, is no ISO or disk, or holds no Windows. 3: the installation failed.
    """
    from emulator.windows.registration import RegistrationOptions, propose_disk, propose_iso  # noqa: PLC0415

    _require_one(iso, disk, install=install, list_editions=list_editions, edition=edition)
    if iso is not None and list_editions:
        _list_editions(iso)
        return
    options = RegistrationOptions(
        name=name,
        release=release,
        firmware=_word(Firmware, "--firmware", firmware),
        disk_format=_word(DiskFormat, "--format", disk_format),
        tpm=tpm,
        user=user,
        domain=domain,
        password=read_secret(password_file, "--password-file"),
    )
    if iso is None:
        _register(propose_disk(Path(disk or ""), options))
    elif not install:
        _register(propose_iso(iso, options))
    else:
        _install(propose_iso(iso, options), options, edition, setup)


def remove_windows(
    name: Annotated[str, Argument(help="A registered image; see ttylab images list.")],
) -> None:
    """Forget a registered Windows image; your file stays, and only a base that ttylab installed is deleted.

    Example: `ttylab images remove-windows ws2022`.
    """
    deleted = WindowsRegistry().remove(name)
    say(f"forgot {name}" + (f", and deleted {deleted}" if deleted else "; its file is untouched"))


def _require_one(
    iso: Path | None, disk: Path | None, *, install: bool, list_editions: bool, edition: str
) -> None:
    if (iso is None) == (disk is None):
        raise SpecError("say either --iso FILE or --disk FILE")
    if disk is not None and (install or list_editions or edition):
        raise SpecError("--install, --list-editions and --edition go with --iso, not with --disk")
    if edition and not install:
        raise SpecError("--edition goes with --install")


def _list_editions(iso: Path) -> None:
    from emulator.windows.registration import read_media, require_file  # noqa: PLC0415

    media = read_media(require_file(iso, option="--iso"))
    for one in media.editions:
        facts = (one.image_name, one.edition, one.kind, one.build and f"build {one.build}")
        said = ", ".join(fact for fact in facts if fact)
        say(f"{one.index:3}  {one.name}" + (f"  ({said})" if said else ""))
    if not media.editions:
        say("nothing to install: this is WinPE alone, which boots as it is")


def _register(proposal: Proposal) -> None:
    image = proposal.image
    _require_free(image.name)
    WindowsRegistry().add(image)
    say(f"{image.name}: {image.path} ({image.level}, {image.release}, {image.firmware})")
    for note in proposal.notes:
        say(f"note: {note}")
    say(f"next: ttylab boot {image.name}")


def _require_free(name: str) -> None:
    if name in image_features():
        raise SpecError(f"there is an image {name!r} already; choose another --name")


def _install(proposal: Proposal, options: RegistrationOptions, edition: str, setup: InstallOptions) -> None:
    from emulator.windows.answer_file import ADMINISTRATOR, Answers  # noqa: PLC0415
    from emulator.windows.install import Installation, install_windows  # noqa: PLC0415

    key = read_secret(setup.product_key_file, "--product-key-file")
    image, root = proposal.image, WindowsRegistry().root
    _require_free(image.name)
    chosen = _choose(image.path, edition)
    password = options.password or f"Tty-{secrets.token_urlsafe(9)}7"
    answers = Answers(
        image_index=chosen.index,
        password=password,
        firmware=image.firmware,
        language=setup.language,
        product_key=key,
    )
    run_dir = root / "installations" / image.name
    wanted = Installation(
        name=image.name,
        iso=image.path,
        answers=answers,
        tpm=image.tpm,
        disk_gib=setup.disk_gib,
        memory_mib=setup.memory,
        vcpus=setup.vcpus,
    )
    say(f"installing {chosen.name}; evidence goes to {run_dir}")
    with _progress(image.name) as tell:
        deadline = Deadline.after(setup.hours * 3600)
        base = install_windows(wanted, root=root, run_dir=run_dir, deadline=deadline, tell=tell)
    made = replace(
        image,
        level=Level.INSTALLED,
        path=base,
        disk_format=DiskFormat.QCOW2,
        identity=identify(base),
        user=ADMINISTRATOR,
        password=password,
    )
    _register(replace(proposal, image=made))


def _choose(iso: Path, wanted: str) -> Edition:
    from emulator.windows.registration import find_edition, list_editions, read_media  # noqa: PLC0415

    editions = read_media(iso).editions
    if not editions:
        raise SpecError(f"--install: {iso} has nothing to install; it is WinPE alone, which boots as it is")
    if not wanted and len(editions) > 1:
        raise SpecError(f"--install needs --edition; {iso} has: {list_editions(editions)}")
    chosen = editions[0] if not wanted else find_edition(editions, wanted, origin=str(iso))
    if chosen.kind == "Client":
        raise SpecError(
            f"--edition {chosen.name!r}: client Windows has no SAC as it is installed; take a Server"
        )
    return chosen


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str], None]]:
    """Show the stages: on a terminal with the elapsed time, elsewhere a line for each."""
    if not sys.stderr.isatty():
        yield lambda stage: say(f"ttylab: {name}: {stage}", err=True)
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from harness.terminal.output import ProgressOutput  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn(name), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=ProgressOutput()) as bars:
        task = bars.add_task("starting", total=None)
        yield lambda stage: bars.update(task, description=stage)
