"""The words of the control socket."""

import pytest

from emulator.console.marks import MarkKind
from emulator.console.transcript import Transcript
from emulator.errors import ControlError
from emulator.machine.control import WORDS, answer_request


class Hand:
    """Notes what it is told to do, or fails."""

    def __init__(self, failure=None):
        self.done = []
        self.failure = failure

    def __getattr__(self, name):
        def act(*arguments):
            if self.failure:
                raise self.failure
            self.done.append((name, *arguments[:-1]))

        return act


METHODS = {"break": "send_break"}


@pytest.mark.parametrize("word", [word for word in WORDS if word not in {"keys", "sysrq"}])
def test_request_does_one_act_and_marks_it(word):
    hand, transcript = Hand(), Transcript()
    assert answer_request(hand, transcript, {"do": word}) == {"ok": True}
    assert hand.done == [(METHODS.get(word, word),)]
    (mark,) = transcript.marks
    assert (mark.kind, mark.name, mark.detail) == (MarkKind.STIMULUS, word, {"by": "control socket"})


def test_request_presses_keys_together():
    hand = Hand()
    assert answer_request(hand, Transcript(), {"do": "keys", "keys": ["alt", "sysrq", "h"]}) == {"ok": True}
    assert hand.done == [("press_keys", ("alt", "sysrq", "h"))]


def test_request_makes_a_system_request_and_marks_it_by_its_key():
    hand, transcript = Hand(), Transcript()
    assert answer_request(hand, transcript, {"do": "sysrq", "key": "h"}) == {"ok": True}
    assert hand.done == [("sysrq", "h")]
    (mark,) = transcript.marks
    assert (mark.kind, mark.name, mark.detail) == (MarkKind.STIMULUS, "sysrq-h", {"by": "control socket"})


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"do": "explode"},
        {"do": ["nmi"]},
        {"do": "nmi", "keys": ["a"]},
        {"do": "keys"},
        {"do": "keys", "keys": []},
        {"do": "keys", "keys": "alt"},
        {"do": "keys", "keys": [1]},
        {"do": "keys", "keys": ["a"], "more": 1},
        {"do": "sysrq"},
        {"do": "sysrq", "key": ""},
        {"do": "sysrq", "key": "hh"},
        {"do": "sysrq", "key": "\n"},
        {"do": "sysrq", "key": 1},
        {"do": "sysrq", "keys": ["h"]},
        {"do": "sysrq", "key": "h", "keys": ["h"]},
        {"do": "nmi", "key": "h"},
    ],
)
def test_request_is_refused_when_it_is_not_understood(request_):
    hand, transcript = Hand(), Transcript()
    answer = answer_request(hand, transcript, request_)
    assert answer["ok"] is False
    assert answer["error"]
    assert not hand.done
    assert not transcript.marks


def test_request_that_fails_is_answered_and_marked():
    transcript = Transcript()
    answer = answer_request(Hand(ControlError("no way")), transcript, {"do": "nmi"})
    assert answer == {"ok": False, "error": "no way"}
    assert [mark.name for mark in transcript.marks] == ["nmi", "request-failed"]
