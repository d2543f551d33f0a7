"""When to come back, patterns over chunks, and times."""

import pytest

from emulator.errors import SpecError
from harness.azure.names import NOT_TRUSTED, EndKind, Reconnection, parse_time, watch_for


def test_pauses_grow_until_the_window_is_over():
    again = Reconnection(20.0)
    assert [again.pause_after(EndKind.DROPPED) for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 8.0, None]


def test_good_link_begins_anew():
    again = Reconnection(1.0)
    assert again.pause_after(EndKind.DROPPED) == 0.5
    again.was_good(5.0)
    assert again.pause_after(EndKind.DROPPED) is None
    again.was_good(10.0)
    assert again.pause_after(EndKind.DROPPED) == 0.5


@pytest.mark.parametrize("kind", [EndKind.TAKEN, EndKind.LEFT])
def test_nobody_comes_back_unasked(kind):
    assert Reconnection(60.0).pause_after(kind) is None


def test_no_window_means_no_try():
    assert Reconnection(0).pause_after(EndKind.DROPPED) is None


def test_refused_trust_is_tried_again_and_other_refusals_are_not():
    again = Reconnection(60.0)
    pauses = [again.pause_after(EndKind.REFUSED, NOT_TRUSTED) for _ in range(3)]
    assert [pause is None for pause in pauses] == [False, False, True]
    assert Reconnection(60.0).pause_after(EndKind.REFUSED, "role taken away") is None


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pattern_is_seen_across_chunks(size):
    watch, data = watch_for(r"log[i]n: $"), b"x" * 50 + b"login: "
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert [watch.feed(chunk) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


def test_pattern_is_not_seen_where_it_is_not():
    watch = watch_for("login: ")
    assert not watch.feed(b"logout: " * 20_000)
    assert watch_for("") is None
    with pytest.raises(SpecError, match="--until"):
        watch_for("(")


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("500ms", 0.5), ("2m", 120), ("1h", 3600), ("1.5", 1.5)]
)
def test_time_is_read(text, seconds):
    assert parse_time(text, option="--for") == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "1 s", "inf"])
def test_time_that_is_none_is_refused(text):
    with pytest.raises(SpecError, match="--for is"):
        parse_time(text, option="--for")
