"""`ttylab scenarios list` and `show`."""

import json

import pytest

from harness import cli
from harness.commands.scenarios import as_object, render_scenario
from harness.scenario import exit_codes
from harness.scenarios import LIBRARY

KEYS = {"name", "title", "severity", "tags", "needs", "description", "steps", "own"}


def test_list_prints_one_json_object_for_each_scenario_and_nothing_else(capfd: pytest.CaptureFixture[str]):
    assert cli.main(["scenarios", "list", "--json"]) == exit_codes.EXIT_PASSED
    out, err = capfd.readouterr()
    shown = json.loads(out)
    assert [one["name"] for one in shown] == list(LIBRARY)
    assert all(set(one) == KEYS for one in shown)
    assert err == ""


def test_list_names_every_scenario(capfd: pytest.CaptureFixture[str]):
    assert cli.main(["scenarios", "list"]) == exit_codes.EXIT_PASSED
    out = capfd.readouterr().out
    assert [name for name in LIBRARY if f"{name} " not in out] == []


def test_show_describes_a_scenario(capfd: pytest.CaptureFixture[str]):
    assert cli.main(["scenarios", "show", "nmi-hung"]) == exit_codes.EXIT_PASSED
    out = capfd.readouterr().out
    assert LIBRARY["nmi-hung"].description in out
    assert "inject nmi: the kernel panics" in out
    assert "guest has:        spin" in out


def test_show_refuses_an_unknown_name(capfd: pytest.CaptureFixture[str]):
    assert cli.main(["scenarios", "show", "nmi-panik"]) == exit_codes.EXIT_USAGE
    assert "did you mean nmi-panic" in capfd.readouterr().err


def test_object_has_sorted_lists_for_programs():
    shown = as_object(LIBRARY["sysrq-poweroff"])
    assert shown["needs"] == ["power_cycle", "serial_break", "soft_off"]
    assert shown["tags"] == ["power", "sysrq"]


def test_text_leaves_out_facts_that_a_scenario_does_not_have():
    assert "guest has" not in render_scenario(LIBRARY["boot-login"])
    assert "vCPUs" in render_scenario(LIBRARY["smp-boot"])
