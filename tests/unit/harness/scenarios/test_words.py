"""The words of the shipped scenarios: each stands in words.toml once, and belongs to a scenario."""

import pytest

from emulator.errors import SpecError
from harness.scenario.steps import Alive
from harness.scenarios import LIBRARY
from harness.scenarios.words import WORDS, told, words_of


def test_words_are_those_of_scenarios_that_exist():
    assert WORDS.keys() <= LIBRARY.keys()
    assert {
        name for name in WORDS if words_of(name) != (LIBRARY[name].title, LIBRARY[name].description)
    } == set()


def test_words_say_a_title_and_a_description_and_no_more():
    assert {tuple(sorted(words)) for words in WORDS.values()} == {("description", "title")}


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
