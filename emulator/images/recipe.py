"""ttylab's own part of an image: the content of the initramfs, from images/linux, and of a disk."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emulator.errors import ImageError, SpecError
from emulator.images.catalog import CatalogEntry, data_directory
from emulator.kernel_files import cpio
from emulator.kernel_files.modules import Module
from emulator.machine.architectures.parts import Architecture, make_reseed_program

# Part of every image's key: raise it when the builder makes different bytes from the same recipe.
BUILDER = 3
# The same, only for images with a disk.
DISK_BUILDER = 1
_EXECUTABLE = ("init", "bin/", "etc/acpi/")
_PRIVATE = ("etc/shadow",)
_EMPTY_DIRECTORIES = ("bin", "dev", "home/tester", "proc", "run", "sys", "tmp", "var/log", "lib/modules")
_APPLET_TABLE = re.compile(rb"\[\0\[\[\0(?:[a-z0-9_.-]+\0)+")
_NEEDED_APPLETS = frozenset(
    {"acpid", "getty", "init", "insmod", "login", "mount", "poweroff", "reboot", "sh", "stty"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The guest's own files.

    Attributes:
        files: content by path in the guest; `@IMAGE@` stands for the image's name, `@CONSOLE@` for its
            serial console.
        modules: names of the modules to load, in order.
        menu: grub.cfg of an image with a disk; `@RELEASE@` stands for the kernel's release.
    """

    files: Mapping[str, bytes]
    modules: tuple[str, ...]
    menu: bytes = b""

    def modules_for(self, architecture: Architecture) -> tuple[str, ...]:
        """Return the names of the modules to load on an architecture."""
        return (*self.modules, *architecture.modules)

    def digest(self, entry: CatalogEntry) -> str:
        """Return the key of the image that `entry` and this recipe make: 64 hexadecimal digits."""
        what = f"{BUILDER} {entry.name} {entry.suite} {entry.flavour} {entry.kernel}"
        state = hashlib.sha256(what.encode())
        state.update(" ".join((entry.architecture, *self.modules_for(entry.runs_on))).encode())
        for path in sorted(self.files):
            state.update(b"\0%s\0%d\0" % (path.encode(), len(self.files[path])) + self.files[path])
        if entry.disk:
            state.update(b"\0disk %d\0" % DISK_BUILDER + self.menu)
        return state.hexdigest()


def load_recipe(directory: Path | None = None) -> Recipe:
    """Return the recipe in `directory`, or the shipped one; raises SpecError if there is none."""
    base = directory or data_directory()
    directory = base / "linux"
    try:
        menu = (base / "grub" / "grub.cfg").read_bytes()
        lines = (directory / "modules.txt").read_text(encoding="utf-8").splitlines()
        paths = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != "modules.txt")
        files = {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}
    except OSError as error:
        raise SpecError(f"{directory}: no guest recipe: {error.strerror}") from error
    names = (line.partition("#")[0].strip() for line in lines)
    return Recipe(files=files, modules=tuple(filter(None, names)), menu=menu)


def guest_nodes(
    recipe: Recipe, entry: CatalogEntry, *, busybox: bytes, modules: Iterable[Module], spin: bytes | None
) -> list[cpio.Node]:
    """Return the content of the initramfs of an image, whose guest has that host name too.

    `busybox` is a static one (ImageError if it lacks what the guest needs), `modules` are in loading order,
    and `spin` hangs a processor if it is there.
    """
    loaded = list(modules)
    return [
        *(cpio.directory(path) for path in _EMPTY_DIRECTORIES),
        cpio.directory("root", 0o700),
        cpio.character_device("dev/console", 5, 1),
        cpio.symlink("sbin", "bin"),
        cpio.symlink("usr", "."),
        *(_own_file(path, data, entry) for path, data in recipe.files.items()),
        cpio.file("bin/busybox", silence_cursor_query(busybox), 0o755),
        *(cpio.symlink(f"bin/{name}", "busybox") for name in find_applets(busybox) if name != "busybox"),
        cpio.file("bin/reseed", make_reseed_program(entry.runs_on.code), 0o755),
        *(cpio.file(f"lib/modules/{module.name}.ko", module.data) for module in loaded),
        cpio.file("lib/modules/order", "".join(f"{module.name}\n" for module in loaded).encode()),
        *(() if spin is None else (cpio.file("lib/modules/spin.ko", spin),)),
    ]


def disk_files(recipe: Recipe, built: Mapping[str, bytes], *, release: str) -> dict[str, bytes]:
    """Return a disk's files apart from GRUB: the menu and what it starts, named as Debian does."""
    return {
        f"boot/vmlinuz-{release}": built["bzimage"],
        f"boot/initrd.img-{release}": built["initrd"],
        "boot/grub/grub.cfg": recipe.menu.replace(b"@RELEASE@", release.encode()),
    }


def find_applets(busybox: bytes) -> list[str]:
    """Return the names that a busybox binary answers to, from the table in it.

    The table is a run of NUL-terminated names that begins with "[" and "[["; reading it avoids running
    a foreign binary on the build host.

    Raises:
        ImageError: there is no table, or a needed name is not in it.
    """
    table = _APPLET_TABLE.search(busybox)
    names = table[0].decode().rstrip("\0").split("\0") if table else []
    missing = _NEEDED_APPLETS - set(names)
    if missing:
        raise ImageError(f"busybox lacks: {', '.join(sorted(missing))}")
    return names


def silence_cursor_query(busybox: bytes) -> bytes:
    """Return `busybox` with a shell that does not ask the terminal where the cursor is.

    ash writes ESC [ 6 n after every prompt, and each attached terminal answers into the guest's
    command line. No setting turns it off (busybox 1.30 to 1.38, lineedit.c), but an empty string does.
    """
    return busybox.replace(b"\x1b[6n\0", b"\0[6n\0")


def _own_file(path: str, data: bytes, entry: CatalogEntry) -> cpio.Node:
    mode = 0o755 if path.startswith(_EXECUTABLE) else 0o600 if path in _PRIVATE else 0o644
    words = {b"@IMAGE@": entry.name.encode(), b"@CONSOLE@": entry.runs_on.console.encode()}
    for word, text in words.items():
        data = data.replace(word, text)
    return cpio.file(path, data, mode)
