"""`ttylab images`: list, build, verify and prune guest images."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer

from emulator.errors import ImageError, SpecError
from emulator.guest_images.kinds import registry_problem
from emulator.guest_text.printable import visible
from emulator.images.catalog import CatalogEntry
from emulator.images.image import Image
from emulator.images.store import ImageStore
from emulator.windows.image import WindowsImage
from emulator.windows.registry import WindowsRegistry
from harness.commands import add_windows as windows
from harness.commands import print_table, say

app = typer.Typer(
    help="Guest images: Debian kernels with a small initramfs, built here and kept outside the checkout.\n\n"
    "Examples: `ttylab images list`, `ttylab images build bookworm`, `ttylab images build --all`, "
    "`ttylab images verify`, `ttylab images prune`, `ttylab images add-windows --help`.",
    no_args_is_help=True,
    add_completion=False,
)
app.command("add-windows", epilog=windows.EXAMPLES)(windows.add_windows)
app.command("remove-windows")(windows.remove_windows)
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Images of the catalog.")]


@app.command("list")
def list_images(
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON array, an object for each image.")
    ] = False,
) -> None:
    """List the images of the catalog, which of them are built, and the Windows images you registered.

    Examples: `ttylab images list`, `ttylab images list --json`.
    """
    store = ImageStore()
    built = {image.name: image for image in store.list()}
    entries = [(entry, built.get(name)) for name, entry in store.catalog.entries.items()]
    problem = registry_problem()
    registered = () if problem else WindowsRegistry().images().values()
    for each in (*(f"image {name}: {why}" for name, why in store.damaged().items()), problem):
        if each:
            say(f"ttylab: {visible(each)}", err=True)
    if json:
        linux = [as_object(entry, image) for entry, image in entries]
        say(json_format.dumps([*linux, *map(windows_as_object, registered)], indent=2))
        return
    _show_table(entries)
    if registered:
        _show_windows(registered)


@app.command()
def build(
    names: Names = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every image of the catalog.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build again what is there already.")] = False,
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
    for name in wanted:
        store.catalog.entry(name)
    for name in wanted:
        image = store.ensure(name, rebuild=rebuild)
        say(f"{name}: Linux {image.kernel_release} ({image.size / 1e6:.0f} MB)", err=True)


@app.command()
def verify(names: Names = None) -> None:
    """Read every byte of images and packages again, and compare the hashes.

    Without names: all that are built. Exit code 3 if something is wrong.

    Examples: `ttylab images verify`, `ttylab images verify bookworm`.
    """
    store = ImageStore()
    problems: list[str] = []
    for name in names or [image.name for image in store.list()]:
        found = store.verify(name)
        say("\n".join(found) if found else f"{name}: ok")
        problems += found
    if problems:
        raise ImageError(f"wrong images ({len(problems)}); the first: {problems[0]}")


@app.command()
def prune(
    *,
    every: Annotated[bool, typer.Option("--all", help="Remove the images of the catalog too.")] = False,
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
    what = {True: "ttylab's SAC guest, not Windows", False: "Windows, by your word ({})"}
    say()
    print_table(
        ("your own", "is", "release", "firmware", "TPM", "file"),
        (
            (
                one.name,
                what[one.is_sac_guest].format(one.level),
                one.release,
                one.firmware,
                "yes" if one.tpm else "no",
                str(one.path),
            )
            for one in images
        ),
    )


def _show_table(entries: list[tuple[CatalogEntry, Image | None]]) -> None:
    rows = []
    for entry, image in entries:
        kernel = ("not built", entry.kernel, "")
        if image:
            kernel = (image.kernel_release, image.kernel_version, f"{image.size / 1e6:.0f}")
        rows.append((entry.name, entry.suite, entry.flavour, *kernel))
    print_table(("image", "suite", "flavour", "Linux", "version", "MB"), rows)
