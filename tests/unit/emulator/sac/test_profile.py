import re
import shutil
from importlib import resources
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import SacText, load_profile, read_profile

DIRECTORY = Path(str(resources.files("emulator.sac"))) / "profiles"
ALL = pytest.mark.parametrize("name", PROFILES)


@ALL
def test_profile_has_every_text_with_its_source_and_section(name):
    profile = load_profile(name)
    assert profile.name == name
    assert profile.texts.keys() == load_profile("2022").texts.keys()
    assert all(text.source in "TDRPMX" and text.section for text in profile.texts.values())


@ALL
def test_profile_texts_are_ascii_and_their_lines_fit_the_screen(name):
    texts = load_profile(name).texts
    long = {
        key
        for key, text in texts.items()
        for line in re.sub(r"\x1b\[[0-9;]*m", "", text.text).splitlines()
        if len(line) > 80 and text.source != "T" and not key.startswith(("xml.", "boot.health", "bugcheck."))
    }
    assert all(text.text.isascii() for text in texts.values())
    assert long <= {"cmd.powershell_unknown", "cmd.powershell_parameter", "sac.tlist_row"}


def test_profile_says_what_the_specification_says():
    profile = load_profile("2019")
    assert (profile.architecture, profile.os_version, profile.os_build) == ("AMD64", "10.0", "17763")
    assert profile.texts["sac.prompt"].wire == b"SAC>"
    assert profile.texts["cmd.domain"].wire == b"Domain  :"
    assert profile.texts["sac.cmd_event"].wire == b"EVENT: The CMD command is now available.\r\n"
    assert load_profile("2003").cmd_description == "Command Prompt"
    assert load_profile("2016").cmd_description == "Command"
    assert load_profile("2022").vt_mode == "plain"
    assert "Set IP addr." in load_profile("2003").texts["sac.help_i_set"].text


def test_text_pattern_matches_what_the_guest_makes_of_it():
    profile = load_profile("2022")
    row = b"  0:00:01.020   0:00:00.000   120       10     400  8   20   3    4 System\r\n"
    found = re.fullmatch(profile.texts["sac.tlist_row"].pattern, row)
    assert found
    assert found.groups()[-2:] == (b"4", b"System")
    assert re.fullmatch(profile.texts["bugcheck.progress"].pattern, row) is None
    line = b"We're just collecting some error info, and then we'll restart for you. 15% complete\r\n"
    assert re.fullmatch(profile.texts["bugcheck.progress"].pattern, line)[1] == b"15"


def test_text_pattern_takes_a_field_that_is_padded_on_the_right():
    text = SacText(text="%-5s|%X", source="X", section="1.1")
    assert re.fullmatch(text.pattern, b"ab   |E2").groups() == (b"ab", b"E2")


def test_profile_refuses_an_unknown_name():
    with pytest.raises(SpecError, match=r"profile is '2012'; allowed: 2003 2016"):
        load_profile("2012")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('vt_mode = "plain"', 'vt_mode = "vt52"', "facts.vt_mode"),
        ('vt_mode = "plain"', 'colour = "blue"', "unknown key 'facts.colour'"),
        ("[texts.cmd]", '[texts.cmd]\nbeer = { text = "", source = "X", section = "1.8" }', "cmd.beer"),
        ('source = "X", section = "1.8"', 'source = "Q", section = "1.8"', "source"),
    ],
)
def test_profile_names_file_and_key_when_it_is_wrong(tmp_path, old, new, complaint):
    for path in DIRECTORY.glob("*.toml"):
        shutil.copy(path, tmp_path)
    path = tmp_path / "2022.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(SpecError) as refused:
        read_profile("2022", directory=tmp_path)
    assert str(path) in str(refused.value)
    assert complaint in str(refused.value)
