"""Differences for people and for programs; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby

from harness.conformance.compare import Difference
from harness.report.text import escape

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
