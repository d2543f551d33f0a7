"""Differences between what a SAC says and what its profile expects, and their rendering; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest

from emulator.guest_text.printable import escape
from emulator.sac.profile import SacProfile
from harness.conformance.blocks import Block, Part, SacLine, read_blocks
from harness.conformance.expected import ExpectedLine, expected_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as the profile expects it.

    Attributes:
        section: of docs/facts/sac.md.
        key: of the text or rule.
        source: class of its source.
        where: in which part of the session, for people.
        expected: the text, with its fields; "" if nothing was expected.
        observed: what was there instead; b"" if nothing was.
        start, end: raw span in the transcript.
        times: how often it occurred.
    """

    section: str
    key: str
    source: str
    where: str
    expected: str
    observed: bytes
    start: int
    end: int
    times: int = 1


def compare(output: bytes, profile: SacProfile) -> list[Difference]:
    """Return how a session's raw output differs from `profile`; what never came up is not compared."""
    blocks = read_blocks(output)
    return merge(
        [
            *(one for block in blocks for one in _compare_block(block, profile)),
            *_compare_order(blocks),
            *_compare_clearing(output, blocks, profile),
            *_compare_drawing(output, blocks, profile),
        ]
    )


def _compare_order(blocks: Sequence[Block]) -> Iterator[Difference]:
    """Give the boots in which SAC's banner does not follow machine-info (docs/facts/sac.md 1.2)."""
    on_console = [block for block in blocks if block.part is not Part.MENU]
    for block, following in zip_longest(on_console, on_console[1:]):
        if block.part is Part.MACHINE_INFO and (following is None or following.part is not Part.BANNER):
            yield Difference(
                section="1.2",
                key="boot.order",
                source="T",
                where=block.where,
                expected="the banner behind machine-info",
                observed=following.lines[0].text if following is not None else b"",
                start=block.lines[0].start,
                end=block.lines[-1].end,
            )


def _compare_clearing(output: bytes, blocks: Sequence[Block], profile: SacProfile) -> Iterator[Difference]:
    """Give the boots in which the terminal was not cleared before machine-info."""
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
                observed=before,
                start=start - len(before),
                end=start,
            )


def _compare_drawing(output: bytes, blocks: Sequence[Block], profile: SacProfile) -> Iterator[Difference]:
    """Give the CMD channels that move the cursor where the release writes lines, or the reverse."""
    for block, following in zip_longest(blocks, blocks[1:]):
        start = block.lines[-1].end
        end = len(output) if following is None else following.lines[0].start
        channel = re.split(_OTHER_SCREEN, output[start:end], maxsplit=1)[0]
        if block.part is not Part.LOGIN or len(channel) < _ENOUGH:
            continue
        mode = "screen" if _CURSOR_MOVE.search(channel) else "plain"
        if mode != profile.vt_mode:
            yield Difference(
                section="1.8",
                key="cmd.vt_mode",
                source="P",
                where="a CMD channel",
                expected=_VT_MODES[profile.vt_mode],
                observed=_VT_MODES[mode].encode(),
                start=start,
                end=end,
            )


_CURSOR_MOVE = re.compile(rb"\x1b\[\d+;\d+H")
_OTHER_SCREEN = re.compile(rb"\x1b\[2J|<channel-switch>")
_ENOUGH = 40
"""How many bytes behind a login show how the channel draws."""
_VT_MODES = {"screen": "the cursor is moved to each place", "plain": "lines are written"}


def merge(differences: Iterable[Difference]) -> list[Difference]:
    """Return each difference once, by section and place; numbers in a field do not tell two apart."""
    merged: dict[tuple[str, str, str, bytes], Difference] = {}
    for one in differences:
        observed = _without_numbers(one.observed) if "%" in one.expected else one.observed
        key = (one.section, one.key, one.expected, observed)
        known = merged.get(key)
        merged[key] = one if known is None else replace(known, times=known.times + one.times)
    return sorted(
        merged.values(), key=lambda one: ([int(part) for part in one.section.split(".")], one.start)
    )


def _compare_block(block: Block, profile: SacProfile) -> list[Difference]:
    """Return the differences of one block from the form that fits it best."""
    forms = expected_of(block, profile)
    if not forms:
        return []
    lines = _without_repeats(block.lines) if block.part is Part.BUGCHECK else block.lines
    rows = [_unmatched(_align(form, lines)) for form in forms]
    return [_difference(expected, line, block) for expected, line in min(rows, key=len)]


def _without_repeats(lines: Sequence[SacLine]) -> list[SacLine]:
    """Return the lines, of those that count up (a dump's progress) only the first."""
    kept: list[SacLine] = []
    for line in lines:
        text = line.text
        if not (kept and _COUNTS.search(text) and _without_numbers(text) == _without_numbers(kept[-1].text)):
            kept.append(line)
    return kept


def _without_numbers(text: bytes) -> bytes:
    return re.sub(rb"\d+", b"0", text)


