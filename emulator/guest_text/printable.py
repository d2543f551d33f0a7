"""The only place where guest bytes become text, for terminals and pages."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\\\\]")
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]")

_QUESTION = re.compile(
    rb"\x05|\x1bZ|\x1b\[[<=>?]?[\d;]*(?:[cnx]|\$p)|\x1b\[(?:1[1-9]|2[01])[\d;]*t"
    rb"|\x1b\][\d;]+;\?(?:\x07|\x1b\\)|\x1bP[$+]q[^\x1b]*\x1b\\"
)
"""What a terminal answers: ENQ, DECID, DA, DSR, DECREQTPARM, DECRQM, window reports, OSC colours, DECRQSS."""


def without_questions(data: bytes) -> bytes:
    """Return `data` without what makes a terminal answer: text that is shown again asks nobody again."""
    return _QUESTION.sub(b"", data)


def escape(data: bytes) -> str:
    r"""Return `data` as one line of text that no terminal obeys.

    UTF-8 stays readable; control characters (C0, DEL, C1), marks that change the direction of writing, and
    bytes that are not UTF-8 become `\n`, `\x1b`, `\u202e`; a backslash is doubled, so that different bytes
    never look alike.
    """
    text = data.decode("utf-8", "surrogateescape")
    return re.sub("[\udc80-\udcff]", _byte, _CONTROL.sub(_visible, text))


def _visible(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _byte(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]) - 0xDC00:02x}"


def decode_chunks(chunks: Iterable[bytes]) -> Iterator[str]:
    """Return the text of each chunk for a terminal emulator; nothing is escaped.

    A character that a chunk's end cuts belongs to the chunk that completes it; bytes that are not UTF-8
    become U+FFFD. What is left at the end comes as one more text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def encodable(text: str) -> str:
    r"""Return `text` with every character that UTF-8 can't carry (a lone surrogate) written as `\udc80`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def visible(text: str, *, keep: str = "") -> str:
    r"""Return `text` with every control character, and whatever XML 1.0 forbids, written as `\x1b`.

    It is for the harness' own messages and titles, which may quote a guest. Backslashes and the characters in
    `keep` (a line end, perhaps) stay as they are.
    """
    return _UNFIT.sub(lambda match: match[0] if match[0] in keep else _visible(match), encodable(text))
