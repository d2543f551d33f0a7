"""Laws of sanitised recordings: no planted secret survives chunking, drawing or wrapping; the rest stays."""

import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.console.marks import Chunk, Mark, MarkKind, Typed
from emulator.console.transcript import load_transcript
from harness.recording.record import write_recording
from harness.recording.sanitise import Recording, sanitise
from harness.recording.secrets import Placeholders, SecretKind
from harness.recording.text_view import CellScreen

NAMES = st.from_regex(r"[A-Z]{2,4}-?[A-Z0-9]{2,6}[0-9]", fullmatch=True)
HEX = "0123456789abcdef"
GUIDS = st.uuids(version=4).map(str)
ADDRESSES = st.tuples(*[st.integers(min_value=1, max_value=126)] * 4).map(
    lambda four: ".".join(map(str, four))
)
MACS = (
    st.lists(st.text(HEX, min_size=2, max_size=2), min_size=6, max_size=6)
    .map("-".join)
    .filter(lambda mac: len(set(mac)) > 2)
)
SECRETS = {
    "host": (NAMES, "<machine-info>\r\n<name>{}</name>\r\n</machine-info>\r\n"),
    "guid": (GUIDS, "Computer GUID: {}\r\n"),
    "address": (ADDRESSES, "Net: 11, Ip={}  Subnet=255.255.255.0\r\n"),
    "mac": (MACS, "   Physical Address. . . . . . . . . : {}\r\n"),
    "serial": (
        st.from_regex(r"[0-9A-F]{4}-[0-9A-F]{3}[0-9]", fullmatch=True),
        " Volume Serial Number is {}\r\n",
    ),
    "user": (NAMES, "C:\\Users\\{}>\r\n"),
}
WORDS = st.sampled_from(
    [b"SAC>", b" dir ", b"\r\n", b"The Command Prompt", b"EVENT: ", b"x" * 79, b"\r\n\r\n"]
)
NOISE = st.sampled_from([b"\x1b[0m", b"\x1b[1m", b"\x1b[22m\x1b[25m", b"\x00", b"\x1b[?25l", b""])


@st.composite
def secrets(draw):
    kind = draw(st.sampled_from(sorted(SECRETS)))
    values, sentence = SECRETS[kind]
    value = draw(values)
    return value, sentence.format(value).encode()


@st.composite
def shown(draw, value: str):
    """`value` as consoles write it: plain, cut by sequences, in cells, wrapped at column 80."""
    data = value.encode()
    manner = draw(st.sampled_from(["plain", "noise", "cells", "wrapped", "wrapped-by-moves"]))
    if manner == "plain":
        return b" " + data + b" "
    if manner == "noise":
        return b" " + b"".join(bytes([one]) + draw(NOISE) for one in data) + b" "
    cut = draw(st.integers(min_value=1, max_value=len(data) - 1))
    if manner == "cells":
        row = draw(st.integers(min_value=1, max_value=24))
        column = draw(st.integers(min_value=1, max_value=80 - len(data)))
        pieces = [(column, data[:cut]), (column + cut, data[cut:])]
        if draw(st.booleans()):
            pieces.reverse()
        drawn = b"".join(b"\x1b[%d;%dH%s" % (row, at, piece) for at, piece in pieces)
        return b"\x1b[2J" + drawn + b"\x1b[24;1H\r\n"
    start = 81 - cut
    if manner == "wrapped":
        return b"\x1b[2J\x1b[5;%dH" % start + data + b"\r\n"
    return b"\x1b[2J\x1b[5;%dH" % start + data[:cut] + b"\x1b[6;1H" + data[cut:] + b"\r\n"


@st.composite
def recordings(draw):
    planted = draw(st.lists(secrets(), min_size=1, max_size=4, unique_by=lambda one: one[0]))
    parts = [sentence for _, sentence in planted]
    for value, _ in planted:
        again = [draw(st.one_of(WORDS, shown(value))) for _ in range(draw(st.integers(0, 3)))]
        parts += [*again, b"\r\n"]
    output = b"".join(parts)
    typed = [Typed(at=9.0, offset=len(output), data=b"echo %s\r" % value.encode()) for value, _ in planted]
    marks = (Mark(kind=MarkKind.QMP, name="RESET", at=1.0, offset=3, detail={"of": [planted[0][0]]}),)
    typed = tuple(piece for one in typed for piece in draw(cuts(one)))
    cut = draw(st.lists(st.integers(1, len(output) - 1), max_size=6, unique=True).map(sorted))
    bounds = [0, *cut, len(output)]
    chunks = tuple(
        Chunk(at=float(at), start=start, end=end) for at, (start, end) in enumerate(pairwise(bounds))
    )
    return [value for value, _ in planted], Recording(output=output, chunks=chunks, typed=typed, marks=marks)


