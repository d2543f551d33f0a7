"""Text that was taken out of a console's bytes, with the way back to raw offsets; pure."""

from __future__ import annotations

from array import array
from bisect import bisect_right


class StreamView:
    """What a reader wants of a stream: kinds of it say which bytes those are. Append-only.

    24 bytes of memory for each run besides the text itself.
    """

    def __init__(self, *, start: int = 0) -> None:
        self._text = bytearray()
        self._told = start  # raw offset up to which the stream's bytes are text, or none
        self._starts = array("Q")  # of each run, in the text
        self._raw_starts = array("Q")
        self._raw_ends = array("Q")

    def __len__(self) -> int:
        return len(self._text)

    def read(self, start: int, end: int | None = None) -> bytes:
        """Return the text `[start, end)`, to its end if `end` is None."""
        return bytes(self._text[start:end])

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Return the raw span from text byte `start` to the one before `end`.

        What is no text between the two is inside the span. An empty span gives an empty span, at the byte
        `start`, or behind the last byte if there is none.

        Raises:
            IndexError: the span is not inside the text.
        """
        if not 0 <= start <= end <= len(self._text):
            raise IndexError(f"span [{start}, {end}) is not inside the text of {len(self._text)} bytes")
        last = self._raw(end - 1) + 1 if end else self._first_raw()
        first = self._raw(start) if start < len(self._text) else last
        return first, max(first, last)

    def user_offset(self, raw: int) -> int:
        """Return the offset of the first byte of text at or behind the raw offset `raw`."""
        run = bisect_right(self._raw_starts, raw) - 1
        if run < 0:
            return 0
        after = self._starts[run + 1] if run + 1 < len(self._starts) else len(self._text)
        if raw >= self._raw_ends[run]:
            return after
        return min(self._starts[run] + raw - self._raw_starts[run], after)

    def _append(self, text: bytes, raw: int, raw_end: int) -> None:
        """Take the next raw bytes, `[raw, raw_end)`, as `text`: b"" if they are none."""
        self._told = raw_end
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
        return self._raw_starts[0] if self._raw_starts else self._told
