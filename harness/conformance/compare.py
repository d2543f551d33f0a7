"""Differences between what a SAC says and what a profile says of it; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from emulator.guest_text.printable import escape
from emulator.sac.profile import SacProfile
from harness.conformance.blocks import Block, Part, SacLine, read_blocks
from harness.conformance.expected import ExpectedLine, wanted_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as the profile has it.

    Attributes:
        section: of docs/facts/sac.md.
        key: which text or rule.
        source: class of its source.
        where: in which part of the session, for people.
        expected: the text, with its fields; "" if nothing was expected.
        seen: what stood there; b"" if nothing did.
        start, end: raw span in the transcript.
        times: how often it was seen.
    """

    section: str
    key: str
    source: str
    where: str
    expected: str
    seen: bytes
    start: int
    end: int
    times: int = 1


def compare(output: bytes, profile: SacProfile) -> list[Difference]:
    """Return how a session's raw output differs from `profile`; what does not come up is no difference."""
    blocks = read_blocks(output)
    found = [one for block in blocks for one in compare_block(block, profile)]
    wire = (*_compare_clearing(output, blocks, profile), *_compare_drawing(output, blocks, profile))
    return merge([*found, *compare_order(blocks), *wire])


def compare_order(blocks: Sequence[Block]) -> list[Difference]:
    """Return the boots in which SAC's banner does not follow on machine-info (docs/facts/sac.md 1.2)."""
    told = [block for block in blocks if block.part is not Part.MENU]
    return [
        Difference(
            section="1.2",
            key="boot.order",
            source="T",
            where=block.where,
            expected="the banner behind machine-info",
            seen=following.lines[0].text if following is not None else b"",
            start=block.lines[0].start,
            end=block.lines[-1].end,
        )
        for block, following in zip(told, [*told[1:], None], strict=True)
        if block.part is Part.MACHINE_INFO and (following is None or following.part is not Part.BANNER)
    ]


def _compare_clearing(output: bytes, blocks: Sequence[Block], profile: SacProfile) -> Iterator[Difference]:
    """Give the boots in which the terminal is not cleared before machine-info."""
    text = profile.texts["boot.terminal_on"]
    for block in blocks:
        start = block.lines[0].start
        before = output[max(0, start - len(text.wire)) : start]
        if block.part is Part.MACHINE_INFO and before != text.wire:
            yield Difference(
                section=text.section,
                key="boot.terminal_on",
                source=text.source,
                where="before machine-info",
                expected=repr(text.text)[1:-1],
                seen=before,
                start=start - len(before),
                end=start,
            )


def _compare_drawing(output: bytes, blocks: Sequence[Block], profile: SacProfile) -> Iterator[Difference]:
    """Give the CMD channels that move the cursor where the release writes lines, or the other way round."""
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        start = block.lines[-1].end
        end = len(output) if following is None else following.lines[0].start
        said = re.split(_OTHER_SCREEN, output[start:end], maxsplit=1)[0]
        if block.part is not Part.LOGIN or len(said) < _ENOUGH:
            continue
        mode = "screen" if _PLACES.search(said) else "plain"
        if mode != profile.vt_mode:
            yield Difference(
                section="1.8",
                key="cmd.vt_mode",
                source="P",
                where="a CMD channel",
                expected=_MANNERS[profile.vt_mode],
                seen=_MANNERS[mode].encode(),
                start=start,
                end=end,
            )


_PLACES = re.compile(rb"\x1b\[\d+;\d+H")
_OTHER_SCREEN = re.compile(rb"\x1b\[2J|<channel-switch>")
_ENOUGH = 40
"""Bytes behind a login that tell the manner of its channel."""
_MANNERS = {"screen": "the cursor is moved to each place", "plain": "lines are written"}


