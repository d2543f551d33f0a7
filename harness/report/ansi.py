"""Console bytes as lines of HTML or of tame text: colours stay, every other control shows.

Nothing that the guest writes can leave its line: text goes through `text.escape` and is then
quoted for HTML; of escape sequences only SGR (colour, bold, …) is obeyed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import escape as quote

from harness.report.text import escape

_TOKEN = re.compile(
    rb"(?P<sgr>\x1b\[[0-9;:]{0,64}m)"
    rb"|(?P<control>\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b\][^\x07\x1b\n]{0,256}(?:\x07|\x1b\\)|\x1b.?"
    rb"|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f])"
    rb"|(?P<text>[^\x00-\x08\x0b-\x1f\x7f\n]+)",
    re.DOTALL,
)
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Which rendition is switched on; the default is plain text.

    Attributes:
        flags: CSS classes such as "bold", sorted.
        front: class of the text colour, or "".
        back: class of the background, or "".
    """

    flags: frozenset[str] = field(default_factory=frozenset)
    front: str = ""
    back: str = ""

    @property
    def classes(self) -> str:
        """Return the CSS classes, separated by spaces; empty for plain text."""
        return " ".join(filter(None, [*sorted(self.flags), self.front, self.back]))


PLAIN = Style()
_SET = {1: "bold", 2: "dim", 3: "italic", 4: "under", 7: "reverse", 9: "strike"}
_UNSET = {22: {"bold", "dim"}, 23: {"italic"}, 24: {"under"}, 27: {"reverse"}, 29: {"strike"}}


def apply_sgr(style: Style, sequence: bytes) -> Style:
    """Return `style` after the escape sequence `ESC [ … m`; codes that are not known change nothing.

    Of 256 and 24-bit colours (38, 48) only the first 16 are shown; their arguments are skipped.
    """
    codes = [int(code or 0) for code in re.split(rb"[;:]", sequence[2:-1])]
    position = 0
    while position < len(codes):
        code = codes[position]
        if code in {38, 48}:
            style, used = _extended(style, codes[position:])
            position += used
        else:
            style = _apply_code(style, code)
            position += 1
    return style


def _apply_code(style: Style, code: int) -> Style:
    if code == 0:
        return PLAIN
    if code in _SET:
        return replace(style, flags=style.flags | {_SET[code]})
    decade, colour = divmod(code, 10)
    if decade in {3, 9} and colour < 8:
        return replace(style, front=_colour("f", colour, bright=decade == 9))
    if decade in {4, 10} and colour < 8:
        return replace(style, back=_colour("b", colour, bright=decade == 10))
    return replace(
        style,
        flags=style.flags - _UNSET.get(code, set()),
        front="" if code == 39 else style.front,
        back="" if code == 49 else style.back,
    )


def _extended(style: Style, codes: list[int]) -> tuple[Style, int]:
    """Return the style after 38;5;N or 38;2;R;G;B, and how many codes that took."""
    if codes[1:2] == [2]:
        return style, 5
    if codes[1:2] != [5]:
        return style, 1
    if len(codes) > 2 and codes[2] < 16:
        name = _colour("f" if codes[0] == 38 else "b", codes[2] % 8, bright=codes[2] >= 8)
        style = replace(style, front=name) if codes[0] == 38 else replace(style, back=name)
    return style, 3


def _colour(prefix: str, number: int, *, bright: bool) -> str:
    return f"{prefix}-{'bright-' if bright else ''}{_NAMES[number]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the console.

    Attributes:
        start: offset of its first byte.
        end: one past its last, the line end included.
        html: its text, safe to put between tags.
    """

    start: int
    end: int
    html: str


def render_lines(data: bytes, *, start: int = 0) -> Iterator[Line]:
    """Yield `data` line by line; `start` is the offset of its first byte. Colours last over line ends."""
    style = PLAIN
    position = 0
    while position < len(data):
        newline = data.find(b"\n", position)
        end = len(data) if newline < 0 else newline + 1
        html, style = _render_line(data[position:end], style)
        yield Line(start=start + position, end=start + end, html=html)
        position = end


def _render_line(raw: bytes, style: Style) -> tuple[str, Style]:
    text = raw.removesuffix(b"\n").rstrip(b"\r")
    parts: list[str] = []
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "sgr":
            style = apply_sgr(style, match[0])
        elif match.lastgroup == "control":
            parts.append(f'<i class="ctl">{quote(escape(match[0]))}</i>')
        else:
            parts.append(_styled(match[0], style.classes))
    return "".join(parts), style


def _styled(text: bytes, classes: str) -> str:
    safe = "\t".join(quote(escape(part)) for part in text.split(b"\t"))
    return f'<span class="{classes}">{safe}</span>' if classes else safe


def tame(data: bytes) -> str:
    """Return `data` as text with lines and colours, every other control made visible; for attachments."""
    lines = (line.removesuffix(b"\r") for line in data.split(b"\n"))
    return "\n".join("".join(map(_tamed, _TOKEN.finditer(line))) for line in lines)


def _tamed(match: re.Match[bytes]) -> str:
    if match.lastgroup == "sgr":
        return "\x1b" + escape(match[0][1:])
    return "\t".join(escape(part) for part in match[0].split(b"\t"))


def plain(data: bytes) -> str:
    """Return `data` as text with lines and without any control character; for JUnit and terminals."""
    return "\n".join(escape(line.removesuffix(b"\r")) for line in data.split(b"\n"))
