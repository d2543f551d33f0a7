"""Lines of a console as people read them: without escape sequences, stamps and what a logger put before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from emulator.guest_text.escapes import ROW_MOVES, TOKEN, seen, unfinished
from emulator.guest_text.linux import CALLER, LEVEL, LOGGED_STAMP, STAMP

LONGEST_LINE = 16384  # bytes; longer ones are cut, so that no guest can fill the scanner's memory

# A cursor jump begins a new line just as a line feed does: GRUB and firmware draw like that.
_BOUNDARY = re.compile(rb"\r*\n|\r+(?=[^\r\n])|\x1b\[[0-9;]*[J" + bytes(ROW_MOVES) + rb"]|\x1bc")
_UNSEEN = re.compile(rb"[\x00-\x07\x0e-\x1f\x7f\xff]")
_DATE = (
    rb"\[?(?:(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?(?: \d{4})?"
    rb"|\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)\]? "
)
# `kern.warn `; dmesg -x: `kern  :emerg : `
_FACILITY = (
    rb"(?:kern|user|mail|daemon|auth|authpriv|syslog|cron|local[0-7]) {0,4}[.:]"
    rb"(?:emerg|alert|crit|err|error|warn|warning|notice|info|debug) {0,4}:? "
)
_HOST = rb"[\w.-]{1,64} (?:" + _FACILITY + rb")?(?=kernel: |[\w./-]{1,48}\[\d{1,7}\]: )"
# What syslog daemons, journalctl, dmesg -T and emergency messages (`wall`) put before a line; and a login
# prompt, behind which a kernel without stamps writes.
_LOGGED = re.compile(
    rb"(?:[\w.-]{1,64} login: )?(?:"
    + LEVEL
    + rb")?(?:"
    + _DATE
    + rb"(?:"
    + _HOST
    + rb")?|"
    + _FACILITY
    + rb")?(?: ?(kernel): ?)?"
)
# [   12.345678], the caller [ T12] or [ C0], and vendors' [1: comm: 12]; journalctl -o short-monotonic names
# a host behind the stamp. Amid other text, a stamp must be exact.
_AFTER_STAMP = (
    rb"((?:\s?" + CALLER + rb")?)(?:\s*\[\d+:\s*[^\]\n]{1,24}:\s*\d+\])? ?(?:[\w.-]{1,64} kernel: )?"
)
_LOGGED_STAMP = re.compile(rb"(?:" + LEVEL + rb")?" + LOGGED_STAMP + _AFTER_STAMP)
_STAMP_AMID = re.compile(rb"(?:" + LEVEL + rb")?" + STAMP + _AFTER_STAMP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One logical line.

    Attributes:
        start: first byte, as raw offset.
        end: one past the last byte, without the line end.
        shown: what is seen of it.
        text: `shown` without the kernel's stamp, a logger's words, and what precedes them.
        context: who printed it (`T12`, `C0`); empty if the kernel does not say.
        is_kernel: whether a stamp or a logger says that the kernel printed it.
    """

    start: int
    end: int
    shown: bytes
    text: bytes
    context: bytes
    is_kernel: bool


def split_lines(data: bytes, *, offset: int) -> Iterator[Line]:
    """Yield the logical lines of `data`, whose first byte has the raw offset `offset`."""
    position = 0
    for boundary in _BOUNDARY.finditer(data):
        ends = boundary[0][:1]
        yield parse_line(data[position : boundary.start()], offset=offset + position, ahead=ends)
        position = boundary.end()
    if position < len(data):
        yield parse_line(data[position:], offset=offset + position)


def parse_line(raw: bytes, *, offset: int, ahead: bytes = b"") -> Line:
    """Return `raw`, which must contain no line end, as a line; `ahead` is what comes next, if anything."""
    shown = seen(raw + ahead).rstrip(b"\r\n") if _UNSEEN.search(raw) else raw
    logged = _LOGGED.match(shown)
    begin = 0 if logged is None else logged.end()
    stamp = _LOGGED_STAMP.match(shown, begin) or _STAMP_AMID.search(shown, begin)
    return Line(
        start=offset,
        end=offset + len(raw),
        shown=shown,
        text=shown[begin:] if stamp is None else shown[stamp.end() :],
        context=b"" if stamp is None else stamp[1].strip(b" []"),
        is_kernel=stamp is not None or (logged is not None and logged[1] is not None),
    )


# What programs put before a kernel's words that they only quote: an indent, a quotation mark, a file's name
# and line (grep), a commit (git), a daemon's own tag.
_QUOTING = re.compile(
    rb"^(?:\s{2,}|\t)|[\"'`(]$|^[\w./+-]+\.[A-Za-z]\w*:(?:\d+:)*\s*$|^[0-9a-f]{7,40} |[\w./-]+\[\d+\]: $"
)
_FORMAT = re.compile(rb"%(?:l*[dux]|p\w{0,2}|s)(?![\w%])")


def is_quoted(text: bytes, start: int) -> bool:
    """Tell whether a program only quotes what stands at `start` of a line that has no kernel's stamp."""
    return _QUOTING.search(text[:start]) is not None or _FORMAT.search(text, start) is not None


def end_of_seen(raw: bytes, count: int) -> int:
    """Return how many bytes of `raw` show its first `count` seen bytes."""
    for token in TOKEN.finditer(raw):
        for at, byte in enumerate(token["text"] or b"", token.start()):
            count -= byte != 0xFF  # as `seen` has it
            if count <= 0:
                return at + 1
    return len(raw)


def decided(data: bytes) -> bytes:
    """Return `data` up to a sequence that its end cuts off, whose content may still turn out unseen.

    The first byte of that sequence stays, since it ends what comes before.
    """
    return data[: unfinished(data) + 1]
