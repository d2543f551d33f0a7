"""A transcript as rows of HTML: what the guest wrote, what was typed, and every mark, in order of time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape as quote
from typing import Literal, TypeVar

from rich.ansi import AnsiDecoder
from rich.color import Color
from rich.style import Style

from emulator.console.marks import Mark, MarkKind, Typed
from emulator.console.transcript import Transcript
from emulator.guest_text.escapes import TOKEN
from emulator.guest_text.printable import escape, visible

_SGR = re.compile(rb"\x1b\[[0-9;:]{0,64}m")
_RUNS = re.compile(rb"[\x08\x0b-\x0d]|[^\x08\x0b-\x0d]+")
_MOVES = frozenset({b"\x08", b"\x0b", b"\x0c", b"\r"})
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


_FLAGS = ("bold", "dim", "italic", "reverse", "strike", "underline")


@lru_cache(4096)
def apply_sgr(style: Style, sequence: bytes) -> Style:
    """Return `style` after the escape sequence `ESC [ … m`; unknown codes change nothing."""
    decoder = AnsiDecoder()
    decoder.style = style
    decoder.decode_line(sequence.replace(b":", b";").decode("ascii"))
    return decoder.style


@lru_cache(4096)
def classes_of(style: Style) -> str:
    """Return a style's CSS classes, separated by spaces; of colours only the first 16 have one."""
    flags = [name.removesuffix("line") for name in _FLAGS if getattr(style, name)]
    return " ".join([*flags, *_colour("f", style.color), *_colour("b", style.bgcolor)])


