"""Make a copy of a recording without what is private: same length, same times, same marks; pure.

Every replacement has as many bytes as what it replaces, so offsets, stamps and screens stay what they are.
First all secrets are found, in every view of the bytes; then each is replaced wherever it can be seen: in
what the guest wrote, in what was typed, in the details of marks. Then the copy is searched for each of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, pairwise

from emulator.console.marks import Chunk, Mark, Typed
from emulator.errors import LabError
from harness.recording.secrets import Placeholders, SecretKind, find_secrets, fit, is_common_name, is_kept
from harness.recording.text_view import (
    NOWHERE,
    CellScreen,
    TextView,
    align_cuts,
    line_view,
    raw_view,
    tight_view,
    width,
)

SHORTEST = 3
"""Characters of a name that is looked for everywhere; a shorter one is hidden where it stands as a name."""
_STARS = re.compile(r"Password: ?(\*+)")
_ADDRESSES = frozenset({SecretKind.GUID, SecretKind.IPV4, SecretKind.IPV6, SecretKind.MAC})
_DISTINCT = 6
"""Letters that a name must have to be looked for inside words too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What was recorded of a console.

    Attributes:
        output: the guest's bytes.
        chunks: their stamps; they tile the output.
        typed: what was sent.
        marks: points on the timeline.
    """

    output: bytes
    chunks: tuple[Chunk, ...] = ()
    typed: tuple[Typed, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanitised:
    """A copy that may be sent to others.

    Attributes:
        recording: the copy.
        counts: how many different values of each kind were replaced.
        in_place: how many of them are ordinary words of Windows, or very short: they were replaced where
            they stand as names, and stay where they are words.
    """

    recording: Recording
    counts: Mapping[SecretKind, int]
    in_place: int


def sanitise(
    recording: Recording, *, words: Iterable[str] = (), ordinary: frozenset[str] = frozenset()
) -> Sanitised:
    """Return a copy of `recording` without secrets.

    The `words` are hidden too, in upper and lower case. A name that is one of the `ordinary` words, which are
    Windows' own in lower case, is hidden only where it stands as a name.

    Raises:
        LabError: a secret can still be seen in the copy; the text says of which kind it is.
    """
    views = _Views(recording)
    found = _find(views, words=words, ordinary=ordinary)
    output, typed = _Patches(recording.output), _Patches(views.all_typed)
    for kind, value, view, start, is_typed in found.places:
        (typed if is_typed else output).write(view, start, found.names.of(kind, value))
    for several, patches in ((views.output, output), (views.typed, typed)):
        for view in several:
            for hit in found.pattern.finditer(view.text):
                patches.write(view, hit.start(), found.placeholder(hit))
    for line in views.lines:
        if _answer(line) is not None:
            typed.blank(line.erased)
    copy = Recording(
        output=bytes(output.data),
        chunks=recording.chunks,
        typed=_cut_typed(recording.typed, bytes(typed.data)),
        marks=tuple(
            replace(mark, detail={key: _clean(value, found) for key, value in mark.detail.items()})
            for mark in recording.marks
        ),
    )
    _require_clean(copy, found)
    return Sanitised(recording=copy, counts=found.counts(), in_place=len(found.in_place))


# -- finding ---------------------------------------------------------------------------------------


class _Views:
    """All views of a recording."""

    def __init__(self, recording: Recording) -> None:
        self._bytes = recording.output
        self.all_typed = b"".join(typed.data for typed in recording.typed)
        self.lines = split_typed([(typed.offset, typed.data) for typed in recording.typed])
        cells, questions = _look_at_cells(self._bytes, [line.at for line in self.lines])
        self.telling = [line_view(self._bytes), *cells]  # where what stands before a secret gives it away
        name_answers(self.lines, questions)
        find_starred(self.lines, list(_find_stars(self.telling)))

    @cached_property
    def output(self) -> list[TextView]:
        """Those in which a secret of the guest's bytes can be seen."""
        return [*self.telling, raw_view(self._bytes), tight_view(self._bytes)]

    @cached_property
    def typed(self) -> list[TextView]:
        """Those in which a secret of the typed bytes can be seen."""
        whole = [raw_view(self.all_typed), tight_view(self.all_typed)] if self.all_typed else []
        return [*(line.view for line in self.lines), *whole]


def _look_at_cells(data: bytes, offsets: Sequence[int]) -> tuple[list[TextView], list[str]]:
    """Return what a terminal shows over time, and what stood before its cursor at each of `offsets`."""
    screen, views, questions, shown = CellScreen(), list[TextView](), list[str](), 0
    for cut in align_cuts(data, offsets):
        views += screen.show(data[shown:cut], shown)
        shown = cut
        questions.append(screen.line_before_cursor())
    views += screen.show(data[shown:], shown)
    return [*views, *screen.look()], questions


def _find_stars(views: Iterable[TextView]) -> Iterator[tuple[int, int]]:
    for view in views:
        for found in _STARS.finditer(view.text):
            yield view.starts[found.start(1)], len(found[1])


