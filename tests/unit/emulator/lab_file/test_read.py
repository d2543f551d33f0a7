"""lab.toml: where it is found, what it says with absolute paths, where passwords come from."""

import os

import pytest

from emulator.errors import SpecError
from emulator.lab_file.read import VARIABLE, current_lab, find_lab, password_of, read_lab
from emulator.lab_file.tables import Login, Prompts

WHOLE = """
[lab]
matrix = "ci/push.toml"
scenarios = ["lab/scenarios.py", "mylab.more"]
signatures = ["lab/signatures.toml"]

[images.mainline]
kernel = "out/bzImage"
initrd = "ttylab"
modules = "out/modules"
append = ["loglevel=8"]

[images.server]
disk = "/data/server.vhd"
firmware = "ovmf"
login = { user = "root", password_file = "pw" }
prompts = "rhel"

[images.cloud]
disk = "cloud.qcow2"
seed = "cloud-init"
prompts = { prompt = '> ' }

[machines.big]
base = "q35"
memory_mib = 2048
vcpus_max = 8
qemu = "bin/qemu"
args = ["-device", "edu"]

[boards.bench1]
console = "/dev/ttyUSB0"
dtr = false
power_on = ["pductl", "on", "3"]
login = { user = "root", password_env = "BENCH1_PASSWORD" }
"""


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def put(directory, text=WHOLE):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "lab.toml").write_text(text, encoding="utf-8")
    return directory / "lab.toml"


def test_paths_are_relative_to_the_file(tmp_path):
    lab = read_lab(put(tmp_path))
    assert lab.lab.matrix == tmp_path / "ci/push.toml"
    assert lab.lab.scenarios == (str(tmp_path / "lab/scenarios.py"), "mylab.more")
    assert lab.lab.signatures == (tmp_path / "lab/signatures.toml",)
    mainline, server = lab.images["mainline"], lab.images["server"]
    assert (mainline.kernel, mainline.modules) == (tmp_path / "out/bzImage", tmp_path / "out/modules")
    assert str(mainline.initrd) == "ttylab"
    assert str(server.disk) == "/data/server.vhd"
    assert server.login == Login(user="root", password_file=tmp_path / "pw")
    assert lab.images["cloud"].prompts == Prompts(prompt="> ")
    assert lab.machines["big"].qemu == str(tmp_path / "bin/qemu")
    assert lab.boards["bench1"].power_on == ("pductl", "on", "3")


def test_program_without_a_slash_stays_a_name(tmp_path):
    lab = read_lab(put(tmp_path, '[machines.m]\nbase = "pc"\nqemu = "qemu-next"\n'))
    assert lab.machines["m"].qemu == "qemu-next"


def test_it_is_found_upward_from_the_working_directory(tmp_path, monkeypatch):
    path = put(tmp_path / "repository")
    below = tmp_path / "repository/a/b"
    below.mkdir(parents=True)
    assert find_lab(below) == path
    monkeypatch.chdir(below)
    assert current_lab().path == path


def test_nearest_one_holds(tmp_path):
    put(tmp_path)
    nearer = put(tmp_path / "sub")
    assert find_lab(tmp_path / "sub") == nearer


def test_variable_names_another_or_none(tmp_path, monkeypatch):
    put(tmp_path)
    other = put(tmp_path / "other")
    monkeypatch.setenv(VARIABLE, str(other))
    assert find_lab(tmp_path) == other
    monkeypatch.setenv(VARIABLE, "")
    assert find_lab(tmp_path) is None


