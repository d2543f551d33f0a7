"""Make a copy of a recording without what is somebody's: same length, same times, same marks; pure.

Every replacement has as many bytes as what it replaces, so offsets, stamps and screens stay what they are.
First all secrets are found, in every sight of the bytes; then each is replaced wherever it can be seen, in
what the guest wrote, what was typed, and the details of marks; then the copy is searched for each again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from emulator.console.marks import Chunk, Mark, Typed
from emulator.errors import LabError
from harness.recording.secrets import Placeholders, SecretKind, find_secrets, fit, is_common_name, is_kept
from harness.recording.text_view import (
    NOWHERE,
    CellScreen,
    Sight,
    align_cuts,
    line_sight,
    raw_sight,
    tight_sight,
    width,
)
from harness.recording.typed_lines import TypedLine, find_starred, name_answers, split_typed

SHORTEST = 3
"""Characters of a name that is looked for everywhere; a shorter one is hidden where it stands as a name."""
_STARS = re.compile(r"Password: ?(\*+)")
_ADDRESSES = frozenset({SecretKind.GUID, SecretKind.IPV4, SecretKind.IPV6, SecretKind.MAC})
_DISTINCT = 6
"""Letters from which on a name is looked for inside of words too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What came of a console.

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

    Args:
        recording: what was recorded.
        words: more that is to be hidden, in any case of letters.
        ordinary: words, in lower case, that are Windows' own; a name that is one of them is hidden only
            where it stands as a name.

    Raises:
        LabError: a secret can still be seen in the copy; which kind it is stands in the text.
    """
    looked = _Looked(recording)
    found = _find(looked, words=words, ordinary=ordinary)
    names = Placeholders(found.everywhere)
    output, typed = _Patches(recording.output), _Patches(looked.all_typed)
    for kind, value, sight, start, is_typed in found.places:
        (typed if is_typed else output).write(sight, start, names.of(kind, value))
    pattern = found.pattern()
    for sights, patches in ((looked.sights, output), (looked.typed_sights, typed)):
        for sight in sights:
            for hit in pattern.finditer(sight.text) if pattern else ():
                kind = found.everywhere[hit[0].casefold()]
                patches.write(sight, hit.start(), names.of(kind, hit[0]))
    for line in looked.lines:
        if _answer(line) is not None:
            typed.blank(line.erased)
    copy = Recording(
        output=bytes(output.data),
        chunks=recording.chunks,
        typed=_cut_typed(recording.typed, bytes(typed.data)),
        marks=tuple(
            replace(mark, detail=_clean(mark.detail, pattern, found, names)) for mark in recording.marks
        ),
    )
    _require_clean(copy, pattern, found)
    return Sanitised(recording=copy, counts=found.counts(), in_place=len(found.in_place))


# -- finding ---------------------------------------------------------------------------------------


class _Looked:
    """A recording, looked at in every way."""

    def __init__(self, recording: Recording) -> None:
        self.output = recording.output
        self.all_typed = b"".join(typed.data for typed in recording.typed)
        self.lines = split_typed([(typed.offset, typed.data) for typed in recording.typed])
        self._cell_sights, questions = _look_at_cells(self.output, [line.at for line in self.lines])
        name_answers(self.lines, questions)
        find_starred(self.lines, list(_find_stars([line_sight(self.output), *self._cell_sights])))

    @cached_property
    def telling(self) -> list[Sight]:
        """What tells of secrets by what stands before them."""
        return [line_sight(self.output), *self._cell_sights]

    @cached_property
    def sights(self) -> list[Sight]:
        """Everything in which a secret of the guest's bytes can be seen."""
        return [*self.telling, raw_sight(self.output), tight_sight(self.output)]

    @cached_property
    def typed_sights(self) -> list[Sight]:
        """Everything in which a secret of the typed bytes can be seen."""
        whole = [raw_sight(self.all_typed), tight_sight(self.all_typed)] if self.all_typed else []
        return [*(line.sight for line in self.lines), *whole]


def _look_at_cells(data: bytes, offsets: Sequence[int]) -> tuple[list[Sight], list[str]]:
    """Return what a terminal shows over time, and what stood before its cursor at each of `offsets`."""
    screen, sights, questions, shown = CellScreen(), list[Sight](), list[str](), 0
    for cut in align_cuts(data, offsets):
        sights += screen.show(data[shown:cut], shown)
        shown = cut
        questions.append(screen.line_before_cursor())
    sights += screen.show(data[shown:], shown)
    return [*sights, *screen.look()], questions


def _find_stars(sights: Iterable[Sight]) -> Iterable[tuple[int, int]]:
    for sight in sights:
        for found in _STARS.finditer(sight.text):
            yield sight.starts[found.start(1)], len(found[1])