def merge(differences: Iterable[Difference]) -> list[Difference]:
    """Return each difference once, by section and place; other numbers in a field make no other one."""
    merged: dict[tuple[str, str, str, bytes], Difference] = {}
    for one in differences:
        seen = re.sub(rb"\d+", b"0", one.seen) if "%" in one.expected else one.seen
        key = (one.section, one.key, one.expected, seen)
        known = merged.get(key)
        merged[key] = one if known is None else replace(known, times=known.times + one.times)
    return sorted(merged.values(), key=lambda one: (_number(one.section), one.start))


def compare_block(block: Block, profile: SacProfile) -> list[Difference]:
    """Return the differences of one block: those of the way that fits best."""
    ways = wanted_of(block, profile)
    if not ways:
        return []
    lines = _without_repeats(block.lines) if block.part is Part.BUGCHECK else block.lines
    rows = [_paired(align(wanted, lines)) for wanted in ways]
    return [_difference(wanted, line, block) for wanted, line in min(rows, key=len)]


def _without_repeats(lines: Sequence[SacLine]) -> list[SacLine]:
    """Return lines of which those that count up stand there once: a dump's progress."""
    kept: list[SacLine] = []
    for line in lines:
        is_more = kept and _COUNTS.search(line.text) and _same_words(line.text, kept[-1].text)
        if not is_more:
            kept.append(line)
    return kept


def _same_words(one: bytes, other: bytes) -> bool:
    return re.sub(rb"\d+", b"0", one) == re.sub(rb"\d+", b"0", other)


_COUNTS = re.compile(rb"\d+% complete\Z|: +\d+\Z")
MATCH = 100.0
_ALIKE = 0.2
_Row = tuple[ExpectedLine | None, SacLine | None]
"""A wanted line and the line that stands for it; one of them may be missing."""


def align(wanted: Sequence[ExpectedLine], lines: Sequence[SacLine]) -> list[_Row]:
    """Return the rows of the best alignment: most matches, then lines that are alike; order is kept."""
    alike = [[_likeness(one, line) for line in lines] for one in wanted]
    scores = [[0.0] * (len(lines) + 1) for _ in range(len(wanted) + 1)]
    for i in range(len(wanted) - 1, -1, -1):
        for j in range(len(lines) - 1, -1, -1):
            after = i if wanted[i].repeats else i + 1
            pair = alike[i][j] + scores[after][j + 1] if alike[i][j] else 0.0
            scores[i][j] = max(scores[i + 1][j], scores[i][j + 1], pair)
    return list(_trace(wanted, lines, scores, alike))


def _trace(
    wanted: Sequence[ExpectedLine],
    lines: Sequence[SacLine],
    scores: list[list[float]],
    alike: list[list[float]],
) -> Iterator[_Row]:
    i = j = 0
    was_seen = False  # whether wanted[i], which repeats, has stood there already
    while i < len(wanted) or j < len(lines):
        if i < len(wanted) and j < len(lines) and alike[i][j]:
            after = i if wanted[i].repeats else i + 1
            if scores[i][j] == alike[i][j] + scores[after][j + 1]:
                yield wanted[i], lines[j]
                was_seen = wanted[i].repeats
                i, j = after, j + 1
                continue
        if j == len(lines) or (i < len(wanted) and scores[i][j] == scores[i + 1][j]):
            if not was_seen:
                yield wanted[i], None
            was_seen = False
            i += 1
        else:
            yield None, lines[j]
            j += 1


def _likeness(wanted: ExpectedLine, line: SacLine) -> float:
    """Return MATCH for a line that is what is wanted, less for one that has some words of it, else 0."""
    if matches(wanted, line):
        return MATCH
    ours, theirs = _words(wanted.text.encode()), _words(line.text)
    shared = len(ours & theirs) / max(1, len(ours | theirs))
    return shared if shared >= _ALIKE else 0.0


def _words(text: bytes) -> set[bytes]:
    return set(re.findall(rb"[a-z]{2,}", text.lower()))


def matches(wanted: ExpectedLine, line: SacLine) -> bool:
    """Tell whether `line` is what is wanted, whole."""
    return any(re.fullmatch(pattern, line.text, re.DOTALL) for pattern in wanted.patterns)


