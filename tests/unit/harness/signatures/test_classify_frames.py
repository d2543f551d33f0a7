"""Tests of harness/signatures/classify.py: each architecture's way to print a call trace."""

import pytest

from harness.signatures.classify import has_trace, plain_name, trace_frames


@pytest.mark.parametrize(
    "line",
    [
        b" victim+0x1/0x2",
        b"  [<ffffffff82d383a9>] victim+0x12e/0x185",
        b" <IRQ>  [<ffffffff81b2e7d9>] victim+0x45/0x6c",
        b" victim+0x1/0x2 kernel/fork.c:12",
        b"[<8011218c>] (callee) from [<8010e300>] (victim+0x18/0x1c)",
        b"[<8011218c>] (callee+0x1/0x2) from [<8010e300>] (victim+0x18/0x1c)",
        b" callee from victim+0x18/0x1c",
        b"[c00000007a3efa20] [c00000000030a060] victim+0x7b0/0x13a0",
    ],
)
def test_trace_frames_reads_a_frame(line):
    assert list(trace_frames(b"Call Trace:\n" + line)) == [b"victim"]


@pytest.mark.parametrize(
    "line",
    [
        b" ? guess+0x1/0x2",
        b"RAX: 0000000000000188",
        b" <TASK>",
        b"Code: 91 0e 33",
        b"7cc0: 80f1911c 60030013",
        b"",
    ],
)
def test_trace_frames_passes_over_what_is_no_frame(line):
    assert list(trace_frames(b"Call trace:\n" + line + b"\n after+0x1/0x2")) == [b"after"]


def test_trace_frames_ends_before_the_next_part_of_the_report():
    assert list(trace_frames(b"Call Trace:\n a+0x1/0x2\nAllocated by task 12:\n b+0x1/0x2")) == [b"a"]


def test_has_trace_says_no_without_a_head_or_without_a_frame():
    assert not has_trace(b" a+0x1/0x2")
    assert not has_trace(b"Call Trace:\n(cut off)")


@pytest.mark.parametrize(
    ("name", "plain"),
    [(b"f.constprop.0", b"f"), (b"f.isra.13.part.2", b"f"), (b"f.cold.44", b"f"), (b"f", b"f")],
)
def test_plain_name_drops_what_the_compiler_added(name, plain):
    assert plain_name(name) == plain
