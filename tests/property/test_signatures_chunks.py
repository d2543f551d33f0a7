"""Laws of the scanner: any bytes, any chunks."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from emulator.guest_text.printable import escape
from harness.signatures.scanner import Scanner

REPORT_LINES = [
    b"[    1.000000] ------------[ cut here ]------------\r\n",
    b"[    1.000001] WARNING: CPU: 0 PID: 1 at a/b.c:1 foo+0x1/0x2\r\n",
    b"[    1.000001][   T1] WARNING: CPU: 0 PID: 1 at a/b.c:1 foo+0x1/0x2\r\n",
    b"[    1.000002] kernel BUG at mm/x.c:12!\r\n",
    b"[    1.000002] usercopy: Kernel memory overwrite attempt detected to kernel text\r\n",
    b"[    1.000003] RIP: 0010:bar+0x1/0x2\r\n",
    b"[    1.000004] Call Trace:\r\n",
    b"[    1.000005]  baz.cold+0x1/0x2\r\n",
    b"[    1.000005][   T1]  other+0x1/0x2\r\n",
    b"[    1.000006] BUG: KASAN: use-after-free in qux+0x1/0x2\r\n",
    b"[    1.000006] Read of size 8 at addr 1234567812345678 by task x/1\r\n",
    b"[    1.000007] ================================\r\n",
    b"[    1.000008] Kernel panic - not syncing: Fatal exception\r\n",
    b"[    1.000008] ---[ end trace 0 ]---\r\n",
    b"x" * 700,
]  # fmt: skip
# What fires once in a boot, or needs a line from before: a scan from the middle sees another boot.
LINES = [
    *REPORT_LINES,
    b"INFO: rcu_sched self-detected stall on CPU\n",
    b"(initramfs) ", b"grub rescue> ", b"\x1b[1;1H", b"\x1b[0m", b"\r", b"\n", b"!SAC>", b"[    1.00",
    b"Minimal BASH-like line editing is supported", b"grub> ", b"Give root password for maintenance\r\n",
    b"Your PC ran into a problem and needs to restart.\r\n",
    b"\x1b]0;t\x07", b"\x1b]0;", b"\x1b]3008;start=1\x1b\\", b"\x1b[", b"\x1bP", b"\x07", b"\x00", b"\xff",
    b"Welcome to GRUB!\r\n", b"Press any key to continue...", b"U-Boot 2024.04\r\n", b"=> ",
    b"Starting kernel ...\r\n", b"You are in emergency mode. After logging in, type\r\n", b"data abort\r\n",
]  # fmt: skip


def streams(lines):
    piece = st.sampled_from(lines)
    return st.lists(st.one_of(piece, piece, st.binary(max_size=8)), max_size=40).map(b"".join)


STREAMS = streams(LINES)
REPORTS = streams(REPORT_LINES)
CUTS = st.lists(st.integers(min_value=0, max_value=2500), max_size=40)


def scan(parts, start=0):
    scanner = Scanner(start=start)
    early = [finding for part in parts for finding in scanner.feed(part)]
    return scanner.finish(), early


def chunks(data, cuts):
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[a:b] for a, b in pairwise(places)]


@given(data=STREAMS, cuts=CUTS)
def test_findings_do_not_depend_on_chunks(data, cuts):
    assert scan(chunks(data, cuts))[0] == scan([data])[0]


@given(data=STREAMS, cuts=CUTS)
def test_feed_announces_each_finding_once(data, cuts):
    final, early = scan(chunks(data, cuts))
    assert {(f.rule, f.start) for f in early} <= {(f.rule, f.start) for f in final}
    assert len(early) <= len(final)


@given(data=STREAMS)
def test_spans_are_ordered_and_in_range(data):
    found, _ = scan([data], start=77)
    assert [finding.start for finding in found] == sorted(finding.start for finding in found)
    assert all(77 <= finding.start <= finding.end <= 77 + len(data) for finding in found)


@given(data=st.binary(max_size=3000))
def test_no_bytes_raise(data):
    found, _ = scan([data])
    assert all(
        finding.title == escape(finding.title.replace("\\", "").encode()) or "\\" in finding.title
        for finding in found
    )


@given(data=REPORTS)
def test_scanning_again_from_the_start_finds_the_same(data):
    for finding in scan([data])[0]:
        again, _ = scan([data[finding.start :]], start=finding.start)
        assert (finding.rule, finding.start, finding.title) in {(f.rule, f.start, f.title) for f in again}


@given(before=STREAMS, after=STREAMS)
def test_cut_makes_two_boots_of_what_would_be_two_streams(before, after):
    scanner = Scanner()
    scanner.feed(before)
    first = scanner.cut(len(before))
    scanner.feed(after)
    scanner.finish()
    assert first == scan([before])[0]
    assert scanner.boot_findings == scan([after], start=len(before))[0]
