"""Wilson's interval against known values, and how often it holds the truth."""

from math import comb

import pytest

from emulator.errors import SpecError
from harness.repeat.summary import wilson


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # z² / (n + z²)
        (0, 200, 0.0000, 0.0188),
        (200, 200, 0.9812, 1.0000),
    ],
)
def test_interval_has_the_published_bounds(count, of, low, high):
    share = wilson(count, of)
    assert (round(share.low, 4), round(share.high, 4)) == (low, high)


@pytest.mark.parametrize(("count", "of"), [(0, 0), (1, 0), (-1, 5), (6, 5)])
def test_share_that_cannot_be_is_refused(count, of):
    with pytest.raises(SpecError, match=rf"a share of {count} in {of}; allowed: 0 to n in n"):
        wilson(count, of)


@pytest.mark.parametrize("truth", [0.02, 0.1, 0.3, 0.5])
def test_interval_holds_the_truth_about_as_often_as_it_says(truth):
    of = 200
    held = sum(
        comb(of, count) * truth**count * (1 - truth) ** (of - count)
        for count in range(of + 1)
        if wilson(count, of).low <= truth <= wilson(count, of).high
    )
    assert 0.93 < held < 0.98
