"""A matrix's Linux cells on a user's own image: each once, where it fits."""

from pathlib import Path

import pytest

from emulator.errors import SpecError
from harness.cells.cell import Cell
from harness.cells.matrix import load_matrix
from harness.cells.own_matrix import own_matrix
from harness.scenarios import library

IMAGES = {"bookworm": frozenset({"i6300esb"}), "trixie": frozenset[str](), "sac": frozenset({"sac"})}
HEAD = '[matrix]\nname = "m"\ndescription = "d"\ntimeout_s = 77\n'
BLOCK = '[[block]]\nimages = {images}\nmachines = {machines}\nfirmwares = ["seabios"]\nvcpus = [1]\n'
LINUX = BLOCK.format(images='["bookworm", "trixie"]', machines='["pc", "q35"]')
LINUX += 'scenarios = ["boot-login", "nmi-panic"]\n'
SAC = BLOCK.format(images='["sac"]', machines='["pc"]') + 'scenarios = ["sac-cmd"]\n'


def loaded(path: Path, text: str, **images: frozenset[str]):
    path.write_text(text)
    return load_matrix(path, images=IMAGES | images, scenarios=library())


def test_cells_of_several_images_become_one_each(tmp_path: Path) -> None:
    matrix = loaded(tmp_path / "m.toml", HEAD + LINUX + SAC)
    text = own_matrix(matrix, "mine", lambda cell: (cell.machine, cell.firmware))
    own = loaded(tmp_path / "own.toml", text, mine=frozenset({"own"}))
    linux = sorted(cell.id.replace("bookworm", "mine") for cell in matrix.cells if cell.image == "bookworm")
    assert [cell.id for cell in own.cells] == linux
    assert (own.name, own.timeout_s, own.target.name) == ("m", 77.0, "machine")


def test_settings_are_kept(tmp_path: Path) -> None:
    settings = '[block.settings]\nappend = ["quiet"]\nmemory_mib = 512\ndevices = ["pvpanic"]\n'
    matrix = loaded(tmp_path / "m.toml", HEAD + LINUX + settings)
    text = own_matrix(matrix, "mine", lambda cell: (cell.machine, cell.firmware))
    own = loaded(tmp_path / "own.toml", text, mine=frozenset({"own"}))
    assert {cell.settings for cell in own.cells} == {matrix.cells[0].settings}


def test_cells_that_fit_nowhere_are_left_out(tmp_path: Path) -> None:
    matrix = loaded(tmp_path / "m.toml", HEAD + LINUX)

    def place(cell: Cell) -> tuple[str, str] | None:
        return ("pc", "seabios") if cell.machine == "q35" else None

    own = loaded(tmp_path / "own.toml", own_matrix(matrix, "mine", place), mine=frozenset({"own"}))
    assert {(cell.machine, cell.scenario) for cell in own.cells} == {
        ("pc", "boot-login"),
        ("pc", "nmi-panic"),
    }
    with pytest.raises(SpecError, match="matrix m has no cell that fits mine"):
        own_matrix(matrix, "mine", lambda _: None)
    sac = loaded(tmp_path / "sac.toml", HEAD + SAC)
    with pytest.raises(SpecError, match="matrix m has no cell that fits mine"):
        own_matrix(sac, "mine", lambda cell: (cell.machine, cell.firmware))


def test_a_serial_port_can_boot_no_file(tmp_path: Path) -> None:
    port = 'target = "serial"\nport = "/dev/ttyS9"\n'
    matrix = loaded(tmp_path / "m.toml", HEAD + port + LINUX.replace("nmi-panic", "console-long-line"))
    with pytest.raises(SpecError, match="is played on a serial port, where no file can be booted"):
        own_matrix(matrix, "mine", lambda cell: (cell.machine, cell.firmware))
