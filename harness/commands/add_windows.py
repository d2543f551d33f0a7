"""`ttylab images add-windows` and `remove-windows`: Windows that the user brings."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.errors import SpecError
from emulator.machine.spec import Firmware
from harness.commands import windows_options as option
from harness.commands.windows_options import one_of, read_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.windows.registration import Edition, Proposal, RegistrationOptions

EXAMPLES = """Examples:

  ttylab images add-windows --iso server.iso --list-editions

  ttylab images add-windows --iso server.iso --name winpe             boot the media as they are

  ttylab images add-windows --disk ws2022.vhdx --password-file pw     an installed disk with EMS on

  ttylab images add-windows --iso server.iso --install --edition "ServerStandardCore" --name ws2022

Then: `ttylab boot ws2022`, or `images = ["ws2022"]` in a matrix. docs/windows.md tells what to expect, and
what nobody has verified. Files are never copied: only their paths are kept.
"""


def add_windows(
    *,
    iso: option.Iso = None,
    disk: option.Disk = None,
    name: option.Name = "",
    list_editions: option.ListEditions = False,
    install: option.Install = False,
    edition: option.Wanted = "",
    release: option.Release = None,
    firmware: option.FirmwareName = None,
    disk_format: option.DiskFormatName = None,
    tpm: option.HasTpm = False,
    user: option.User = "Administrator",
    domain: option.Domain = "",
    password_file: option.PasswordFile = None,
    product_key_file: option.ProductKeyFile = None,
    language: option.Language = "en-US",
    disk_gib: option.DiskGib = 40,
    memory: option.Memory = 4096,
    vcpus: option.Vcpus = 2,
    hours: option.Hours = 3.0,
) -> None:
    """Register your own Windows as an image: media as they are, an installed disk, or a new installation.

    Exit code 2: there is no such file, it is no ISO or disk, or has no Windows on it. 3: no installation.
    """
    from emulator.windows.registration import RegistrationOptions, propose_disk, propose_iso  # noqa: PLC0415

    _require_one(iso, disk, install=install, list_editions=list_editions, edition=edition)
    if iso is not None and list_editions:
        _list_editions(iso)
        return
    options = RegistrationOptions(
        name=name,
        release=release,
        firmware=None if firmware is None else Firmware(one_of("firmware", firmware, tuple(Firmware))),
        disk_format=one_of("format", disk_format, ("raw", "qcow2", "vhdx")),
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
        key = read_secret(product_key_file, "--product-key-file")
        settings = {"disk_gib": disk_gib, "memory_mib": memory, "vcpus": vcpus}
        _install(propose_iso(iso, options), options, (edition, language, key), hours=hours, settings=settings)


def remove_windows(
    name: Annotated[str, typer.Argument(help="A registered image; see ttylab images list.")],
) -> None:
    """Forget a registered Windows image; your file stays, only a base that ttylab installed is deleted.

    Example: `ttylab images remove-windows ws2022`.
    """
    from emulator.windows.registry import WindowsRegistry  # noqa: PLC0415

    deleted = WindowsRegistry().remove(name)
    typer.echo(f"forgot {name}" + (f", and deleted {deleted}" if deleted else "; its file is untouched"))


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
        build = one.build and f"build {one.build}"
        facts = ", ".join(fact for fact in (one.image_name, one.edition, one.kind, build) if fact)
        typer.echo(f"{one.index:3}  {one.name}" + (f"  ({facts})" if facts else ""))
    if not media.editions:
        typer.echo("nothing to install: this is WinPE alone, which boots as it is")


def _register(proposal: Proposal) -> None:
    from emulator.windows.registry import WindowsRegistry  # noqa: PLC0415

    _require_free(proposal.image.name)
    WindowsRegistry().add(proposal.image)
    image = proposal.image
    typer.echo(f"{image.name}: {image.path} ({image.level}, {image.release}, {image.firmware})")
    for note in proposal.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"next: ttylab boot {image.name}")


def _require_free(name: str) -> None:
    from emulator.images.kinds import image_features  # noqa: PLC0415

    if name in image_features():
        raise SpecError(f"there is an image {name!r} already; choose another --name")


def _install(
    proposal: Proposal,
    options: RegistrationOptions,
    choices: tuple[str, str, str],
    *,
    hours: float,
    settings: dict[str, int],
) -> None:
    from emulator.clock import Deadline  # noqa: PLC0415
    from emulator.windows.answer_file import ADMINISTRATOR, Answers  # noqa: PLC0415
    from emulator.windows.image import Level  # noqa: PLC0415
    from emulator.windows.install import Installation, install_windows  # noqa: PLC0415
    from emulator.windows.registry import WindowsRegistry, identify  # noqa: PLC0415

    edition, language, key = choices
    image, registry = proposal.image, WindowsRegistry()
    _require_free(image.name)
    chosen = _choose(image.path, edition)
    password = options.password or f"Tty-{secrets.token_urlsafe(9)}7"
    answers = Answers(
        image_index=chosen.index,
        password=password,
        firmware=image.firmware,
        language=language,
        product_key=key,
    )
    run_dir = registry.root / "installations" / image.name
    wanted = Installation(name=image.name, iso=image.path, answers=answers, tpm=image.tpm, **settings)
    typer.echo(f"installing {chosen.name}; evidence goes to {run_dir}")
    with _progress(image.name) as tell:
        deadline = Deadline.after(hours * 3600)
        base = install_windows(wanted, root=registry.root, run_dir=run_dir, deadline=deadline, tell=tell)
    made = replace(
        image,
        level=Level.INSTALLED,
        path=base,
        disk_format="qcow2",
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
    """Show the stages: on a terminal with the time that passes, else a line for each."""
    if not sys.stderr.isatty():
        yield lambda stage: typer.echo(f"ttylab: {name}: {stage}", err=True)
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn(name), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("starting", total=None)
        yield lambda stage: bars.update(task, description=stage)
