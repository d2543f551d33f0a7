"""`ttylab images`: list, build, verify and prune guest images."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from emulator.errors import EmulatorError, ImageError, SpecError
from emulator.guest_images.kinds import open_image, registry_problem
from emulator.guest_images.own import own_tables
from emulator.guest_text.printable import visible
from emulator.images.catalog import CatalogEntry
from emulator.images.image import Image
from emulator.images.store import ImageStore
from emulator.lab_file.tables import ImageTable
from emulator.windows.image import WindowsImage
from emulator.windows.registry import WindowsRegistry
from harness.commands import add_windows as windows
from harness.commands import print_table, say, spaced

app = typer.Typer(
    help="Guest images: Debian kernels with a small initramfs, built here and kept outside the checkout.\n\n"
    "Examples: `ttylab images list`, `ttylab images build bookworm`, `ttylab images build --all`, "
    "`ttylab images verify`, `ttylab images prune`, `ttylab images add-windows --help`.",
    no_args_is_help=True,
    add_completion=False,
)
app.command("add-windows", epilog=spaced(windows.EXAMPLES))(windows.add_windows)
app.command("remove-windows")(windows.remove_windows)
Names = Annotated[list[str] | None, Argument(metavar="NAME", help="Images of the catalog.")]


@app.command("list")
def list_images(
    *,
    json: Annotated[bool, Option("--json", help="Print one JSON array, an object for each image.")] = False,
) -> None:
    """List the images of the catalog, which of them are built, your lab.toml's, and your Windows.

    Examples: `ttylab images list`, `ttylab images list --json`.
    """
    store = ImageStore()
    built = {image.name: image for image in store.list()}
    entries = [(entry, built.get(name)) for name, entry in store.catalog.entries.items()]
    problem = registry_problem()
    registered = () if problem else WindowsRegistry().images().values()
    own = [own_as_object(name, table) for name, table in own_tables().items()]
    for each in (*(f"image {name}: {why}" for name, why in store.damaged().items()), problem):
        if each:
            say(f"ttylab: {visible(each)}", err=True)
    if json:
        linux = [as_object(entry, image) for entry, image in entries]
        say(json_format.dumps([*linux, *own, *map(windows_as_object, registered)], indent=2))
        return
    _show_table(entries)
    if own:
        say()
        rows = ((one["name"], one["own"], Path(one["initrd"] or "").name, one["path"]) for one in own)
        print_table(("lab.toml", "is", "initramfs", "file"), rows)
    _show_surveys()
    if registered:
        _show_windows(registered)


@app.command()
def build(
    names: Names = None,
    *,
    every: Annotated[bool, Option("--all", help="Every image of the catalog.")] = False,
    rebuild: Annotated[bool, Option("--rebuild", help="Build again what is there already.")] = False,
) -> None:
    """Fetch Debian's packages, check them, and build images from them.

    An image that is built already is left as it is, and needs no network. Its kernel is the newest in the
    suite when it is first built, and stays until `ttylab images prune --all`.

    Examples: `ttylab images build bookworm trixie`, `ttylab images build --all`.
    """
    store = ImageStore()
    if every == bool(names):
        raise SpecError(f"name images, or say --all; there are: {', '.join(store.catalog.names)}")
    wanted = store.catalog.names if every else tuple(names or ())
    own = own_tables()
    for name in wanted:
        if name in own:
            raise SpecError(f"{name} is an image of your lab.toml, of which nothing is built")
        store.catalog.entry(name)
    for name in wanted:
        image = store.ensure(name, rebuild=rebuild)
        say(f"{name}: Linux {image.kernel_release} ({image.size / 1e6:.0f} MB)", err=True)


@app.command()
def verify(names: Names = None) -> None:
    """Read every byte of images and packages again, and compare the hashes.

    Without names: all that are built, and yours. Exit code 3 if something is wrong, 2 if only files of yours.

    Examples: `ttylab images verify`, `ttylab images verify bookworm`.
    """
    store = ImageStore()
    own = own_tables()
    wanted = names or [*(image.name for image in store.list()), *own]
    wrong: list[str] = []
    for name in wanted:
        found = _verify_own(name) if name in own else store.verify(name)
        say("\n".join(found) if found else f"{name}: ok")
        wrong += [name] * bool(found)
    if wrong:
        error = SpecError if own.keys() >= set(wrong) else ImageError
        raise error(f"of {len(wanted)} images {len(wrong)} are wrong: {', '.join(wrong)}")


@app.command()
def prune(
    *, every: Annotated[bool, Option("--all", help="Remove the images of the catalog too.")] = False
) -> None:
    """Remove older builds, packages that no image needs, and leftovers of interrupted builds.

    Examples: `ttylab images prune`, `ttylab images prune --all`.
    """
    removed = ImageStore().prune(keep=() if every else None)
    say("\n".join(f"removed {path}" for path in removed) or "Nothing to remove.")


def as_object(entry: CatalogEntry, image: Image | None) -> dict[str, object]:
    """Return what `--json` prints for one image; programs rely on these keys."""
    return {
        "name": entry.name,
        "suite": entry.suite,
        "flavour": entry.flavour,
        "kernel_version": image.kernel_version if image else None,
        "kernel_release": image.kernel_release if image else None,
        "built": image is not None,
        "sha256": dict(image.sha256) if image else {},
        "packages": [asdict(package) for package in image.packages] if image else [],
        "modules": sorted(image.modules) if image else [],
        "size": image.size if image else 0,
    }


def own_as_object(name: str, table: ImageTable) -> dict[str, Any]:
    """Return what `--json` prints for an image of a lab.toml; nothing of it is opened."""
    file, kind = (table.disk, "disk") if table.kernel is None else (table.kernel, "kernel")
    initrd = None if table.initrd is None else str(table.initrd)
    size = None
    with suppress(OSError):
        size = Path(str(file)).stat().st_size
    return {"name": name, "own": kind, "path": str(file), "initrd": initrd, "size": size}


def _verify_own(name: str) -> list[str]:
    """Return why a user's image can't be booted; there is no hash to compare with, as it may change."""
    try:
        open_image(name)
    except EmulatorError as error:
        return [f"{name}: {error}"]
    return []


def windows_as_object(image: WindowsImage) -> dict[str, object]:
    """Return what `--json` prints for a registered Windows, without its password."""
    provenance = image.provenance()
    return {
        "name": image.name,
        "guest": provenance["guest"],
        "level": image.level.value,
        "release": image.release,
        "firmware": image.firmware,
        "tpm": image.tpm,
        "path": str(image.path),
        "user": image.user,
        "real_windows": not image.is_sac_guest,
        "sha256": dict(image.sha256),
        "size": image.identity.size,
    }


def _show_windows(images: Iterable[WindowsImage]) -> None:
    columns = ("your own", "is", "release", "firmware", "TPM", "file")
    rows = (
        (one.name, _what(one), one.release, one.firmware, "yes" if one.tpm else "no", str(one.path))
        for one in images
    )
    say()
    print_table(columns, rows)


def _what(image: WindowsImage) -> str:
    if image.is_sac_guest:
        return "ttylab's SAC guest, not Windows"
    return f"Windows, by your word ({image.level})"


def _show_surveys() -> None:
    """Say what is known of users' own images since they were first booted."""
    from harness.survey.first_boot import known_surveys  # noqa: PLC0415  # it imports what runs guests

    own = own_tables()
    known = {name: found for name, found in known_surveys().items() if name in own}
    if known:
        say()
        print_table(
            ("surveyed", "is"), ((name, visible(found.told)) for name, found in sorted(known.items()))
        )


def _show_table(entries: list[tuple[CatalogEntry, Image | None]]) -> None:
    rows = []
    for entry, image in entries:
        kernel = ("not built", entry.kernel, "")
        if image:
            kernel = (image.kernel_release, image.kernel_version, f"{image.size / 1e6:.0f}")
        rows.append((entry.name, entry.suite, entry.flavour, *kernel))
    print_table(("image", "suite", "flavour", "Linux", "version", "MB"), rows)
