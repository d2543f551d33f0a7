"""What the doctor finds out about lab.toml and its boards."""

import pytest

from emulator.console.pump import open_console
from emulator.lab_file.read import VARIABLE
from harness.doctor.diagnosis import Unusable
from harness.doctor.examination import _boards, _lab
from tests.support.socket_server import open_socket_server
from tests.support.stranger.project import SCENARIOS, SIGNATURES


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
    assert lab("[boards.b]\n") == {}
    assert "boards.b.console" in _lab().problem


def test_no_lab_no_boards(lab, tmp_path, monkeypatch):
    assert lab("") == {}
    assert _lab() == f"{tmp_path}/lab.toml: nothing yet"
    monkeypatch.setenv(VARIABLE, "")
    assert _lab() == ""


LAB = """
[lab]
matrix = "ci/mine.toml"
scenarios = ["mine.py"]
signatures = ["mine.toml"]
[machines.big]
base = "q35"
[images.disk]
disk = "disk.raw"
"""


@pytest.fixture
def whole(lab, tmp_path):
    (tmp_path / "mine.py").write_text(SCENARIOS)
    (tmp_path / "mine.toml").write_text(SIGNATURES)
    (tmp_path / "disk.raw").write_bytes(b"\xeb" + bytes(509) + b"\x55\xaa" + bytes(1 << 20))
    lab(LAB)


def test_lab_file_is_told_with_what_it_has(whole, tmp_path):
    assert _lab() == (
        f"{tmp_path}/lab.toml: images disk; machines big; scenarios fan-stops; signatures mine.toml; "
        "matrix mine.toml"
    )


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("mine.py", "SCENARIOS = 1", "mine.py"),
        ("mine.toml", "[[rule]]", "mine.toml"),
        ("disk.raw", "no disk", "disk.raw"),
    ],
)
def test_file_of_the_lab_that_is_wrong_is_told(whole, tmp_path, file, text, problem):
    (tmp_path / file).write_text(text)
    seen = _lab()
    assert isinstance(seen, Unusable)
    assert problem in seen.problem
    assert seen.remedy == "correct lab.toml, or what it names"
