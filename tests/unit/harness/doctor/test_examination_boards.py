"""What the doctor finds out about boards."""

import pytest

from emulator.console.pump import open_console
from emulator.lab_file.read import VARIABLE
from harness.doctor.diagnosis import Unusable
from harness.doctor.examination import _boards
from tests.support.socket_server import open_socket_server


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "lab.toml"))
    with open_console() as console, open_socket_server(console) as (host, port):

        def write(text):
            (tmp_path / "lab.toml").write_text(text.replace("URL", f"socket://{host}:{port}"))
            return _boards()

        yield write


def test_board_is_told_with_what_it_has_and_lacks(lab):
    (seen,) = lab('[boards.b]\nconsole = "URL"\nreset = ["true"]\nnmi = ["true"]\n').values()
    assert "opens; has reset, nmi; lacks power_on, power_off, BREAK (a plain TCP connection" in seen


@pytest.mark.parametrize(
    ("table", "problem", "remedy"),
    [
        ('console = "URL"\nnmi = ["no-such-tool", "x"]', "nmi: no-such-tool is not there", "boards.b.nmi"),
        ('console = "socket://127.0.0.1:1"', "can't be opened", "plug it in"),
        ('console = "URL"\ndtr = false', "has no DTR or RTS", "plug it in"),
    ],
)
def test_what_is_wrong_with_a_board_is_told_with_a_remedy(lab, table, problem, remedy):
    seen = lab(f"[boards.b]\n{table}\n")["board b"]
    assert isinstance(seen, Unusable)
    assert problem in seen.problem
    assert remedy in seen.remedy


def test_lab_file_that_is_wrong_is_one_part(lab):
    (seen,) = lab("[boards.b]\n").values()
    assert "boards.b.console" in seen.problem


def test_no_lab_no_boards(lab):
    assert lab("") == {}