def _paired(rows: Sequence[_Row]) -> list[_Row]:
    """Return what does not match; what is missing and what is surplus in one gap are paired in order."""
    paired: list[_Row] = []
    missing: list[ExpectedLine] = []
    surplus: list[SacLine] = []

    def close() -> None:
        for index in range(max(len(missing), len(surplus))):
            one = missing[index] if index < len(missing) else None
            other = surplus[index] if index < len(surplus) else None
            paired.append((one, other))
        missing.clear()
        surplus.clear()

    for wanted, line in rows:
        if wanted is not None and line is not None:
            close()
            if not matches(wanted, line):
                paired.append((wanted, line))
        elif wanted is not None:
            missing.append(wanted)
        elif line is not None:
            surplus.append(line)
    close()
    return paired


def _difference(wanted: ExpectedLine | None, line: SacLine | None, block: Block) -> Difference:
    last = block.lines[-1] if block.lines else None
    place = line or last
    known = wanted
    return Difference(
        section=known.section if known else _SECTIONS[block.part],
        key=known.key if known else "",
        source=known.source if known else "",
        where=block.where,
        expected=known.text if known else "",
        seen=line.text if line else b"",
        start=place.start if place else 0,
        end=place.end if place else 0,
    )


_SECTIONS = {
    Part.MENU: "1.3",
    Part.MACHINE_INFO: "1.4",
    Part.BANNER: "1.2",
    Part.EVENT: "1.6",
    Part.ANSWER: "1.6",
    Part.SWITCH: "1.4",
    Part.HEADER: "1.7",
    Part.LOGIN: "1.8",
    Part.UNKNOWN: "1.8",
    Part.BUGCHECK: "1.9",
}
"""Sections of lines that nobody expected, by part."""


def _number(section: str) -> tuple[int, ...]:
    return tuple(int(part) for part in section.split("."))


VERSION = 1
SECTIONS: Mapping[str, str] = {
    "1.2": "order of a boot",
    "1.3": "boot manager",
    "1.4": "XML",
    "1.5": "input rules",
    "1.6": "commands",
    "1.7": "channels",
    "1.8": "the CMD channel",
    "1.9": "bugcheck",
    "1.10": "power",
}


def render_text(differences: Sequence[Difference], *, profile: str, kept: str) -> str:
    """Return the differences by section of the specification, and where the console is kept."""
    lines: list[str] = []
    for section, group in groupby(differences, key=lambda one: one.section):
        several = list(group)
        title = SECTIONS.get(section, "what is not verified yet")
        lines.append(f"{section} {title}: {_counted(len(several))}")
        for one in several:
            lines += _entry(one)
        lines.append("")
    lines.append(f"{_counted(len(differences))} from profile {profile}; the console is kept in {kept}")
    return "\n".join(lines)


def render_json(differences: Sequence[Difference], *, profile: str, kept: str) -> str:
    """Return the same as one JSON object; guest bytes are escaped, spans are of the kept console.bin."""
    rows = [
        {
            "section": one.section,
            "key": one.key,
            "source": one.source,
            "where": one.where,
            "expected": one.expected,
            "seen": escape(one.seen),
            "span": [one.start, one.end],
            "times": one.times,
        }
        for one in differences
    ]
    whole = {"version": VERSION, "profile": profile, "transcript": kept, "differences": rows}
    return json.dumps(whole, indent=1)


def _entry(one: Difference) -> list[str]:
    name = one.key or "(no text of the profile)"
    source = f" [{one.source}]" if one.source else ""
    often = f", {one.times} times" if one.times > 1 else ""
    where = escape(one.where.encode())
    return [
        f"  {name}{source} in {where}, bytes {one.start}-{one.end}{often}",
        f"    expected  {one.expected or 'nothing'}",
        f"    seen      {escape(one.seen) or 'nothing'}",
    ]


def _counted(number: int) -> str:
    return {0: "no difference", 1: "1 difference"}.get(number, f"{number} differences")