def _colour(prefix: str, colour: Color | None) -> list[str]:
    number = None if colour is None else colour.number
    if number is None or number >= 16:
        return []
    return [f"{prefix}-{'bright-' if number >= 8 else ''}{_NAMES[number % 8]}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleRow:
    """One line of the console.

    Attributes:
        start: offset of its first byte.
        end: offset after its last byte, the line end included.
        html: its text, safe to put between tags.
    """

    start: int
    end: int
    html: str


def render_lines(data: bytes, *, start: int = 0) -> Iterator[ConsoleRow]:
    """Yield `data` line by line; `start` is the offset of its first byte. Colours carry over lines."""
    style = Style()
    position = 0
    while position < len(data):
        newline = data.find(b"\n", position)
        end = len(data) if newline < 0 else newline + 1
        html, style = _render_line(data[position:end], style)
        yield ConsoleRow(start=start + position, end=start + end, html=html)
        position = end


def _render_line(raw: bytes, style: Style) -> tuple[str, Style]:
    text = raw.removesuffix(b"\n").rstrip(b"\r")
    parts: list[str] = []
    for kind, piece in _pieces(text):
        if kind == "sgr":
            style = apply_sgr(style, piece)
        elif kind == "control":
            parts.append(f'<i class="ctl">{quote(escape(piece))}</i>')
        else:
            parts.append(_styled(piece, classes_of(style)))
    return "".join(parts), style


def _pieces(line: bytes) -> Iterator[tuple[Literal["sgr", "control", "text"], bytes]]:
    for token in TOKEN.finditer(line):
        if token["text"] is None:
            yield "sgr" if _SGR.fullmatch(token[0]) else "control", token[0]
            continue
        for run in _RUNS.finditer(token["text"]):
            yield "control" if run[0] in _MOVES else "text", run[0]


def _styled(text: bytes, classes: str) -> str:
    safe = "\t".join(quote(escape(part)) for part in text.split(b"\t"))
    return f'<span class="{classes}">{safe}</span>' if classes else safe


def tame(data: bytes) -> str:
    """Return `data` as text with its lines and colours, other controls made visible; for attachments."""
    lines = (line.removesuffix(b"\r") for line in data.split(b"\n"))
    return "\n".join("".join(_tamed(kind, piece) for kind, piece in _pieces(line)) for line in lines)


def _tamed(kind: str, piece: bytes) -> str:
    if kind == "sgr":
        return "\x1b" + escape(piece[1:])
    return "\t".join(escape(part) for part in piece.split(b"\t"))


def plain(data: bytes) -> str:
    """Return `data` as text with its lines but no control characters; for JUnit and terminals."""
    return "\n".join(escape(line.removesuffix(b"\r")) for line in data.split(b"\n"))


LIMIT = 1_000_000
"""Bytes of the longest transcript that a page shows whole; of longer ones it shows both ends."""
_HEAD, _TAIL = 200_000, 500_000
_BEFORE, _AFTER = 4000, 1200  # bytes around the decisive place that an excerpt considers
_LINES_BEFORE, _LINES_AFTER = 12, 4
_Note = TypeVar("_Note", Mark, Typed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bytes `[start, end)` to highlight in the class `css` ("hit", "found", "expected")."""

    start: int
    end: int
    css: str


def render_console(transcript: Transcript, spans: Sequence[Span] = (), *, limit: int = LIMIT) -> str:
    """Return the transcript as rows; if longer than `limit`, both ends and how much is left out."""
    size = len(transcript)
    if size <= limit:
        return "".join(_rows(transcript, 0, size, spans))
    head = _line_start(transcript, min(_HEAD, limit // 3))
    tail = _line_start(transcript, size - min(_TAIL, limit // 2))
    gap = f'<span class="gap">{tail - head} of {size} bytes are left out here; console.bin has them</span>'
    return "".join([*_rows(transcript, 0, head, spans), gap, *_rows(transcript, tail, size, spans)])


def render_excerpt(transcript: Transcript, focus: Span, spans: Sequence[Span] = ()) -> str:
    """Return the rows around `focus`, without anchors: a dozen lines before it and a few after."""
    start = _line_start(transcript, max(0, focus.start - _BEFORE))
    end = min(len(transcript), focus.end + _AFTER)
    lines = list(render_lines(transcript.read(start, end), start=start))
    if not lines:
        return "".join(_rows(transcript, start, end, spans, anchors=False))
    first = next((n for n, line in enumerate(lines) if line.end > focus.start), len(lines) - 1)
    last = max((n for n, line in enumerate(lines) if line.start < focus.end), default=first)
    shown = lines[max(0, first - _LINES_BEFORE) : max(first, last) + _LINES_AFTER + 1]
    return "".join(_rows(transcript, shown[0].start, shown[-1].end, spans, anchors=False))


def _line_start(transcript: Transcript, offset: int) -> int:
    """Return the end of the last line that ends before `offset`; `offset` itself in a very long line."""
    if offset <= 0:
        return 0
    before = max(0, offset - 65536)
    newline = transcript.read(before, offset).rfind(b"\n")
    return offset if newline < 0 else before + newline + 1


def _rows(
    transcript: Transcript, start: int, end: int, spans: Sequence[Span], *, anchors: bool = True
) -> Iterator[str]:
    """Yield the rows of `[start, end)`; a mark inside a line follows the line."""
    notes = _notes(transcript, start, end)
    pending = next(notes, None)
    highlights = _Highhighlights(spans)
    for line in _stamped(transcript, start, end):
        while pending is not None and pending[0] <= line[1].start:
            yield pending[1]
            pending = next(notes, None)
        yield _row(*line, highlights.on(line[1]), anchors=anchors)
    while pending is not None:
        yield pending[1]
        pending = next(notes, None)


def _stamped(transcript: Transcript, start: int, end: int) -> Iterator[tuple[float, ConsoleRow]]:
    chunks = transcript.chunks
    index = 0
    for line in render_lines(transcript.read(start, end), start=start):
        while index + 1 < len(chunks) and chunks[index + 1].start <= line.start:
            index += 1
        yield (chunks[index].at if chunks else 0.0), line


class _Highhighlights:
    """The spans that touch a line, for lines in order: a flood has thousands of both."""

    def __init__(self, spans: Sequence[Span]) -> None:
        lasting = [span for span in spans if span.end > span.start]
        self._waiting = sorted(lasting, key=lambda span: span.start, reverse=True)
        self._active: list[Span] = []

    def on(self, line: ConsoleRow) -> list[Span]:
        while self._waiting and self._waiting[-1].start < line.end:
            self._active.append(self._waiting.pop())
        if self._active:
            self._active = [span for span in self._active if span.end > line.start]
        return self._active


def _row(at: float, line: ConsoleRow, spans: Sequence[Span], *, anchors: bool) -> str:
    css = " ".join(["l", *sorted({span.css for span in spans})])
    begins = sorted({span.start for span in spans if span.start >= line.start})
    places = "".join(f'<a id="{anchor_of(start)}"></a>' for start in begins) if anchors else ""
    return f'<span class="{css}" data-t="{at:8.3f}">{places}{line.html}</span>'


def anchor_of(start: int) -> str:
    """Return the id, in a rendered console, of a span that begins at byte `start`."""
    return f"b{start}"


def _notes(transcript: Transcript, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Yield offset and row of what was typed and marked in `[start, end]`, in order of time."""
    notes: list[tuple[float, int, str]] = [
        (typed.at, typed.offset, _typed_row(typed)) for typed in _within(transcript.typed, start, end)
    ]
    notes += [(mark.at, mark.offset, _mark_row(mark)) for mark in _within(transcript.marks, start, end)]
    for _, offset, row in sorted(notes, key=lambda note: note[:2]):
        yield offset, row


def _within(notes: Iterable[_Note], start: int, end: int) -> Iterator[_Note]:
    return (note for note in notes if start <= note.offset <= end)


def _typed_row(typed: Typed) -> str:
    return _note_row("typed", typed.at, quote(escape(typed.shown)))


def _mark_row(mark: Mark) -> str:
    text = quote(visible(_sentence(mark)))
    return _note_row(mark.kind.value, mark.at, text)


def _note_row(kind: str, at: float, html: str) -> str:
    return f'<span class="m {kind}" data-t="{at:8.3f}"><b>{kind}</b> {html}</span>'


def _sentence(mark: Mark) -> str:
    detail = dict(mark.detail)
    if mark.kind is MarkKind.STEP and isinstance(index := detail.pop("index", None), int):
        verb = {"begin": "begins", "end": "ends"}.get(mark.name, mark.name)
        said = detail.get("step", detail.get("outcome"))
        return f"{index + 1} {verb}" + (f": {said}" if said is not None else "")
    return " ".join([mark.name, *(f"{key}={value}" for key, value in detail.items())])


def focus_of(spans: Sequence[Span], transcript: Transcript) -> Span:
    """Return the place to show first: the last hit, else the first finding, else the end."""
    hits = [span for span in spans if span.css == "hit"]
    finds = [span for span in spans if span.css == "found"]
    end = len(transcript)
    return (hits[-1:] or finds[:1] or [Span(start=end, end=end, css="")])[0]
