"""Work that is told: who listens hears of its begin and of its end, however it ends."""

import pytest

from emulator.work import listening, tell_work, working

Told = list[tuple[str, str, float]]


def test_listener_hears_begin_stage_and_end() -> None:
    told: Told = []
    with listening(lambda *words: told.append(words)), working("image a", "building"):
        tell_work("image a", "reading the index", 0.1)
    assert told == [
        ("image a", "building", 0.0),
        ("image a", "reading the index", 0.1),
        ("image a", "ready", 1.0),
    ]


def test_work_that_fails_ends_too() -> None:
    told: Told = []
    listener = listening(lambda *words: told.append(words))
    with pytest.raises(OSError, match="full"), listener, working("image a", "building"):
        raise OSError("full")
    assert told[-1] == ("image a", "failed", 1.0)


def test_nobody_need_listen() -> None:
    told: Told = []
    with listening(lambda *words: told.append(words)):
        pass
    with working("image a", "building"):
        pass
    assert told == []
