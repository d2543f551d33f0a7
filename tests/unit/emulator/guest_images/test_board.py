"""What runs on a board stands where an image would, and is no machine's."""

import pytest

from emulator.errors import SpecError
from emulator.guest_images.board import BOARD
from emulator.guest_images.kinds import image_features, open_image
from emulator.lab_file.read import VARIABLE
from emulator.machine.spec import Board, Firmware, MachineType
from emulator.sac.knobs import SacKnobs

TEXT = """
[boards.NAME]
console = "socket://127.0.0.1:7001"
boot_timeout_s = 300
login = { user = "admin", password_env = "TTYLAB_TEST_PW" }
"""


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    (tmp_path / "lab.toml").write_text(TEXT.replace("NAME", "bench1"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "lab.toml"))
    monkeypatch.setenv("TTYLAB_TEST_PW", "hush")


def test_board_has_the_feature_and_the_account_of_its_table():
    assert image_features()["bench1"] == {BOARD}
    image = open_image("bench1")
    assert (image.name, image.features, image.boot_timeout_s) == ("bench1", {BOARD}, 300)
    assert (image.linux_console().user, image.linux_console().password) == (b"admin", b"hush")
    assert image.provenance() == {
        "name": "bench1",
        "own": "board",
        "console": "socket://127.0.0.1:7001",
        "baud": 115200,
    }
    assert image.name_words("web1") == ()


def test_no_machine_boots_a_board():
    image = open_image("bench1")
    board = Board(machine=MachineType.PC, firmware=Firmware.SEABIOS)
    for act in (lambda: image.spec(board), lambda: image.usual_board):
        with pytest.raises(SpecError, match=r"its cells read bench1\.board\.none\.1\.SCENARIO"):
            act()
    with pytest.raises(SpecError, match="bench1 has no SAC"):
        image.sac_console(SacKnobs())


def test_password_that_is_not_set_is_told(monkeypatch):
    monkeypatch.delenv("TTYLAB_TEST_PW")
    with pytest.raises(SpecError, match="board bench1: password_env names TTYLAB_TEST_PW, which is not set"):
        open_image("bench1")


def test_board_with_the_name_of_an_image_is_refused(tmp_path):
    (tmp_path / "lab.toml").write_text(TEXT.replace("NAME", "bookworm"))
    with pytest.raises(SpecError, match=r"boards\.bookworm: an image has that name"):
        image_features()
