"""From guest bytes to text frames: UTF-8 whose characters are never split; pure.

The console is bytes and a TEXT frame must be UTF-8 (azure.md 3): what is not becomes U+FFFD, and a
character whose end has not come yet waits for it.
"""

from __future__ import annotations

import codecs


class TextFrames:
    """Decodes a stream piece by piece."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        """Return the text that is whole after `data`; "" while a character waits for its end."""
        return self._decoder.decode(data)

    def finish(self) -> str:
        """Return what still waits: the beginning of a character that will not end."""
        return self._decoder.decode(b"", final=True)


def line_start(data: bytes, *, lines: int) -> int:
    """Return where the last `lines` lines of `data` begin; the one that has no end yet is one of them.

    A line without a beginning in `data` begins at its first whole character.
    """
    if lines <= 0:
        return len(data)
    start = len(data)
    for _ in range(lines):
        start = data.rfind(b"\n", 0, start)
        if start < 0:
            break
    start += 1
    while start < len(data) and data[start] & 0xC0 == 0x80:  # the inside of a UTF-8 character
        start += 1
    return start
