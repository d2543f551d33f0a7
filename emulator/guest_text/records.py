r"""Split a console's byte stream into kernel records and the rest.

The kernel prints its records straight to the UART, in the middle of whatever a program is writing:
`lo[    2.948528] scsi host0\r\ngin: ` is the prompt `login: ` and one record (docs/facts/hardware.md 7).
Waits match on the rest, rejoined.

A record is `[%5lu.%06lu]` (kernel/printk, `print_time`), perhaps with `<level>` before it and the caller
`[ T12]` after it, up to and including its line end. The kernel writes no line end *before* a record, so one
that stands there belongs to the text before. What a program prints in the same form (`dmesg`) can't be told
apart by its bytes and counts as kernel text here; `harness.guests.kernel_log` takes a second look.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from emulator.guest_text.linux import LEVEL, STAMP


class StreamView:
    """The part of a stream that a reader wants; subclasses say which bytes those are. Append-only.

    It takes 24 bytes of memory per run besides the text.
    """

    def __init__(self, *, start: int = 0) -> None:
        self._text = bytearray()
        self._decided = start  # raw offset up to which each byte is known to be text or not
        self._starts = array("Q")  # of each run, in the text
        self._raw_starts = array("Q")
        self._raw_ends = array("Q")

    def __len__(self) -> int:
        return len(self._text)

    def read(self, start: int, end: int | None = None) -> bytes:
        """Return the text `[start, end)`, or up to its end if `end` is None."""
        with memoryview(self._text) as text:  # one copy, not two
            return bytes(text[start:end])

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the raw span from text byte `start` to the one before `end`.

        It includes other bytes in between. An empty span gives an empty one at byte `start`, or after the
        last byte if there is no such byte.

        Raises:
            IndexError: the span is not inside the text.
        """
        if not 0 <= start <= end <= len(self._text):
            raise IndexError(f"span [{start}, {end}) is not inside the text of {len(self._text)} bytes")
        last = self._raw(end - 1) + 1 if end else self._first_raw()
        first = self._raw(start) if start < len(self._text) else last
        return first, max(first, last)

    def user_offset(self, raw: int) -> int:
        """Return the offset of the first byte of text at or after the raw offset `raw`."""
        run = bisect_right(self._raw_starts, raw) - 1
        if run < 0:
            return 0
        after = self._starts[run + 1] if run + 1 < len(self._starts) else len(self._text)
        if raw >= self._raw_ends[run]:
            return after
        return min(self._starts[run] + raw - self._raw_starts[run], after)

    def _append(self, text: bytes, raw: int, raw_end: int) -> None:
        """Take the next raw bytes, `[raw, raw_end)`, as `text`, which is b"" for others."""
        self._decided = raw_end
        if not text:
            return
        continues = (
            bool(self._raw_ends)
            and self._raw_ends[-1] == raw
            and raw_end - raw == len(text)
            and raw - self._raw_starts[-1] == len(self._text) - self._starts[-1]
        )
        if continues:
            self._raw_ends[-1] = raw_end
        else:
            self._starts.append(len(self._text))
            self._raw_starts.append(raw)
            self._raw_ends.append(raw_end)
        self._text += text

    def _raw(self, offset: int) -> int:
        run = bisect_right(self._starts, offset) - 1
        return min(self._raw_starts[run] + offset - self._starts[run], self._raw_ends[run] - 1)

    def _first_raw(self) -> int:
        return self._raw_starts[0] if self._raw_starts else self._decided


_BRACKET = re.compile(STAMP)
_LEVEL = re.compile(LEVEL + rb"\Z")
_LONGEST_LEVEL = 5
_RECORDS = re.compile(rb"(?:(?:" + LEVEL + rb")?" + STAMP + rb"[^\n]*\n)+")
_MAY_BEGIN = re.compile(rb"(?:<\d{0,3}|(?:<\d{1,3}>)?(?:\[ {0,4}(?:\d{1,10}(?:\.\d{0,6})?)?)|<\d{1,3}>)\Z")
RECORD_LIKE = re.compile(rb"\[(?=[ 0-9])|<(?=[0-9])")
"""What must not be typed as it is, or its echo may be taken for the beginning of a record."""
_LONGEST_HEAD = 24  # <123>[1234567890.123456]


