from dataclasses import fields

import pytest

from emulator.errors import SpecError
from emulator.sac.knobs import DumpKind, Hang, SacKnobs


def test_knobs_are_one_line_each():
    lines = SacKnobs().to_fw_cfg().splitlines()
    assert [line.split("=")[0] for line in lines] == [field.name for field in fields(SacKnobs)]
    assert "profile=2022" in lines
    assert "menu=1" in lines
    assert "menu_entries=" in lines
    assert "hang=none" in lines


def test_knobs_show_entries_and_enums():
    knobs = SacKnobs(menu_entries=("One", "Two"), hang=Hang.EMS_OFF, crash_dump=DumpKind.COMPLETE)
    lines = knobs.to_fw_cfg().splitlines()
    assert {"menu_entries=One|Two", "hang=ems-off", "crash_dump=complete"} <= set(lines)


@pytest.mark.parametrize(
    ("knob", "value", "complaint"),
    [
        ("profile", "2012", "profile is '2012'; allowed: 2003"),
        ("hang", "none", "hang is 'none'; allowed: none nmi-ignored"),
        ("crash_dump", None, "crash_dump is None; allowed: none small"),
        ("menu", 1, "menu is 1; allowed: true, false"),
        ("menu_timeout_s", -1, "menu_timeout_s is -1; allowed: 0 to 999"),
        ("stuck_percent", 101, "stuck_percent is 101; allowed: 0 to 100"),
        ("echo_ms", True, "echo_ms is True"),
        ("computer_name", "a b", "computer_name is 'a b'; allowed: 1-15"),
        ("password", "", "password is ''"),
        ("password", "a\nb", "password is"),
        ("ip", "1.2.3", "ip is '1.2.3'; allowed: an IPv4 address, or none"),
        ("gateway", "1.2.3.256", "gateway is '1.2.3.256'"),
        ("menu_entries", ("a|b",), "menu_entries is ('a|b',)"),
        ("menu_entries", ["a"], "menu_entries is ['a']"),
        ("menu_entries", ("x",) * 9, "up to 8"),
    ],
)
def test_knobs_name_the_knob_and_what_is_allowed(knob, value, complaint):
    with pytest.raises(SpecError) as refused:
        SacKnobs(**{knob: value})
    assert complaint in str(refused.value)


@pytest.mark.parametrize("ip", ["", "0.0.0.0", "255.255.255.255", "10.0.2.15"])
def test_knobs_take_addresses(ip):
    assert SacKnobs(ip=ip).ip == ip
