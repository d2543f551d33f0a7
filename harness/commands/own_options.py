"""The options by which commands take a user's own kernel or disk without a lab.toml."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from emulator.errors import ImageError, SpecError, unknown_name
from emulator.machine.spec import Firmware

if TYPE_CHECKING:
    from emulator.guest_images.kinds import GuestImage
    from emulator.lab_file.tables import ImageTable
    from harness.snapshots.lab import Lab

TTYLAB_INITRD, NO_INITRD = "ttylab", "none"
"""What --initrd says for ttylab's own, and for a kernel that is started alone."""
CLOUD_INIT = "cloud-init"


def _file(says: str) -> Any:
    return Option(metavar="FILE", help=says)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnOptions:
    """What was given of these options, each a field; what was not is None or empty."""

    kernel: Annotated[Path | None, _file("Your own kernel: bzImage or vmlinux.")] = None
    initrd: Annotated[
        str | None, _file('Of --kernel: its initramfs; default: "ttylab", which has a login; or "none".')
    ] = None
    modules: Annotated[
        Path | None, Option(metavar="DIR", help="Of --kernel: its modules, for ttylab's initramfs.")
    ] = None
    disk: Annotated[Path | None, _file("Your own disk: raw, qcow2, VHD, VHDX or VMDK.")] = None
    append: Annotated[str, Option(help="More kernel parameters; for the image sac: knobs.")] = ""
    firmware: Annotated[str | None, Option(help="seabios or ovmf; default: what the image is for.")] = None
    memory: Annotated[int | None, Option(min=64, max=65536, help="MiB; default: what the image needs.")] = (
        None
    )
    seed: Annotated[
        str | None, Option(metavar=CLOUD_INIT, help="Of --disk: add a CD with user and password.")
    ] = None
    user: Annotated[str | None, Option(help="Who logs in on --kernel or --disk; default: root.")] = None
    password_file: Annotated[
        Path | None, _file("Its first line is the password of --user; default: none.")
    ] = None

    def table(self) -> ImageTable | None:
        """Return the image they describe, with absolute paths; None without one; raises SpecError."""
        from emulator.lab_file.tables import USER, ImageTable, Login  # noqa: PLC0415 - pydantic

        self._require_sense()
        if self.kernel is None and self.disk is None:
            return None
        if self.user is not None and not USER.fullmatch(self.user):
            raise SpecError(f"--user is {self.user!r}; allowed: a name without blanks and ':'")
        has_login = self.user is not None or self.password_file is not None
        login = Login(user=self.user or "root", password_file=_absolute(self.password_file))
        initrd, named = self.initrd or TTYLAB_INITRD, {TTYLAB_INITRD: Path(TTYLAB_INITRD), NO_INITRD: None}
        return ImageTable(
            kernel=_absolute(self.kernel),
            initrd=named.get(initrd, Path(initrd).absolute()) if self.kernel else None,
            modules=_absolute(self.modules),
            append=tuple(self.append.split()),
            disk=_absolute(self.disk),
            firmware=self.firmware,
            memory_mib=self.memory,
            login=login if has_login else None,
            seed="cloud-init" if self.seed else None,
        )

    def _require_sense(self) -> None:
        """Refuse options that don't go together, in the words of a command line."""
        if self.kernel is not None and self.disk is not None:
            raise SpecError("--kernel and --disk: give one of them")
        neither = self.kernel is None and self.disk is None
        owners = (
            ("--kernel", self.kernel is None, ("initrd", "modules", "append")),
            ("--disk", self.disk is None, ("seed",)),
            ("--kernel or --disk", neither, ("firmware", "memory", "user", "password_file")),
        )
        for owner, absent, names in owners:
            given = [name for name in names if getattr(self, name)]
            if absent and given:
                raise SpecError(f"--{given[0].replace('_', '-')} goes only with {owner}")
        if self.modules is not None and self.initrd not in {None, TTYLAB_INITRD}:
            raise SpecError(f"--modules goes only with --initrd {TTYLAB_INITRD}")
        words = {"firmware": [None, *Firmware], "seed": [None, CLOUD_INIT]}
        for name, allowed in words.items():
            if (value := getattr(self, name)) not in allowed:
                raise SpecError(f"--{name} is {value!r}; allowed: {', '.join(map(str, allowed[1:]))}")


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


@contextmanager
def matrix_of(own: OwnOptions, matrix: Path, *, run_dir: Path | None) -> Iterator[Path]:
    """Give the matrix to play: `matrix` itself, or its Linux cells on the user's file.

    The latter and its lab are written into `run_dir`, from which they go if the block fails; without one into
    a scratch directory for the block.

    Raises:
        SpecError, ImageError, MissingPrerequisite: the options are wrong, or the file won't do.
    """
    table = own.table()
    if table is None:
        yield matrix
        return
    from harness.cells.matrix import read_matrix  # noqa: PLC0415 - slow to import
    from harness.run.own_run import forget_own_run, lab_put_back, write_own_run  # noqa: PLC0415

    name = named(table)
    with TemporaryDirectory(prefix="ttylab-own-") as scratch, lab_put_back():
        place = run_dir or Path(scratch) / "run"
        fresh = not place.parent.exists()
        try:
            yield write_own_run(place, read_matrix(matrix), name, table)
        finally:
            forget_own_run(place)
            with suppress(OSError):  # it is not empty
                if fresh:
                    place.parent.rmdir()


def named(table: ImageTable) -> str:
    """Return a name for the image of a table, after its file, or raise why that can't be opened."""
    from emulator.guest_images.kinds import image_features  # noqa: PLC0415
    from emulator.guest_images.own import open_table, own_name  # noqa: PLC0415

    name = own_name(table.kernel or table.disk or Path(), image_features())
    try:
        open_table(name, table, build=False)
    except ImageError:
        if table.kernel is None:
            raise  # of a kernel: ttylab's own initramfs is not built yet, which the run does
    return name


def guest_of(lab: Lab, image: str, own: OwnOptions) -> GuestImage:
    """Return the image that a command line means: by name, or as a file, whose content tells what it is.

    A word with "/" in it is a file; any other is an image's name, or else a file here. What belongs to the
    machine (--append, --firmware, --memory) is left to the caller.

    Raises:
        SpecError: there is neither, or the options don't go together; or as `open_image`.
    """
    from emulator.guest_images.kinds import image_features  # noqa: PLC0415
    from emulator.guest_images.own import file_kind, open_table, own_name  # noqa: PLC0415

    own = replace(own, append="", firmware=None, memory=None)
    if [bool(image), own.kernel is not None, own.disk is not None].count(True) != 1:
        raise SpecError("what to boot: give one of IMAGE, --kernel FILE, --disk FILE")
    known, file = image_features(), Path(image)
    if image and "/" not in image:
        if image in known:
            own.table()  # refuses options of other images
            return lab.guest_image(image)
        if not file.exists():
            raise SpecError(f"{unknown_name('image', image, known)}; nor is there such a file here")
    if image:
        is_kernel = file_kind(file) == "kernel"
        own = replace(own, kernel=file if is_kernel else None, disk=None if is_kernel else file)
    table = own.table()
    assert table is not None  # noqa: S101  # it has a file
    return open_table(own_name(table.kernel or table.disk or file, known), table)