def held_tail(data: bytes) -> int:
    """Return how many bytes at the end of `data` a splitter holds back, since they may begin a record."""
    tail = _MAY_BEGIN.search(data, max(0, len(data) - _LONGEST_HEAD))
    return 0 if tail is None else len(data) - tail.start()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A run of bytes of one origin: `[start, end)` in raw stream offsets."""

    kind: Literal["kernel", "user"]
    start: int
    end: int


class RecordSplitter:
    """Tells kernel records from the rest: byte stream in, segments out.

    The segments of all calls tile the stream without gap or overlap. Chunking only changes how a run is cut
    into adjacent segments of one kind, never the kind of a byte.
    """

    def __init__(self, *, start: int = 0) -> None:
        self._held = b""
        self._offset = start  # raw offset of the first held byte
        self._in_record = False

    def feed(self, chunk: bytes) -> list[Segment]:
        """Take the next bytes and return what is decided; a tail that may begin a record is held back."""
        data = self._held + chunk
        segments: list[Segment] = []
        position = 0
        while position < len(data):
            end, kind = self._next_run(data, position)
            if end == position:
                break
            segments.append(Segment(kind=kind, start=self._offset + position, end=self._offset + end))
            position = end
        self._held = data[position:]
        self._offset += position
        return segments

    def flush(self) -> list[Segment]:
        """Return the held bytes as user text: nothing more will come, or nobody wants to wait."""
        if not self._held:
            return []
        start, self._offset, self._held = self._offset, self._offset + len(self._held), b""
        return [Segment(kind="user", start=start, end=self._offset)]

    def _next_run(self, data: bytes, position: int) -> tuple[int, Literal["kernel", "user"]]:
        """Return where the run at `position` ends: there, if the tail must be held back."""
        if self._in_record:
            newline = data.find(b"\n", position)
            self._in_record = newline < 0
            return (len(data) if newline < 0 else newline + 1), "kernel"
        head = self._next_head(data, position)
        if head is None:
            return max(position, len(data) - held_tail(data)), "user"
        if head > position:
            return head, "user"
        records = _RECORDS.match(data, position)
        self._in_record = records is None
        return (len(data) if records is None else records.end()), "kernel"

    @staticmethod
    def _next_head(data: bytes, position: int) -> int | None:
        """Return where the next record begins, including its level."""
        bracket = _BRACKET.search(data, position)
        if bracket is None:
            return None
        level = _LEVEL.search(data, max(position, bracket.start() - _LONGEST_LEVEL), bracket.start())
        return bracket.start() if level is None else level.start()


class UserView(StreamView):
    """The user text of a console, rejoined without kernel records."""

    def __init__(self, *, start: int = 0) -> None:
        super().__init__(start=start)
        self._splitter = RecordSplitter(start=start)
        self._tail = b""  # from the raw offset `_decided` on

    def feed(self, chunk: bytes) -> int:
        """Take the next raw bytes; return how many bytes of user text they added."""
        self._tail += chunk
        return self._take(self._splitter.feed(chunk))

    def flush(self) -> int:
        """Take held bytes as user text; return how many there were."""
        return self._take(self._splitter.flush())

    def _take(self, segments: list[Segment]) -> int:
        before, first = len(self), self._decided
        for segment in segments:
            is_text = segment.kind == "user"
            text = self._tail[segment.start - first : segment.end - first] if is_text else b""
            self._append(text, segment.start, segment.end)
        self._tail = self._tail[self._decided - first :]
        return len(self) - before
