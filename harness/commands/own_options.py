"""The options by which commands take a user's own kernel or disk without a lab.toml."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

from emulator.errors import ImageError, SpecError, unknown_name
from emulator.guest_images.kinds import GuestImage, image_features
from emulator.guest_images.own import file_kind, open_table, own_name
from emulator.lab_file.tables import CLOUD_INIT, TTYLAB_INITRD, ImageTable, Login
from harness.run.lab import Lab

NO_INITRD = "none"
"""What --initrd says for a kernel that is started alone."""


def _file(says: str) -> object:
    return typer.Option(metavar="FILE", help=says)


Kernel: TypeAlias = Annotated[Path | None, _file("Your own kernel: a bzImage or vmlinux.")]
DiskFile: TypeAlias = Annotated[
    Path | None, typer.Option("--disk", metavar="FILE", help="Your own disk: raw, qcow2, VHD, VHDX, VMDK.")
]
Initrd: TypeAlias = Annotated[
    str | None, _file('For --kernel: its initramfs; default: "ttylab", which has a login; "none".')
]
Modules: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="DIR", help="For --kernel: its modules, for ttylab's initramfs.")
]
User: TypeAlias = Annotated[str | None, typer.Option(help="Who logs in on it; default: root.")]
PasswordFile: TypeAlias = Annotated[Path | None, _file("The first line is the password; default: none.")]
Seed: TypeAlias = Annotated[
    str | None, typer.Option(metavar="cloud-init", help="For --disk: add a CD with user and password.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnOptions:
    """What was given of these options; `words` are kernel parameters."""

    kernel: Path | None = None
    disk: Path | None = None
    initrd: str | None = None
    modules: Path | None = None
    words: tuple[str, ...] = ()
    user: str | None = None
    password_file: Path | None = None
    seed: str | None = None
    firmware: str | None = None
    memory_mib: int | None = None

    def table(self) -> ImageTable | None:
        """Return the image that they describe, with absolute paths; None if there is none.

        Raises:
            SpecError: they don't go together.
        """
        self._require_sense()
        if self.kernel is None and self.disk is None:
            return None
        has_login = self.user is not None or self.password_file is not None
        seed: Literal["cloud-init"] | None = "cloud-init" if self.seed else None
        return ImageTable(
            kernel=_absolute(self.kernel),
            initrd=None if self.kernel is None else _initrd(self.initrd),
            modules=_absolute(self.modules),
            append=self.words,
            disk=_absolute(self.disk),
            firmware=self.firmware,
            memory_mib=self.memory_mib,
            login=Login(user=self.user or "root", password_file=_absolute(self.password_file))
            if has_login
            else None,
            seed=seed,
        )

    def _require_sense(self) -> None:
        """Refuse options that don't go together, in the words of a command line."""
        for_kernel = {"--initrd": self.initrd, "--modules": self.modules, "--append": self.words}
        for_both = {"--user": self.user, "--password-file": self.password_file, "--memory": self.memory_mib}
        if self.kernel is not None and self.disk is not None:
            raise SpecError("--kernel and --disk: give one of them")
        wanted = {
            "--kernel": () if self.kernel else _given(for_kernel),
            "--disk": () if self.disk else _given({"--seed": self.seed}),
            "--kernel or --disk": () if self.kernel or self.disk else _given(for_both),
        }
        for owner, options in wanted.items():
            if options:
                raise SpecError(f"{options[0]} goes only with {owner}")
        if self.modules is not None and self.initrd not in {None, TTYLAB_INITRD}:
            raise SpecError(f"--modules goes only with --initrd {TTYLAB_INITRD}")
        if self.seed not in {None, CLOUD_INIT}:
            raise SpecError(f"--seed is {self.seed!r}; allowed: {CLOUD_INIT}")


def _given(options: dict[str, object]) -> tuple[str, ...]:
    return tuple(name for name, value in options.items() if value)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _initrd(given: str | None) -> Path | None:
    if given == NO_INITRD:
        return None
    return Path(TTYLAB_INITRD) if given in {None, TTYLAB_INITRD} else Path(given or "").absolute()


def named(table: ImageTable) -> str:
    """Return a name for the image of a table, after its file, once it is certain that it can be opened.

    Raises:
        SpecError, ImageError, MissingPrerequisite: a file is missing or won't do.
    """
    name = own_name(table.kernel or table.disk or Path(), image_features())
    try:
        open_table(name, table, build=False)
    except ImageError:
        if table.kernel is None:
            raise  # of a kernel: ttylab's own initramfs is not built yet, which the run does
    return name


def guest_of(lab: Lab, image: str, options: OwnOptions) -> GuestImage:
    """Return the image that a command line means: by name, or as a file, whose content tells what it is.

    A word with "/" in it is a file; any other is an image's name, or else a file here.

    Raises:
        SpecError: there is neither, or the options don't go together; or as `open_image`.
    """
    table = options.table()
    if (table is None) == (not image):
        raise SpecError("what to boot: give one of IMAGE, --kernel FILE, --disk FILE")
    known = image_features() if image and "/" not in image else {}
    if table is None and image in known:
        return lab.guest_image(image)
    file = Path(image)
    if table is None and known and not file.exists():
        raise SpecError(f"{unknown_name('image', image, known)}; nor is there such a file here")
    table = table or replace(options, **{file_kind(file): file}).table()
    assert table is not None  # noqa: S101  # it has a file
    return open_table(own_name(table.kernel or table.disk or file, known), table)