@dataclass
class _Found:
    """The secrets of a recording.

    Attributes:
        ordinary: words that are hidden only where they stand as names, in lower case.
        everywhere: kinds by value in lower case.
        in_place: kinds by value, of those that are hidden only where they stand as such.
        places: where those stand: kind, value, view, index, whether in what was typed.
    """

    ordinary: frozenset[str]
    everywhere: dict[str, SecretKind] = field(default_factory=dict)
    in_place: dict[str, SecretKind] = field(default_factory=dict)
    places: list[tuple[SecretKind, str, TextView, int, bool]] = field(default_factory=list)

    def add(self, kind: SecretKind, value: str, view: TextView, start: int, *, is_typed: bool) -> None:
        folded = value.casefold()
        is_word = (
            len(value) < SHORTEST or folded in self.ordinary or is_common_name(value) or set(value) == {"*"}
        )
        if kind not in _ADDRESSES and is_word:
            self.in_place.setdefault(folded, kind)
            self.places.append((kind, value, view, start, is_typed))
        else:
            self.everywhere.setdefault(folded, kind)

    @cached_property
    def names(self) -> Placeholders:
        """The placeholders; all secrets must have been added."""
        return Placeholders(self.everywhere)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What finds every value that is hidden everywhere, the longest first; all must have been added."""
        longest = sorted(self.everywhere, key=lambda value: (-len(value), value))
        each = (_bounded(value, self.everywhere[value]) for value in longest)
        return re.compile("|".join(each) or "(?!)", re.IGNORECASE)

    def kind_of(self, hit: re.Match[str]) -> SecretKind:
        return self.everywhere[hit[0].casefold()]

    def placeholder(self, hit: re.Match[str]) -> str:
        return self.names.of(self.kind_of(hit), hit[0])

    def counts(self) -> dict[SecretKind, int]:
        counted = Counter((*self.everywhere.values(), *self.in_place.values()))
        return {kind: counted[kind] for kind in SecretKind if counted[kind]}


def _bounded(value: str, kind: SecretKind) -> str:
    text = re.escape(value)
    if kind is SecretKind.IPV4:
        return rf"(?<!\d)(?<!\d\.){text}(?!\d|\.\d)"
    if kind not in _ADDRESSES and value.isalpha() and len(value) < _DISTINCT:
        return rf"(?<![^\W\d_]){text}(?![^\W\d_])"
    return text


def _find(views: _Views, *, words: Iterable[str], ordinary: frozenset[str]) -> _Found:
    found = _Found(ordinary, everywhere={word.casefold(): SecretKind.WORD for word in words})
    for line in views.lines:
        kind, text = _answer(line), line.text.strip()
        if kind is not None and text:
            found.add(kind, text, line.view, line.text.index(text), is_typed=True)
    for several, is_typed in ((views.telling, False), (views.typed, True)):
        for view in several:
            for secret in find_secrets(view.text):
                found.add(secret.kind, secret.value, view, secret.start, is_typed=is_typed)
    return found


# -- what was typed --------------------------------------------------------------------------------

_ASKS = re.compile(
    r"(?P<label>username|user name|login|domain|password|passphrase)[^:]*:[^:]*$", re.IGNORECASE
)
_ANSWERS = {"domain": SecretKind.DOMAIN, "password": SecretKind.PASSWORD, "passphrase": SecretKind.PASSWORD}
_WINDOWS = {SecretKind.USER: SecretKind.DOMAIN, SecretKind.DOMAIN: SecretKind.PASSWORD}
_OTHER = {SecretKind.USER: SecretKind.PASSWORD}
_ERASES = "\b\x7f"
_RECENT = 3
"""How many lines before a password's stars may be the password."""


@dataclass(slots=True)
class TypedLine:
    """One line that was typed.

    Attributes:
        at: how many bytes the guest had written when the line was begun.
        characters: as they stood at Enter.
        starts: for each character its offset in all that was typed.
        erased: offsets of the characters that were erased.
        kind: what it is, if it answers a question of a login.
    """

    at: int
    characters: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    erased: list[int] = field(default_factory=list)
    kind: SecretKind | None = None

    @property
    def text(self) -> str:
        """The characters as one text."""
        return "".join(self.characters)

    @property
    def view(self) -> TextView:
        """The line as a view of the typed bytes."""
        return TextView(text=self.text, starts=self.starts)

    def take(self, character: str, start: int) -> None:
        """Add a character, or erase the last one."""
        if character in _ERASES:
            if self.characters:
                self.characters.pop()
                self.erased.append(self.starts.pop())
        elif character.isprintable() or not character.isascii():
            self.characters.append(character)
            self.starts.append(start)


