"""`--port`: a URL, or the name of a board with its lines and speed."""

import pytest

from emulator.errors import SpecError
from emulator.lab_file.read import VARIABLE
from harness.commands.options import chosen_port


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    table = '[boards.bench1]\nconsole = "/dev/ttyUSB3"\nbaud = 9600\ndtr = false\n'
    (tmp_path / "lab.toml").write_text(table)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "lab.toml"))


@pytest.mark.parametrize(
    ("port", "baudrate", "lines", "expected"),
    [
        ("", None, {}, ("", 115200)),
        ("/dev/ttyS0", None, {}, ("/dev/ttyS0", 115200)),
        ("/dev/ttyS0", 300, {"rts": False}, ("/dev/ttyS0?rts=off", 300)),
        ("bench1", None, {}, ("/dev/ttyUSB3?dtr=off", 9600)),
        ("bench1", 300, {"dtr": True}, ("/dev/ttyUSB3?dtr=on", 300)),
    ],
)
def test_port_is_a_url_or_a_board(port, baudrate, lines, expected):
    assert chosen_port(port, baudrate, **{"dtr": None, "rts": None} | lines) == expected


def test_line_without_a_port_is_refused():
    with pytest.raises(SpecError, match="no port is given"):
        chosen_port("", None, dtr=False, rts=None)
