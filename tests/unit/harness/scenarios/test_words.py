"""The words of the shipped scenarios: each stands in words.toml once, and belongs to a scenario."""

import pytest

from emulator.errors import SpecError
from harness.conformance import play
from harness.scenario.scenario import scenario
from harness.scenario.steps import Alive
from harness.scenarios import LIBRARY
from harness.scenarios.words import WORDS, told, words_of

CHECKS = (*play.RESTART, play.CRASH, play.NMI_CRASH, play.SHUTDOWN, play.SHUTDOWN_UNSEEN)
KNOWN = {**LIBRARY, **{one.scenario.name: one.scenario for one in CHECKS}}


def test_words_are_those_of_scenarios_that_exist():
    assert WORDS.keys() <= KNOWN.keys()
    assert {name for name in WORDS if words_of(name) != (KNOWN[name].title, KNOWN[name].description)} == set()


def test_words_say_a_title_and_a_description_and_else_only_what_is_unusual():
    usual = scenario("usual", "a title", "a description", Alive())
    for name, words in WORDS.items():
        assert words.keys() >= {"title", "description"}, name
        others = words.keys() - {"title", "description"}
        assert {key for key in others if getattr(KNOWN[name], key) == getattr(usual, key)} == set(), name


def test_word_that_no_scenario_has_is_refused(monkeypatch):
    monkeypatch.setitem(WORDS, "made-up", {"title": "a", "description": "b", "tag": ["c"]})
    with pytest.raises(KeyError, match="tag"):
        told("made-up", Alive())


def test_description_is_one_line_however_it_is_broken():
    title, description = words_of("boot-login")
    assert title == "Boot to the login prompt and log in"
    assert (
        "logs in with name and password and runs a command. A server that has lost its network" in description
    )
    assert "\n" not in description


def test_scenario_without_words_is_refused():
    assert words_of("nobody") == ("", "")
    with pytest.raises(SpecError, match="scenario nobody: title, description and steps must not be empty"):
        told("nobody", Alive())
