"""Boards in matrices: the axis `targets`."""

import pytest

from emulator.errors import SpecError
from emulator.lab_file.read import VARIABLE
from harness.cells.matrix import read_matrix

LAB = """
[boards.bench1]
console = "/dev/ttyUSB0"
reset = ["true"]
[boards.bench2]
console = "/dev/ttyUSB1"
vcpus = 4
"""
HEAD = '[matrix]\nname = "m"\ndescription = "d"\n'
AXES = 'images = ["bookworm"]\nmachines = ["pc"]\nfirmwares = ["seabios"]\nvcpus = [1]\n'


@pytest.fixture
def load(tmp_path, monkeypatch):
    (tmp_path / "lab.toml").write_text(LAB)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "lab.toml"))

    def load_text(block, head=HEAD):
        path = tmp_path / "m.toml"
        path.write_text(f"{head}[[block]]\n{block}")
        return read_matrix(path)

    return load_text


def ids(matrix):
    return [cell.id for cell in matrix.cells]


def test_block_of_boards_needs_scenarios_alone(load):
    matrix = load('targets = ["bench1"]\nscenarios = ["reset-login", "nmi-dazed"]\n')
    assert ids(matrix) == ["bench1.board.none.1.reset-login"]
    assert [(one.cell.id, one.reason) for one in matrix.excluded] == [
        ("bench1.board.none.1.nmi-dazed", "bench1 can't do: nmi")
    ]
    (cell,) = matrix.cells
    assert matrix.target_of(cell).name == "bench1"
    assert matrix.port_of(cell) == ""


def test_block_may_have_machines_and_boards(load):
    matrix = load(f'targets = ["machine", "bench2"]\n{AXES}scenarios = ["reset-reboot"]\n')
    assert ids(matrix) == ["bench2.board.none.4.reset-reboot", "bookworm.pc.seabios.1.reset-reboot"]
    assert [matrix.target_of(cell).name for cell in matrix.cells] == ["bench2", "machine"]


def test_board_may_be_the_target_of_the_whole_matrix(load):
    assert ids(load('scenarios = ["reset-login"]\n', head=f'{HEAD}target = "bench1"\n')) == [
        "bench1.board.none.1.reset-login"
    ]


def test_all_targets_are_the_matrixs_own_and_every_board(load):
    matrix = load(f'targets = "all"\n{AXES}scenarios = ["reset-reboot"]\n')
    assert [cell.image for cell in matrix.cells] == ["bench1", "bench2", "bookworm"]


def test_processors_of_a_board_are_those_of_its_table(load):
    matrix = load('targets = ["bench1", "bench2"]\nscenarios = ["smp-backtrace", "reset-reboot"]\n')
    assert ids(matrix) == [
        "bench1.board.none.1.reset-reboot",
        "bench2.board.none.4.reset-reboot",
        "bench2.board.none.4.smp-backtrace",
    ]


def test_board_is_left_out_by_any_of_its_names(load):
    for axis in ('targets = ["bench1"]', 'images = ["bench1"]', 'machines = ["board"]\nvcpus = [1]'):
        text = f'targets = "all"\n{AXES}scenarios = ["reset-reboot"]\n[[exclude]]\n{axis}\nreason = "busy"\n'
        (out,) = load(text).excluded
        assert (out.cell.image, out.reason) == ("bench1", "busy")


def test_all_images_are_no_boards(load):
    axes = AXES.replace('["bookworm"]', '"all"')
    assert not {"bench1", "bench2"} & {
        cell.image for cell in load(f'{axes}scenarios = ["nmi-dazed"]\n').cells
    }


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ('targets = ["bench3"]\n', "key 'targets': unknown value 'bench3'; did you mean"),
        (f'targets = ["bench1"]\n{AXES}', "has images, machines, firmwares, vcpus; allowed: none where all"),
        (
            'targets = ["bench1"]\n[block.settings]\nmemory_mib = 512\n',
            "has settings; allowed: none where all",
        ),
        ('targets = ["machine", "bench1"]\n', "block.0: key 'images' is missing"),
        (AXES.replace("bookworm", "bench1"), "key 'images': bench1 is a board; allowed: under 'targets'"),
        (AXES.replace('"pc"', '"board"'), "unknown value 'board'"),
        (AXES.replace('"seabios"', '"none"'), "no cell is left; 1 are excluded"),
    ],
)
def test_wrong_block_is_refused_with_its_key(load, block, says):
    with pytest.raises(SpecError) as caught:
        load(f'scenarios = ["reset-login"]\n{block}')
    assert says in str(caught.value)