@dataclass(slots=True)
class _Found:
    """The secrets of a recording.

    Attributes:
        ordinary: words that are hidden only where they stand as names, in lower case.
        everywhere: kinds by value in lower case.
        in_place: kinds by value, of those that are hidden only where they stand as such.
        places: where those stand: kind, value, sight, index, whether in what was typed.
    """

    ordinary: frozenset[str]
    everywhere: dict[str, SecretKind] = field(default_factory=dict)
    in_place: dict[str, SecretKind] = field(default_factory=dict)
    places: list[tuple[SecretKind, str, Sight, int, bool]] = field(default_factory=list)

    def add(self, kind: SecretKind, value: str, sight: Sight, start: int, *, is_typed: bool) -> None:
        folded = value.casefold()
        is_word = (
            len(value) < SHORTEST or folded in self.ordinary or is_common_name(value) or set(value) == {"*"}
        )
        if kind not in _ADDRESSES and is_word:
            self.in_place.setdefault(folded, kind)
            self.places.append((kind, value, sight, start, is_typed))
        else:
            self.everywhere.setdefault(folded, kind)

    def pattern(self) -> re.Pattern[str] | None:
        """Return what finds every value that is hidden everywhere, the longest first."""
        longest = sorted(self.everywhere, key=lambda value: (-len(value), value))
        each = (_bounded(value, self.everywhere[value]) for value in longest)
        return re.compile("|".join(each), re.IGNORECASE) if longest else None

    def counts(self) -> dict[SecretKind, int]:
        """Return how many values there are of each kind."""
        counted = Counter((*self.everywhere.values(), *self.in_place.values()))
        return {kind: counted[kind] for kind in SecretKind if counted[kind]}


def _bounded(value: str, kind: SecretKind) -> str:
    text = re.escape(value)
    if kind is SecretKind.IPV4:
        return rf"(?<!\d)(?<!\d\.){text}(?!\d|\.\d)"
    if kind not in _ADDRESSES and value.isalpha() and len(value) < _DISTINCT:
        return rf"(?<![^\W\d_]){text}(?![^\W\d_])"
    return text


def _find(looked: _Looked, *, words: Iterable[str], ordinary: frozenset[str]) -> _Found:
    found = _Found(ordinary=ordinary)
    for word in words:
        found.everywhere[word.casefold()] = SecretKind.WORD
    for line in looked.lines:
        kind, text = _answer(line), line.sight.text.strip()
        if kind is not None and text:
            start = len(line.sight.text) - len(line.sight.text.lstrip())
            found.add(kind, text, line.sight, start, is_typed=True)
    for sights, is_typed in ((looked.telling, False), (looked.typed_sights, True)):
        for sight in sights:
            for secret in find_secrets(sight.text):
                found.add(secret.kind, secret.value, sight, secret.start, is_typed=is_typed)
    return found


def _answer(line: TypedLine) -> SecretKind | None:
    """Return what a typed line is, if it is somebody's; a password always is, whatever it looks like."""
    if line.kind is None or line.kind is SecretKind.PASSWORD:
        return line.kind
    return None if is_kept(line.kind, line.sight.text.strip()) else line.kind


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

    def write(self, sight: Sight, start: int, made: str) -> None:
        """Replace the characters of `sight` from `start` on by those of `made`."""
        for index, character in enumerate(made, start=start):
            offset = sight.starts[index]
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
    pieces: list[Typed] = []
    start = 0
    for one in typed:
        pieces.append(replace(one, data=data[start : start + len(one.data)]))
        start += len(one.data)
    return tuple(pieces)


def _clean(
    value: Mapping[str, object], pattern: re.Pattern[str] | None, found: _Found, names: Placeholders
) -> dict[str, object]:
    """Return a mark's details without the values."""

    def clean(one: object) -> object:
        if isinstance(one, str):
            return _clean_text(one, pattern, found, names)
        if isinstance(one, Mapping):
            return {key: clean(inner) for key, inner in one.items()}
        return [clean(inner) for inner in one] if isinstance(one, list | tuple) else one

    return {key: clean(inner) for key, inner in value.items()}


def _clean_text(text: str, pattern: re.Pattern[str] | None, found: _Found, names: Placeholders) -> str:
    if pattern is not None:
        text = pattern.sub(lambda hit: names.of(found.everywhere[hit[0].casefold()], hit[0]), text)
    for secret in sorted(find_secrets(text), key=lambda one: -one.start):
        if secret.value not in names.given:
            made = names.of(secret.kind, secret.value)
            text = text[: secret.start] + made + text[secret.start + len(secret.value) :]
    return text


def _require_clean(copy: Recording, pattern: re.Pattern[str] | None, found: _Found) -> None:
    """Search the copy for every value.

    Raises:
        LabError: one is there.
    """
    if pattern is None:
        return
    looked = _Looked(copy)
    for sight in (*looked.sights, *looked.typed_sights):
        hit = pattern.search(sight.text)
        if hit is not None:
            kind = found.everywhere[hit[0].casefold()].value
            raise LabError(f"a {kind} can still be seen in the sanitised copy, which was not written")
