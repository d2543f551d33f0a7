"""What is seen of a console: whatever the chunks, every byte once, and as a terminal shows it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.guest_text.escapes import LONGEST_STRING, TOKEN, TokenReader, numbers, seen

SEQUENCES = [
    b"\x1b[31m", b"\x1b[4:3m", b"\x1b[38:2::1:2:3m", b"\x1b[?7h", b"\x1b[!p", b"\x1b[>4;1m", b"\x1b[<u",
    b"\x1b]104\x07", b"\x1b]0;title\x1b\\", b"\x1b]3008;start=1;user=root\x1b\\", b"\x1b]R",
    b"\x1bP1$r0m\x1b\\", b"\x1b_G\x07", b"\x1b^pm\x1b\\", b"\x1bXsos\x1b\\", b"\x1b]P0a1b2c3",
    b"\x1bP" + b"q" * 700 + b"\x1b\\", b"\x1b[=1c", b"\x1b(B", b"\x1b)0", b"\x1b%G", b"\x0e", b"\x0f",
    b"\x1b=", b"\x1b7", b"\x1b#8", b"\x1b F", b"\x00", b"\xff\xff", b"\x7f",
]  # fmt: skip
PARTIAL = [
    b"\x1b", b"\x1b[", b"\x1b[3", b"\x1b]", b"\x1b]0;t", b"\x1bP", b"\x1b(", b"\x18", b"\x1a", b"\x1b]P1",
]  # fmt: skip
TEXT = st.sampled_from(
    [b"login: ", b"[   12.345678] Oops", b"\r\n", b"[", b"5;1m", b"\xc3\xa4", b"\\", b"\x07", b"\t"]
)
STREAM = st.lists(
    st.one_of(st.sampled_from(SEQUENCES + PARTIAL), TEXT, st.binary(max_size=6)), max_size=16
).map(b"".join)
CUTS = st.lists(st.integers(min_value=0, max_value=300), max_size=12)


def read(*chunks):
    reader = TokenReader()
    tokens = [token for chunk in chunks for token in reader.feed(chunk)] + reader.flush()
    return b"".join(token[0] for token in tokens), b"".join(token["text"] or b"" for token in tokens)


@given(data=STREAM, cuts=CUTS)
def test_what_is_seen_does_not_depend_on_chunks(data, cuts):
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    whole = read(*(data[start:end] for start, end in pairwise(places)))
    assert whole[0] == data
    assert whole[1].replace(b"\xff", b"") == seen(data)
    assert read(*(data[at : at + 1] for at in range(len(data)))) == whole


@given(
    st.lists(
        st.one_of(st.sampled_from(SEQUENCES), st.sampled_from([b"a", b" b", b"\r\n", b"[x]"])), max_size=20
    )
)
def test_complete_sequences_leave_the_text_between_them(parts):
    assert seen(b"".join(parts)) == b"".join(part for part in parts if part not in SEQUENCES)


@given(data=STREAM)
def test_a_line_end_is_always_seen(data):
    """Whatever a guest has begun, the next line shows."""
    assert seen(data + b"\n[   12.345678] Kernel panic\n").endswith(b"\n[   12.345678] Kernel panic\n")


@given(data=STREAM)
def test_a_kernel_record_is_seen_wherever_it_interrupts(data):
    record = b"[   12.345678] Kernel panic - not syncing\n"
    assert record in seen(data.replace(b"\x18", b"") + record)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x1b]0;never ended\r\nKernel panic\r\n", b"0;never ended\r\nKernel panic\r\n"),
        (b"\x1b]0;ended by CAN\x18text", b"text"),
        (b"\x1b]0;ended by another\x1b[1mtext", b"text"),
        (b"\x1b]" + b"x" * LONGEST_STRING + b"\x07text", b"text"),
        (b"\x1b]" + b"x" * (LONGEST_STRING + 1) + b"\x07text", b"x" * (LONGEST_STRING + 1) + b"text"),
        (b"\x1b[12\x18text", b"text"),
        (b"\x1b[12\r\n1m", b"\r\n1m"),
        (b"\x1b[12", b""),
        (b"\x1b[[    0.000000] Linux", b"[    0.000000] Linux"),
        (b"\x1b[    0.000000] Linux", b"[    0.000000] Linux"),
        (b"\x1b([12345.678901] Linux", b"[12345.678901] Linux"),
        (b"\x1b[3;<6>[    0.000000] Linux", b"[    0.000000] Linux"),
    ],
)
def test_sequences_that_are_broken_off(data, text):
    assert seen(data) == text


def test_numbers_of_a_csi():
    assert numbers(b"") == [0]
    assert numbers(b"4:3;;12") == [4, 0, 12]
    assert numbers(b"?7") == numbers(b">4;1") == []
    assert numbers(b"9" * 900) == [99999]


def test_tokens_say_what_they_are():
    kinds = [token.lastgroup for token in TOKEN.finditer(b"a\x00\x1b[1m\x1b]0;t\x07\x1b7\x1b(B")]
    assert kinds == ["text", "fill", "final", "string", "short", None]
