"""Laws of the interval that a failure probability is told with."""

from hypothesis import given
from hypothesis import strategies as st

from harness.repeat.summary import wilson

trials = st.integers(1, 100_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


@given(trials)
def test_interval_lies_in_0_to_1_and_holds_the_estimate(trial):
    share = wilson(*trial)
    assert 0.0 <= share.low <= share.estimate <= share.high <= 1.0
    assert share.low < share.high


@given(trials, st.integers(2, 50))
def test_interval_narrows_with_more_repetitions_of_the_same_share(trial, times):
    count, of = trial
    few, many = wilson(count, of), wilson(count * times, of * times)
    assert many.high - many.low < few.high - few.low


@given(trials)
def test_interval_of_the_passed_mirrors_that_of_the_failed(trial):
    count, of = trial
    failed, passed = wilson(count, of), wilson(of - count, of)
    assert abs(failed.low - (1 - passed.high)) < 1e-12
    assert abs(failed.high - (1 - passed.low)) < 1e-12


@given(trials)
def test_more_failures_of_as_many_move_both_bounds_up(trial):
    count, of = trial
    if count < of:
        assert wilson(count, of).low <= wilson(count + 1, of).low
        assert wilson(count, of).high <= wilson(count + 1, of).high


@given(trials)
def test_more_confidence_takes_a_wider_interval(trial):
    usual, surer = wilson(*trial), wilson(*trial, 0.99)
    assert surer.low <= usual.low
    assert usual.high <= surer.high
