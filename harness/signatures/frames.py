"""Find the function to blame in the text of a report."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.signatures.rules import FrameRecipe, Pattern

LONGEST_TRACE = 150  # lines

_TRACE_HEAD = re.compile(rb"(?m)^\s*(?:Call [Tt]race|[Bb]acktrace|[Ss]tack backtrace|Stack trace)\s*:")
_TRACE_END = re.compile(
    rb"^(?:---\[|Allocated by|Freed by|Allocated:|Freed:|The buggy address|Kernel Offset|Rebooting in"
    rb"|Kernel panic|Last potentially related|Showing all locks|NMI backtrace for|Sending NMI"
    rb"|INFO: |BUG: |WARNING: |======)"
)
# One frame: x86, arm64, RISC-V, s390 and MIPS print `[<address>] func+0x1/0x2`, ARM
# `(callee) from [<address>] (caller+0x1/0x2)`. Inlined functions, which a symbolized log shows, don't count:
# whether there are any depends on the compiler.
_FRAME = re.compile(
    rb"^\s*(?:<[A-Z/ ]+>\s*)*(?:\(?[\w.+/]+\)? from )?"
    rb"\(?(?:\[<?[0-9a-f]+>?\]\s*)*(?:\([\w.+/]+\) from \[<[0-9a-f]+>\] )?\(?"
    rb"(\?\s+)?([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+"
)
_SUFFIX = re.compile(rb"\.(?:constprop|isra|part|cold|llvm|lto_priv|localalias)\b.*|\.\d+$")


def find_frame(text: bytes, recipe: FrameRecipe) -> bytes | None:
    """Return the first function of the recipe's places that may be blamed, without compiler suffixes."""
    for place in recipe.places:
        for name in _candidates(text, place, recipe):
            plain = plain_name(name)
            if not recipe.skip.search(plain):
                return plain
    return None


def trace_frames(text: bytes) -> Iterator[bytes]:
    """Give the functions of the first call trace, innermost first, without guesses (`? func`)."""
    head = _TRACE_HEAD.search(text)
    if head is None:
        return
    lines = text[head.end() :].split(b"\n", LONGEST_TRACE + 1)[1 : LONGEST_TRACE + 1]
    yield from _frames(lines)


def has_trace(text: bytes) -> bool:
    """Tell whether a call trace with at least one function is there."""
    return next(trace_frames(text), None) is not None


def plain_name(name: bytes) -> bytes:
    """Return a function's name without what the compiler added (`.constprop.0`, `.part.3`)."""
    return _SUFFIX.sub(b"", name).rstrip(b".")


def _candidates(text: bytes, place: Pattern | str, recipe: FrameRecipe) -> Iterator[bytes]:
    if place == "trace":
        yield from trace_frames(text)
    elif place == "anchor":
        yield from (name for name in _all_frames(text) if recipe.anchor.search(plain_name(name)))
    elif place == "list":
        yield from _frames(text[max(0, text.find(b"BUG: ")) :].split(b"\n", LONGEST_TRACE)[1:])
    elif not isinstance(place, str):
        match = place.search(text)
        yield from () if match is None else (match[1],)


def _all_frames(text: bytes) -> Iterator[bytes]:
    frames = (_FRAME.match(line) for line in text.split(b"\n"))
    return (frame[2] for frame in frames if frame is not None and frame[1] is None)


def _frames(lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        if _TRACE_END.match(line):
            return
        frame = _FRAME.match(line)
        if frame is not None and frame[1] is None:
            yield frame[2]