def test_no_file_is_an_empty_lab(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    lab = current_lab()
    assert (lab.path, lab.images, lab.machines, lab.boards) == (None, {}, {}, {})


def test_named_file_that_is_missing_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.toml"))
    with pytest.raises(SpecError, match=r"none\.toml: can't be read: No such file"):
        current_lab()


def test_file_of_another_user_is_refused(tmp_path):
    path = put(tmp_path)
    below = tmp_path / "mine"
    below.mkdir()
    os.chown(path, 12345, 12345)
    with pytest.raises(SpecError, match="belongs to another user; name it by --lab"):
        find_lab(below)


def test_changed_file_is_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, '[machines.one]\nbase = "pc"\n')
    assert set(current_lab().machines) == {"one"}
    assert current_lab() is current_lab()
    put(tmp_path, '[machines.another]\nbase = "pc"\n')
    assert set(current_lab().machines) == {"another"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "[lab]\ncolour = 1\n",
            "unknown key 'lab.colour' with the value 1; allowed: base, matrix, scenarios",
        ),
        ("[images.x]\n", "needs a kernel or a disk, and not both"),
        ("[images.x]\nkernel = 'a'\ndisk = 'b'\n", "needs a kernel or a disk, and not both"),
        ("[images.x]\ndisk = 'b'\nappend = ['quiet']\n", "has append; allowed: none with a disk"),
        ("[images.x]\nkernel = 'a'\nseed = 'cloud-init'\n", "has seed or bus; allowed: only with a disk"),
        ("[images.x]\nkernel = 'a'\nmodules = 'm'\n", 'has modules; allowed: only with initrd = "ttylab"'),
        ("[images.x]\ndisk = 'a'\nprompts = 'plan9'\n", "key 'images.x.prompts' has the value 'plan9': "),
        ("[images.x]\ndisk = 'a'\nprompts = 'debain'\n", "did you mean 'debian'?"),
        ("[images.x]\ndisk = 'a'\nprompts = { shell = '#' }\n", "unknown key 'images.x.prompts.shell'"),
        ("[images.x]\ndisk = 'a'\nlogin = 'root'\n", "an object with user, password_file, password_env"),
        ("[images.x]\ndisk = 'a'\nprompts = { prompt = '(' }\n", "which is no regular expression"),
        ("[images.x]\ndisk = 'a'\nlogin = { password = 'x' }\n", "unknown key 'images.x.login.password'"),
        ("[images.'X y']\ndisk = 'a'\n", "images.X y: names are lower-case letters, digits, '-' and '.'"),
        ("[machines.'a.b']\nbase = 'pc'\n", "machines.a.b: names are lower-case letters, digits, '-'"),
        ("[machines.x]\n", "key 'machines.x.base' is missing"),
        ("[machines.x]\nbase = 'pc'\nvcpus_max = 65\n", "key 'machines.x.vcpus_max' has the value 65"),
        ("[boards.x]\nconsole = 'p'\nreset = []\n", "boards.x.reset"),
        ("[boards.x]\nconsole = 'p'\nbaud = 'fast'\n", "boards.x.baud"),
        ("[images.x]\ndisk = 'a'\n[boards.x]\nconsole = 'p'\n", "boards.x: an image has that name"),
        ("[images.x]\ndisk = 'a'\n[images.x]\ndisk = 'b'\n", "lab.toml"),
    ],
)
def test_wrong_file_is_refused_with_file_key_value_and_what_is_allowed(tmp_path, text, words):
    path = put(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        read_lab(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_two_sources_of_one_password_are_refused():
    with pytest.raises(SpecError, match="password_file and password_env; allowed: one of them"):
        Login(password_file="a", password_env="B")


def test_password_is_the_first_line_of_its_file(tmp_path):
    (tmp_path / "pw").write_bytes(b"s3cret\r\nmore\n")
    assert password_of(Login(password_file=tmp_path / "pw"), where="image x") == b"s3cret"


def test_password_is_the_bytes_of_its_variable(monkeypatch):
    monkeypatch.setitem(os.environb, b"A_PASSWORD", b"\xff x")
    assert password_of(Login(password_env="A_PASSWORD"), where="image x") == b"\xff x"


def test_no_login_has_no_password():
    assert (password_of(None, where="x"), password_of(Login(), where="x")) == (b"", b"")


def test_password_that_is_not_there_is_told_with_what_it_is_for(tmp_path, monkeypatch):
    monkeypatch.delenv("A_PASSWORD", raising=False)
    with pytest.raises(SpecError, match="image x: password_env names A_PASSWORD, which is not set"):
        password_of(Login(password_env="A_PASSWORD"), where="image x")
    with pytest.raises(SpecError, match=r"image x: password_file .*pw: No such file or directory"):
        password_of(Login(password_file=tmp_path / "pw"), where="image x")


def test_base_is_read_first_and_what_is_said_here_holds(tmp_path):
    base = put(tmp_path / "base")
    over = f'[lab]\nbase = "{base}"\nscenarios = ["own.py"]\n[images.server]\nkernel = "k"\n'
    lab = read_lab(put(tmp_path / "over", over))
    assert lab.path == tmp_path / "over/lab.toml"
    assert lab.roots == (tmp_path / "over", tmp_path / "base")
    assert lab.lab.matrix == tmp_path / "base/ci/push.toml"
    base_scenarios = (str(tmp_path / "base/lab/scenarios.py"), "mylab.more")
    assert lab.lab.scenarios == (*base_scenarios, str(tmp_path / "over/own.py"))
    assert lab.images["server"].kernel == tmp_path / "over/k"
    assert set(lab.images) == {"mainline", "server", "cloud"}
    assert (set(lab.machines), set(lab.boards)) == ({"big"}, {"bench1"})


def test_base_that_leads_back_is_refused(tmp_path):
    one = put(tmp_path / "one", f'[lab]\nbase = "{tmp_path}/two/lab.toml"\n')
    put(tmp_path / "two", f'[lab]\nbase = "{one}"\n')
    with pytest.raises(SpecError, match=r"one/lab\.toml: lab\.base leads back to .*one/lab\.toml"):
        read_lab(one)