def split_typed(typed: Sequence[tuple[int, bytes]]) -> list[TypedLine]:
    """Return the lines of what was typed, edited by backspaces; the last one may lack its Enter.

    Each part comes with how many bytes the guest had written by then.
    """
    lines: list[TypedLine] = []
    current: TypedLine | None = None
    written = [at for at, data in typed for _ in data]
    position = 0
    for character in b"".join(data for _, data in typed).decode("utf-8", "surrogateescape"):
        current = current or TypedLine(written[position])
        if character in "\r\n":
            lines.append(current)
            current = None
        else:
            current.take(character, position)
        position += width(character)
    return lines if current is None else [*lines, current]


def name_answers(lines: Sequence[TypedLine], questions: Sequence[str]) -> None:
    """Set the kind of each line that answers a login's question.

    A line that is typed ahead answers the question after the one before it. The `questions` are what stood
    before the cursor as each line was begun.
    """
    label, order = "", _WINDOWS
    last: SecretKind | None = None
    for line, question in zip(lines, questions, strict=True):
        found = _ASKS.search(question)
        asked = found["label"].lower() if found is not None else ""
        ahead = order.get(last) if last is not None and (not asked or asked == label) else None
        if ahead is not None:
            line.kind = ahead
        elif asked:
            label, line.kind = asked, _ANSWERS.get(asked, SecretKind.USER)
            if line.kind is SecretKind.USER:
                order = _OTHER if asked == "login" else _WINDOWS
        last = line.kind


def find_starred(lines: Sequence[TypedLine], stars: Sequence[tuple[int, int]]) -> None:
    """Set the kind of lines that were echoed as stars, where no question gave it.

    The `stars` are for each password's echo the offset of its first star, and how many there are.
    """
    for offset, count in stars:
        recent = [line for line in lines if line.at <= offset][-_RECENT:]
        if any(line.kind is SecretKind.PASSWORD for line in recent):
            continue
        for line in recent:
            if line.kind is None and len(line.characters) == count:
                line.kind = SecretKind.PASSWORD


def _answer(line: TypedLine) -> SecretKind | None:
    """Return what a typed line is, if it is private; a password always is, whatever it looks like."""
    if line.kind is None or line.kind is SecretKind.PASSWORD:
        return line.kind
    return None if is_kept(line.kind, line.text.strip()) else line.kind


# -- replacing -------------------------------------------------------------------------------------


class _Patches:
    """Bytes in which each is replaced at most once.

    Attributes:
        data: the bytes, replaced so far.
    """

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self._original = data
        self._done = bytearray(len(data))

    def write(self, view: TextView, start: int, made: str) -> None:
        """Replace the characters of `view` from `start` on by those of `made`."""
        for index, character in enumerate(made, start=start):
            offset = view.starts[index]
            if offset != NOWHERE:
                self._put(offset, character)

    def blank(self, offsets: Iterable[int]) -> None:
        """Replace the characters at `offsets`."""
        for offset in offsets:
            self._put(offset, "x")

    def _put(self, offset: int, character: str) -> None:
        if self._done[offset]:
            return
        size = _size(self._original, offset)
        self.data[offset : offset + size] = fit(character, size).encode()[:size].ljust(size, b"x")
        self._done[offset : offset + size] = b"\x01" * size


def _size(data: bytes, offset: int) -> int:
    """Return how many bytes the character at `offset` has; a byte that is not UTF-8 stands alone."""
    for size in (1, 2, 3, 4):
        text = data[offset : offset + size].decode("utf-8", "surrogateescape")
        if len(text) == 1 and width(text) == size and not "\ud800" <= text <= "\udfff":
            return size
    return 1


def _cut_typed(typed: Sequence[Typed], data: bytes) -> tuple[Typed, ...]:
    """Return `typed` with `data`, which is as long in all, in place of what was typed."""
    ends = list(accumulate((len(one.data) for one in typed), initial=0))
    return tuple(
        replace(one, data=data[start:end]) for one, (start, end) in zip(typed, pairwise(ends), strict=True)
    )


def _clean(value: object, found: _Found) -> object:
    """Return a detail of a mark without secrets."""
    if isinstance(value, str):
        return _clean_text(value, found)
    if isinstance(value, Mapping):
        return {key: _clean(inner, found) for key, inner in value.items()}
    return [_clean(inner, found) for inner in value] if isinstance(value, list | tuple) else value


def _clean_text(text: str, found: _Found) -> str:
    text = found.pattern.sub(found.placeholder, text)
    for secret in sorted(find_secrets(text), key=lambda one: -one.start):
        if secret.value not in found.names.given:
            made = found.names.of(secret.kind, secret.value)
            text = text[: secret.start] + made + text[secret.start + len(secret.value) :]
    return text


def _require_clean(copy: Recording, found: _Found) -> None:
    """Search the copy for every value; raises LabError if one is there."""
    if not found.everywhere:
        return
    views = _Views(copy)
    for view in (*views.output, *views.typed):
        hit = found.pattern.search(view.text)
        if hit is not None:
            kind = found.kind_of(hit).value
            raise LabError(f"a {kind} can still be seen in the sanitised copy, which was not written")
