"""The SAC guest as an image, as a cell's machine and at the keyboard."""

from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.machine.spec import Firmware
from emulator.sac.image import SAC_IMAGES, sac_features, sac_image
from emulator.sac.knobs import PROFILES, Hang, SacKnobs, parse_knobs
from emulator.sac.profile import IDENTITY
from harness.cells.cell import parse_cell_id
from harness.guests.drivers import open_guest
from harness.run.wanted import guest_spec
from harness.scenarios import find_scenario
from harness.snapshots.lab import Lab
from harness.terminal.interactive import interactive_spec


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path))


def test_every_profile_is_an_image_that_says_what_it_is():
    assert set(SAC_IMAGES.values()) == set(PROFILES)
    assert sac_image("sac").profile.name == "2022"
    assert sac_image("sac-2016").provenance() == {"name": "sac-2016", "guest": IDENTITY, "profile": "2016"}


def test_features_are_the_flags_of_the_profile():
    assert sac_features("sac") == {"sac", "has_knobs", "has_powershell", "has_livedump"}
    assert sac_features("sac-2003") == {"sac", "has_knobs"}


def test_unknown_sac_guest_is_refused():
    with pytest.raises(SpecError, match="unknown image 'sac-2030'; SAC guests are: sac, sac-2003"):
        sac_image("sac-2030")


def test_cell_has_the_knobs_of_its_scenario_and_the_profile_of_its_image():
    cell = parse_cell_id("sac-2016.q35.ovmf.2.sac-nmi-ignored")
    scenario, image = find_scenario(cell.scenario), Lab(run_dir=Path("/nowhere")).guest_image(cell.image)
    spec = guest_spec(cell, scenario, image)
    ((_, knobs),) = spec.fw_cfg
    assert "profile=2016\n" in knobs
    assert "hang=nmi-ignored\n" in knobs
    assert (spec.firmware, spec.vcpus) == (Firmware.OVMF, 2)
    assert ("product", IDENTITY) in spec.smbios
    assert guest_spec(cell, scenario, image) == spec
    assert callable(open_guest(scenario, image))


def test_scenario_and_image_of_different_kinds_are_refused():
    cell = parse_cell_id("sac.q35.seabios.1.boot-login")
    with pytest.raises(SpecError, match="scenario boot-login is for Linux; image sac is none"):
        guest_spec(cell, find_scenario(cell.scenario), sac_image("sac"))


def test_words_at_the_keyboard_are_knobs():
    knobs = parse_knobs(
        ["menu_timeout_s=10", "autoreboot=0", "hang=ems-off", "menu_entries=a|b", "module=x.sys"]
    )
    expected = SacKnobs(
        menu_timeout_s=10, autoreboot=False, hang=Hang.EMS_OFF, menu_entries=("a", "b"), module="x.sys"
    )
    assert knobs == expected


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("colour=red", "'colour=red' is not a knob of the SAC guest"),
        ("menu", "is not a knob"),
        ("menu_timeout_s=soon", "menu_timeout_s is 'soon'; allowed: 0 to 999"),
        ("autoreboot=maybe", "autoreboot is 'maybe'; allowed: true, false"),
        ("hang=never", "hang is 'never'"),
    ],
)
def test_wrong_word_is_refused_with_what_is_allowed(word, message):
    with pytest.raises(SpecError, match=message):
        parse_knobs([word])


def test_sac_boots_at_the_keyboard():
    spec = interactive_spec(
        sac_image("sac"),
        machine="q35",
        firmware="seabios",
        vcpus=1,
        memory_mib=128,
        append=("menu_timeout_s=10",),
        devices=(),
    )
    assert "menu_timeout_s=10\n" in spec.fw_cfg[0][1]