_COUNTS = re.compile(rb"\d+% complete\Z|: +\d+\Z")
_MATCH = 100.0
_ALIKE = 0.2
_Row = tuple[ExpectedLine | None, SacLine | None]
"""An expected line and the line that stands for it; one of them may be missing."""


def _align(expected: Sequence[ExpectedLine], lines: Sequence[SacLine]) -> Iterator[_Row]:
    """Give the rows of the best alignment: most matches, then lines that are alike; order is kept."""
    alike = [[_likeness(one, line) for line in lines] for one in expected]
    scores = [[0.0] * (len(lines) + 1) for _ in range(len(expected) + 1)]
    for i in range(len(expected) - 1, -1, -1):
        for j in range(len(lines) - 1, -1, -1):
            after = i if expected[i].repeats else i + 1
            pair = alike[i][j] + scores[after][j + 1] if alike[i][j] else 0.0
            scores[i][j] = max(scores[i + 1][j], scores[i][j + 1], pair)
    i = j = 0
    was_seen = False  # whether expected[i], which repeats, has stood there already
    while i < len(expected) or j < len(lines):
        if i < len(expected) and j < len(lines) and alike[i][j]:
            after = i if expected[i].repeats else i + 1
            if scores[i][j] == alike[i][j] + scores[after][j + 1]:
                yield expected[i], lines[j]
                was_seen = expected[i].repeats
                i, j = after, j + 1
                continue
        if j == len(lines) or (i < len(expected) and scores[i][j] == scores[i + 1][j]):
            if not was_seen:
                yield expected[i], None
            was_seen = False
            i += 1
        else:
            yield None, lines[j]
            j += 1


def _likeness(expected: ExpectedLine, line: SacLine) -> float:
    """Return _MATCH for the expected line itself, less for one that shares some of its words, else 0."""
    if _matches(expected, line):
        return _MATCH
    ours, theirs = _words(expected.text.encode()), _words(line.text)
    shared = len(ours & theirs) / max(1, len(ours | theirs))
    return shared if shared >= _ALIKE else 0.0


def _words(text: bytes) -> set[bytes]:
    return set(re.findall(rb"[a-z]{2,}", text.lower()))


def _matches(expected: ExpectedLine, line: SacLine) -> bool:
    return any(re.fullmatch(pattern, line.text, re.DOTALL) for pattern in expected.patterns)


def _unmatched(rows: Iterable[_Row]) -> list[_Row]:
    """Return the rows that do not match; lines missing and surplus in one gap are paired in order."""
    paired: list[_Row] = []
    missing: list[ExpectedLine] = []
    surplus: list[SacLine] = []

    def close_gap() -> None:
        paired.extend(zip_longest(missing, surplus))
        missing.clear()
        surplus.clear()

    for expected, line in rows:
        if expected is not None and line is not None:
            close_gap()
            if not _matches(expected, line):
                paired.append((expected, line))
        elif expected is not None:
            missing.append(expected)
        elif line is not None:
            surplus.append(line)
    close_gap()
    return paired


def _difference(expected: ExpectedLine | None, line: SacLine | None, block: Block) -> Difference:
    place = line or block.lines[-1]
    return Difference(
        section=expected.section if expected else _SECTIONS[block.part],
        key=expected.key if expected else "",
        source=expected.source if expected else "",
        where=block.where,
        expected=expected.text if expected else "",
        observed=line.text if line else b"",
        start=place.start,
        end=place.end,
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
"""Section of a line that nobody expected, by part."""


_VERSION = 1
_TITLES = {
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
        title = _TITLES.get(section, "what is not verified yet")
        entries = (line for one in several for line in _entry(one))
        lines += [f"{section} {title}: {_counted(len(several))}", *entries, ""]
    lines.append(f"{_counted(len(differences))} from profile {profile}; the console is kept in {kept}")
    return "\n".join(lines)


def render_json(differences: Sequence[Difference], *, profile: str, kept: str) -> str:
    """Return the same as one JSON object: guest bytes escaped, spans those of the kept console.bin."""
    plain = ("section", "key", "source", "where", "expected", "times")
    rows = [
        {name: getattr(one, name) for name in plain}
        | {"seen": escape(one.observed), "span": [one.start, one.end]}
        for one in differences
    ]
    whole = {"version": _VERSION, "profile": profile, "transcript": kept, "differences": rows}
    return json.dumps(whole, indent=1)


def _entry(one: Difference) -> list[str]:
    name = one.key or "(no text of the profile)"
    source = f" [{one.source}]" if one.source else ""
    often = f", {one.times} times" if one.times > 1 else ""
    where = escape(one.where.encode())
    return [
        f"  {name}{source} in {where}, bytes {one.start}-{one.end}{often}",
        f"    expected  {one.expected or 'nothing'}",
        f"    seen      {escape(one.observed) or 'nothing'}",
    ]


def _counted(number: int) -> str:
    return {0: "no difference", 1: "1 difference"}.get(number, f"{number} differences")
