"""Plans of jitter: the same for the same seed, each repetition by itself, every value in its turn."""

from collections import Counter

import pytest

from emulator.errors import SpecError
from harness.repeat.plan import DELAY_MAX_S, LOADS, SHIFTS, Jitter, Repetition, draw_repetition, parse_jitter
from harness.repeat.text import render_jitter
from harness.scenarios import find_scenario

ALL = frozenset(Jitter)
TWICE = find_scenario("nmi-twice")


def plan(seed=1, kinds=ALL, count=300, scenario=TWICE):
    return [draw_repetition(n, seed=seed, kinds=kinds, scenario=scenario) for n in range(1, count + 1)]


def test_same_seed_gives_the_same_plan_and_another_seed_another():
    assert plan(seed=5) == plan(seed=5)
    assert plan(seed=5) != plan(seed=6)


def test_plan_stays_the_same_from_one_version_to_the_next():
    # A reproduction line of an older report must still mean the same.
    assert draw_repetition(17, seed=7, kinds=ALL, scenario=TWICE) == Repetition(
        number=17, load=0, delays={1: 0.225, 2: 0.01}, icount_shift=3
    )


def test_every_value_has_its_turn_about_equally_often():
    drawn = plan(count=3000)
    for seen, choices in (
        (Counter(one.load for one in drawn), LOADS),
        (Counter(one.icount_shift for one in drawn), SHIFTS),
    ):
        assert set(seen) == set(choices)
        assert all(abs(number * len(choices) / 3000 - 1) < 0.15 for number in seen.values())
    delays = [delay for one in drawn for delay in one.delays.values()]
    assert 0.0 <= min(delays) < 0.01
    assert DELAY_MAX_S - 0.01 < max(delays) <= DELAY_MAX_S
    assert abs(sum(delays) / len(delays) / DELAY_MAX_S - 0.5) < 0.03


def test_only_stimuli_are_delayed_each_by_itself():
    one = plan(count=1)[0]
    assert {type(TWICE.steps[index]).__name__ for index in one.delays} == {"Inject"}
    assert len(set(one.delays.values())) == len(one.delays) == 2
    assert plan(count=1, scenario=find_scenario("boot-login"))[0].delays == {}


@pytest.mark.parametrize("kind", Jitter)
def test_kind_that_is_left_out_changes_nothing_of_the_others(kind):
    for whole, part in zip(plan(count=40), plan(count=40, kinds=ALL - {kind}), strict=True):
        assert part.load == (0 if kind is Jitter.LOAD else whole.load)
        assert part.delays == ({} if kind is Jitter.DELAY else whole.delays)
        assert part.icount_shift == (None if kind is Jitter.ICOUNT else whole.icount_shift)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("load", {Jitter.LOAD}),
        ("delay, icount", {Jitter.DELAY, Jitter.ICOUNT}),
        ("none", set()),
        ("load,load", {Jitter.LOAD}),
    ],
)
def test_words_give_kinds(text, kinds):
    assert parse_jitter(text) == kinds


@pytest.mark.parametrize("text", ["", "noise", "load,none", "load,", "LOAD"])
def test_wrong_word_names_what_is_allowed(text):
    with pytest.raises(SpecError, match="allowed: none, or some of load, icount, delay"):
        parse_jitter(text)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "undisturbed"),
        ({"load": 2, "icount_shift": 3, "delays": {1: 0.25, 3: 0.004}}, "load 2, icount 3, delay 250+4 ms"),
        ({"icount_shift": 0}, "icount 0"),
    ],
)
def test_jitter_is_told_in_few_words(fields, text):
    assert render_jitter(Repetition(number=1, **fields)) == text
