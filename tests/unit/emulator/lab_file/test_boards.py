"""Boards of lab.toml and of packages: where their commands are, and which names they may have."""

from types import SimpleNamespace

import pytest

from emulator.errors import SpecError
from emulator.lab_file.boards import lab_boards
from emulator.lab_file.packages import brought
from emulator.lab_file.read import VARIABLE

TEXT = """
[boards.bench1]
console = "socket://127.0.0.1:7001"
power_on = ["./on.sh", "./3"]
power_off = ["pductl", "off"]
reset = ["/opt/reset"]
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Write a lab.toml and choose it."""

    def write(text):
        path = tmp_path / "lab.toml"
        path.write_text(text)
        monkeypatch.setenv(VARIABLE, str(path))
        return path

    return write


def test_program_named_by_a_relative_path_is_beside_lab_toml(lab, tmp_path):
    lab(TEXT)
    board = lab_boards()["bench1"]
    assert board.directory == tmp_path
    assert board.table.power_on == (str(tmp_path / "on.sh"), "./3")
    assert board.table.power_off == ("pductl", "off")
    assert board.table.reset == ("/opt/reset",)
    assert board.table.nmi is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[boards.machine]\nconsole = "x"\n', "boards.machine: that is the name of a kind of target"),
        ('[machines.board]\nbase = "pc"\n', "machines.board: that is the name of a kind of target"),
        ('[boards.b]\nconsole = "x"\nreset = []\n', "boards.b.reset"),
        ('[boards.b]\nconsole = "x"\nreset = "sudo reset"\n', "boards.b.reset"),
        ('[boards.b]\nconsole = "x"\nreset = ["a\\u0000b"]\n', "boards.b.reset"),
        ("[boards.b]\nbaud = 9600\n", "key 'boards.b.console' is missing"),
        ('[boards.b]\nconsole = "x"\nlogin = { password = "hush5" }\n', "password"),
        ('[boards.b]\nconsole = "x"\ncommand_s = 0\n', "boards.b.command_s"),
    ],
)
def test_wrong_table_is_refused_with_its_key_and_never_with_a_password(lab, text, says):
    lab(text)
    with pytest.raises(SpecError) as caught:
        lab_boards()
    assert says in str(caught.value)
    assert "hush5" not in str(caught.value)


class Brings:
    """A package's entry point."""

    name, value, dist = "theirs", "theirs:lab", SimpleNamespace(name="theirs")

    def __init__(self, what):
        self.load = lambda: what


@pytest.fixture
def brings(monkeypatch):
    def bring(what):
        brought.cache_clear()
        monkeypatch.setattr("emulator.lab_file.packages.entry_points", lambda group: [Brings(what)])

    yield bring
    brought.cache_clear()


def test_package_brings_a_board_as_tables_or_as_a_file(brings, lab, tmp_path):
    lab("")
    brings({"boards": {"theirs": {"console": "/dev/ttyUSB0", "nmi": ["./nmi"]}}})
    assert lab_boards()["theirs"].table.console == "/dev/ttyUSB0"
    path = tmp_path / "their.toml"
    path.write_text(TEXT)
    brings(str(path))
    assert lab_boards()["bench1"].directory == tmp_path


def test_two_boards_of_one_name_are_refused_with_who_has_the_second(brings, lab):
    path = lab(TEXT)
    brings({"boards": {"bench1": {"console": "/dev/ttyUSB0"}}})
    with pytest.raises(SpecError, match=r"boards\.bench1: there is a board of that name already") as caught:
        lab_boards()
    assert str(path) in str(caught.value)


def test_tables_of_a_package_that_are_wrong_name_the_package(brings, lab):
    lab("")
    brings({"boards": {"b": {"consol": "x"}}})
    with pytest.raises(SpecError, match=r"package theirs: ttylab\.targets theirs"):
        lab_boards()