def cuts(typed: Typed):
    return st.sampled_from([1, 2, 3, 100]).map(
        lambda size: [
            Typed(at=typed.at, offset=typed.offset, data=typed.data[at : at + size])
            for at in range(0, len(typed.data), size)
        ]
    )


def screens(data: bytes) -> str:
    screen = CellScreen()
    return "\n".join(sight.text for sight in (*screen.show(data), *screen.look()))


@given(planted=recordings())
@settings(max_examples=150, deadline=None)
def test_no_planted_secret_survives_and_lengths_hold(planted):
    values, recording = planted
    made = sanitise(recording).recording
    typed = b"".join(one.data for one in made.typed)
    for value in values:
        assert value.encode() not in made.output
        assert value.encode() not in typed
        assert value not in screens(made.output)
        assert value not in str(made.marks)
    assert len(made.output) == len(recording.output)
    assert made.chunks == recording.chunks
    assert [(one.at, one.offset, len(one.data)) for one in made.typed] == [
        (one.at, one.offset, len(one.data)) for one in recording.typed
    ]
    assert [(one.kind, one.name, one.at, one.offset) for one in made.marks] == [
        (one.kind, one.name, one.at, one.offset) for one in recording.marks
    ]


@given(planted=recordings())
@settings(max_examples=60, deadline=None)
def test_sanitised_copy_loads_whole_and_can_be_sanitised_again(planted):
    _, recording = planted
    with tempfile.TemporaryDirectory() as scratch:
        made = sanitise(recording).recording
        write_recording(Path(scratch) / "copy", made, console="ttyS0", closed="left")
        kept = load_transcript(Path(scratch) / "copy")
        assert kept.truncated is None
        assert (kept.read(), kept.chunks, kept.typed, kept.marks) == (
            made.output, made.chunks, made.typed, made.marks,
        )  # fmt: skip
    again = sanitise(made).recording
    assert [len(again.output), len(again.typed)] == [len(made.output), len(made.typed)]


@given(data=st.lists(st.one_of(WORDS, NOISE, st.binary(max_size=6)), max_size=20).map(b"".join))
@settings(deadline=None)
def test_what_is_no_secret_stays(data):
    assert sanitise(Recording(output=data, chunks=())).recording.output == data


@given(
    kind=st.sampled_from(SecretKind), values=st.lists(NAMES, min_size=1, max_size=8, unique_by=str.casefold)
)
def test_a_value_has_one_placeholder_of_its_length_and_others_have_others(kind, values):
    if kind in {SecretKind.GUID, SecretKind.MAC, SecretKind.IPV4, SecretKind.IPV6, SecretKind.ENCODED}:
        kind = SecretKind.HOST
    names = Placeholders(values)
    made = [names.of(kind, value) for value in values]
    assert made == [names.of(kind, value.lower()) for value in values]
    assert [len(one) for one in made] == [len(value) for value in values]
    assert len(set(made)) == len(values)


PASSWORDS = st.from_regex(r"[!-~]{5,12}[0-9]", fullmatch=True).filter(lambda word: word.strip("*%"))
QUESTIONS = {
    "lines": (b"Username: ", b"Domain  :", b"Password: "),
    "cells": (b"\x1b[2;1HUsername: ", b"\x1b[3;1HDomain  :", b"\x1b[4;1HPassword:\x1b[4;11H"),
}


@given(
    answers=st.tuples(NAMES, NAMES, PASSWORDS),
    manner=st.sampled_from(sorted(QUESTIONS)),
    size=st.integers(min_value=1, max_value=40),
    ahead=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_no_answer_of_a_login_survives(answers, manner, size, ahead):
    output, typed = b"\x1b[2J\x1b[1;1HPlease enter login credentials.\r\n", []
    for number, (question, answer) in enumerate(zip(QUESTIONS[manner], answers, strict=True)):
        output += question
        at = len(output) if number == 0 or not ahead else typed[0].offset
        entered = answer.encode() + b"\r"
        typed += [
            Typed(at=float(number), offset=at, data=entered[start : start + size])
            for start in range(0, len(entered), size)
        ]
        output += (b"*" * len(answer) if number == 2 else answer.encode()) + b"\r\n"
    made = sanitise(Recording(output=output, typed=tuple(typed))).recording
    shown = made.output + b"".join(one.data for one in made.typed)
    assert [one for one in answers if one.encode() in shown or one.lower().encode() in shown] == []
    assert made.output.count(b"Username: ") == 1
    assert made.output.count(b"*" * len(answers[2])) >= 1
