"""The files by which a run knows its lab: a lab.toml in its directory, and for a kernel or disk a matrix.

Workers, `repro` and `repeat` so see one way only, whether an image stands in a repository's lab.toml or was
named on the command line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from emulator.errors import FileError, SpecError
from emulator.files import PRIVATE, make_private_directory
from emulator.guest_images.board import BOARD
from emulator.guest_images.own_disk import disk_architecture, open_disk
from emulator.guest_images.own_kernel import read_kernel
from emulator.kernel_files.identify import Form
from emulator.lab_file.read import FILE, VARIABLE, current_lab
from emulator.lab_file.tables import ImageTable
from emulator.lab_file.write import toml_key, toml_tables
from emulator.machine.architectures import ARCHITECTURES, architecture_for, architecture_of
from emulator.machine.architectures.parts import Architecture
from emulator.machine.models import find_model
from emulator.machine.spec import Firmware, MachineType
from harness.cells.cell import Cell
from harness.cells.matrix import Matrix
from harness.cells.own_matrix import Place, own_matrix

MATRIX = "matrix.toml"
_HEADER = "# ttylab wrote this file for the run in this directory.\n"


def write_own_run(directory: Path, matrix: Matrix, name: str, table: ImageTable) -> Path:
    """Write lab and matrix of a run of one image into `directory`, and use them; return the matrix's file.

    Raises SpecError if no cell fits the image, or there is a lab.toml already; FileError.
    """
    place_of = _on_kernel(table) if table.disk is None else _on_disk(name, table)
    text = own_matrix(matrix, name, place_of)
    write_lab(directory, {name: table})
    _write_new(directory / MATRIX, text)
    return directory / MATRIX


def _on_kernel(table: ImageTable) -> Callable[[Cell], Place | None]:
    """Return where a kernel's cells are played: as they are or as asked for; OVMF starts no vmlinux."""
    assert table.kernel is not None  # noqa: S101  # as its caller has asked
    facts = read_kernel(table.kernel)[0]
    architecture = architecture_for(facts.architecture) or ARCHITECTURES[0]

    def place(cell: Cell) -> Place | None:
        machine, firmware = _foreign_place(cell, architecture) or (cell.machine, cell.firmware)
        firmware = Firmware(table.firmware or firmware)
        return None if facts.form is Form.VMLINUX and firmware.is_uefi else (machine, firmware)

    return place


def _foreign_place(cell: Cell, architecture: Architecture) -> Place | None:
    """Return the usual place of another architecture than a cell's, UEFI for UEFI; else None."""
    if cell.machine == BOARD or architecture_of(find_model(cell.machine).base) is architecture:
        return None
    board = architecture.boards[0]
    return board.machine, architecture.uefi.firmware if cell.firmware.is_uefi else board.firmwares[0]


def _on_disk(name: str, table: ImageTable) -> Callable[[Cell], Place | None]:
    """Return where a disk's cells are played: under a firmware that starts it, on boards that have disks."""
    disk, architecture = open_disk(name, table), disk_architecture(table)
    usual = disk.usual_board.firmware
    able = {Firmware.SEABIOS: disk.layout.bios, Firmware.OVMF: disk.layout.uefi}
    firmwares = {usual} if table.firmware else {one for one, can in able.items() if can}

    def place(cell: Cell) -> Place:
        if foreign := _foreign_place(cell, architecture):
            return foreign[0], usual
        machine = str(MachineType.PC) if cell.machine == MachineType.MICROVM else cell.machine
        return machine, cell.firmware if cell.firmware in firmwares else usual

    return place


def write_lab(directory: Path, images: Mapping[str, ImageTable]) -> None:
    """Use a new lab.toml of `images` and this process's lab; raises SpecError if it is there, FileError."""
    make_private_directory(directory, users=True)
    _write_new(directory / FILE, _lab_text(images))
    os.environ[VARIABLE] = str(directory.absolute() / FILE)


def _lab_text(images: Mapping[str, ImageTable]) -> str:
    path = current_lab().path
    head = {} if path is None else {"lab": {"base": path}}
    return toml_tables({**head, **{f"images.{toml_key(name)}": table for name, table in images.items()}})


@contextmanager
def lab_put_back() -> Iterator[None]:
    """Use after the block the lab that was used before it."""
    before = os.environ.get(VARIABLE)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before


def keep_lab(directory: Path) -> None:
    """Note in a run's directory which lab it used, if any: its cells can be played again from anywhere."""
    if current_lab().path is not None and not (directory / FILE).exists():
        _write_new(directory / FILE, _lab_text({}))


def use_lab_of(run: Path) -> None:
    """Use the lab that a run used, from now on."""
    if (run / FILE).is_file():
        os.environ[VARIABLE] = str((run / FILE).absolute())


def forget_own_run(directory: Path) -> None:
    """Remove what is written here for a run that came to nothing, and its directory if that is empty."""
    with suppress(OSError):
        if {one.name for one in directory.iterdir()} - {FILE, MATRIX}:
            return
        for path in (directory / FILE, directory / MATRIX):
            with suppress(FileNotFoundError):
                if path.read_bytes().startswith(_HEADER.encode()):  # a user may have a lab.toml there
                    path.unlink()
        directory.rmdir()


def _write_new(path: Path, text: str) -> None:
    try:
        with open(path, "x", encoding="utf-8", opener=_private) as file:  # an opener
            file.write(_HEADER + text)
    except FileExistsError:
        raise SpecError(f"{path} is there already; choose another directory") from None
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, PRIVATE)
