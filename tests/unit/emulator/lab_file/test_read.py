"""lab.toml: how it is found and read, what it may be based on, and what is refused in one line."""

from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.lab_file.read import VARIABLE, current_lab, find_lab, password_of, read_lab
from emulator.lab_file.tables import Login

LAB = """
[lab]
matrix = "ci/m.toml"
scenarios = ["lab/s.py", "mylab.scenarios"]
signatures = ["lab/r.toml"]
[images.mine]
kernel = "out/bzImage"
initrd = "ttylab"
[images.server]
disk = "/disks/d.vhd"
login = { user = "admin", password_file = "pw" }
[machines.big]
base = "q35"
qemu = "bin/qemu"
"""


def written(directory: Path, text: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "lab.toml").write_text(text)
    return directory / "lab.toml"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    lab = read_lab(written(tmp_path, LAB))
    assert lab.lab.matrix == tmp_path / "ci/m.toml"
    assert lab.lab.scenarios == (str(tmp_path / "lab/s.py"), "mylab.scenarios")
    assert lab.images["mine"].kernel == tmp_path / "out/bzImage"
    assert str(lab.images["mine"].initrd) == "ttylab"
    assert lab.images["server"].disk == Path("/disks/d.vhd")
    login = lab.images["server"].login
    assert login is not None
    assert login.password_file == tmp_path / "pw"
    assert lab.machines["big"].qemu == str(tmp_path / "bin/qemu")


def test_lab_is_found_upward_named_or_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, LAB)
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert find_lab(below) == file
    other = written(tmp_path / "other", "")
    monkeypatch.setenv(VARIABLE, str(other))
    assert find_lab(below) == other
    monkeypatch.setenv(VARIABLE, "")
    assert current_lab().path is None


def test_base_is_read_first_and_what_is_said_here_holds(tmp_path: Path) -> None:
    base = written(tmp_path / "base", LAB)
    over = f'[lab]\nbase = "{base}"\nscenarios = ["own.py"]\n[images.server]\nkernel = "k"\n'
    lab = read_lab(written(tmp_path / "over", over))
    assert lab.path == tmp_path / "over/lab.toml"
    assert lab.roots == (tmp_path / "over", tmp_path / "base")
    assert lab.lab.matrix == tmp_path / "base/ci/m.toml"
    base_scenarios = (str(tmp_path / "base/lab/s.py"), "mylab.scenarios")
    assert lab.lab.scenarios == (*base_scenarios, str(tmp_path / "over/own.py"))
    assert lab.images["server"].kernel == tmp_path / "over/k"
    assert set(lab.images) == {"mine", "server"}
    assert set(lab.machines) == {"big"}


def test_base_that_leads_back_is_refused(tmp_path: Path) -> None:
    one = written(tmp_path / "one", f'[lab]\nbase = "{tmp_path}/two/lab.toml"\n')
    written(tmp_path / "two", f'[lab]\nbase = "{one}"\n')
    with pytest.raises(SpecError, match=r"one/lab\.toml: lab\.base leads back to .*one/lab\.toml"):
        read_lab(one)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[lab]\nmatrx = 'x'", "unknown key 'lab.matrx'"),
        ("[image.x]\ndisk = 'd'", "unknown key 'image'"),
        ("[images.x]", "images.x: needs a kernel or a disk"),
        ("[images.x]\ndisk = 'd'\nkernel = 'k'", "images.x: needs a kernel or a disk, and not both"),
        ("[images.X]\ndisk = 'd'", "images.X: names are lower-case"),
        ("[images.x]\ndisk = 'd'\nmodules = 'm'", "has modules; allowed: none with a disk"),
        ("[images.x]\ndisk = 'd'\nlogin = { password = 'p' }", "a value that is not shown here"),
        ("[machines.'a.b']\nbase = 'pc'", "machines.a.b: names are"),
        ("[images.x]\ndisk = 'd'\n[boards.x]\nconsole = 'c'", "boards.x: an image has that name"),
    ],
)
def test_wrong_tables_are_told_with_file_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(SpecError) as told:
        read_lab(file)
    assert str(file) in str(told.value)
    assert complaint in str(told.value)
    assert "'p'" not in str(told.value)


def test_password_is_the_first_line_of_its_file_or_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pw").write_bytes(b"s\xc3\xa9cret\r\nmore\n")
    assert password_of(Login(password_file=tmp_path / "pw"), where="x") == b"s\xc3\xa9cret"
    monkeypatch.setenv("PW", "other")
    assert password_of(Login(password_env="PW"), where="x") == b"other"
    assert password_of(None, where="x") == b""
    monkeypatch.delenv("PW")
    with pytest.raises(SpecError, match="image x: password_env names PW, which is not set"):
        password_of(Login(password_env="PW"), where="image x")
    with pytest.raises(SpecError, match=r"image x: password_file .*: No such file"):
        password_of(Login(password_file=tmp_path / "no"), where="image x")
