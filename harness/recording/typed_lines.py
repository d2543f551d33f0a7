"""What somebody typed, line by line as it was meant, and which question each line answers; pure."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.recording.secrets import SecretKind
from harness.recording.text_view import Sight, width

_ASKS = re.compile(
    r"(?P<label>username|user name|login|domain|password|passphrase)[^:]*:[^:]*$", re.IGNORECASE
)
_ANSWERS = {"domain": SecretKind.DOMAIN, "password": SecretKind.PASSWORD, "passphrase": SecretKind.PASSWORD}
_NEXT = {
    "windows": {SecretKind.USER: SecretKind.DOMAIN, SecretKind.DOMAIN: SecretKind.PASSWORD},
    "other": {SecretKind.USER: SecretKind.PASSWORD},
}
_ERASES = "\b\x7f"
_RECENT = 3
"""Lines before a password's stars among which the password is."""


@dataclass(slots=True, kw_only=True)
class TypedLine:
    """One line that was typed.

    Attributes:
        sight: its characters as they stood at Enter; offsets are those in all that was typed.
        erased: offsets of the characters that were taken back.
        at: how many bytes the guest had written when the line was begun.
        end_at: the same when it was ended.
        kind: what it is, if it answers a question of a login.
    """

    sight: Sight
    erased: Sequence[int]
    at: int
    end_at: int
    kind: SecretKind | None = None


@dataclass(slots=True)
class _Line:
    at: int
    characters: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    erased: list[int] = field(default_factory=list)

    def take(self, character: str, start: int) -> None:
        if character in _ERASES:
            if self.characters:
                self.characters.pop()
                self.erased.append(self.starts.pop())
        elif character.isprintable() or not character.isascii():
            self.characters.append(character)
            self.starts.append(start)

    def close(self, end_at: int) -> TypedLine:
        sight = Sight(text="".join(self.characters), starts=array("q", self.starts))
        return TypedLine(sight=sight, erased=tuple(self.erased), at=self.at, end_at=end_at)


def split_typed(pieces: Sequence[tuple[int, bytes]]) -> list[TypedLine]:
    """Return the lines of what was typed, edited by backspaces; the last one may be without Enter.

    Args:
        pieces: each what was typed, and how many bytes the guest had written by then.
    """
    lines: list[TypedLine] = []
    current: _Line | None = None
    position, at = 0, 0
    bounds = _bounds(pieces)
    for character in b"".join(data for _, data in pieces).decode("utf-8", "surrogateescape"):
        at = bounds[position]
        position += width(character)
        if character in "\r\n":
            lines.append((current or _Line(at)).close(at))
            current = None
            continue
        current = current or _Line(at)
        current.take(character, position - width(character))
    return [*lines, current.close(at)] if current is not None else lines


def _bounds(pieces: Sequence[tuple[int, bytes]]) -> array[int]:
    bounds = array("q")
    for at, data in pieces:
        bounds.extend([at] * len(data))
    return bounds


def name_answers(lines: Sequence[TypedLine], questions: Sequence[str]) -> None:
    """Set the kind of each line that answers a login's question.

    A line that is typed ahead answers the question after the one before it.

    Args:
        lines: as typed.
        questions: what stood before the cursor as each line was begun.
    """
    label, last, manner = "", None, "windows"
    for line, question in zip(lines, questions, strict=True):
        found = _ASKS.search(question)
        asked = found["label"].lower() if found is not None else ""
        is_ahead = last is not None and (not asked or asked == label) and last in _NEXT[manner]
        if is_ahead and last is not None:
            line.kind = _NEXT[manner][last]
        elif asked:
            line.kind = _ANSWERS.get(asked, SecretKind.USER)
            label, manner = asked, manner if line.kind is not SecretKind.USER else _manner(asked)
        last = line.kind


def _manner(label: str) -> str:
    return "other" if label == "login" else "windows"


def find_starred(lines: Sequence[TypedLine], stars: Sequence[tuple[int, int]]) -> None:
    """Set the kind of lines that were shown as stars, where no question told it.

    Args:
        lines: as typed.
        stars: for each password's echo the offset of its first star, and how many there are.
    """
    for offset, count in stars:
        recent = [line for line in lines if line.at <= offset][-_RECENT:]
        if any(line.kind is SecretKind.PASSWORD for line in recent):
            continue
        for line in recent:
            if line.kind is None and len(line.sight.text) == count:
                line.kind = SecretKind.PASSWORD
