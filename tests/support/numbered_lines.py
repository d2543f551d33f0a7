"""Lines that prove by themselves that none was lost, changed, doubled or moved; pure.

A line is `#NUMBER NAME FILLER CHECKSUM` and CR LF, LINE bytes in all: number and CRC-32 in hex.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from itertools import pairwise

LINE = 1024
_FILLER = b"The quick brown fox jumps over the lazy dog. 0123456789 " * 40
_PATTERN = re.compile(rb"#([0-9a-f]{8}) ([!-~]{1,64}) ([ -~]*) ([0-9a-f]{8})\r\n")


def numbered_line(number: int, *, name: str) -> bytes:
    """Return line `number` of the source `name`: up to 64 printable ASCII characters without blanks."""
    head = f"#{number & 0xFFFFFFFF:08x} {name} ".encode("ascii")
    body = head + _FILLER[number % 56 : number % 56 + LINE - len(head) - 11]
    return body + f" {zlib.crc32(body):08x}\r\n".encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A whole line in a stream."""

    start: int
    end: int
    number: int
    name: bytes


def check_lines(data: bytes, *, echoed: bytes = b"") -> list[str]:
    """Return what is wrong with a stream of numbered lines; empty when nothing is.

    A line may be cut at the begin and at the end: a reader comes and goes when it likes. What stands
    between lines must be `echoed` in all.
    """
    lines, problems = _find_lines(data)
    if not lines:
        return problems or ([f"no whole line in {len(data)} bytes"] if len(data) >= 2 * LINE else [])
    for before, after in pairwise(lines):
        if after.name != before.name:
            problems.append(f"byte {after.start}: a line of {_shown(after.name)} on {_shown(before.name)}")
        elif after.number != (before.number + 1) & 0xFFFFFFFF:
            problems.append(f"byte {after.start}: line {after.number} follows line {before.number}")
    problems += _check_rest(data, lines, echoed=echoed)
    return problems


def _find_lines(data: bytes) -> tuple[list[_Found], list[str]]:
    lines, problems = [], []
    for match in _PATTERN.finditer(data):
        body, sum_ = data[match.start() : match.start(4) - 1], match[4]
        if match.end() - match.start() != LINE or zlib.crc32(body) != int(sum_, 16):
            problems.append(f"byte {match.start()}: line {int(match[1], 16)} is damaged")
            continue
        found = _Found(start=match.start(), end=match.end(), number=int(match[1], 16), name=match[2])
        lines.append(found)
    return lines, problems


def _check_rest(data: bytes, lines: list[_Found], *, echoed: bytes) -> list[str]:
    first, last = data[: lines[0].start], data[lines[-1].end :]
    name = lines[0].name.decode("ascii")
    before = numbered_line(lines[0].number - 1, name=name)
    after = numbered_line(lines[-1].number + 1, name=name)
    cut = next(size for size in range(min(len(first), LINE - 1), -1, -1) if before.endswith(first[:size]))
    begun = next(
        size for size in range(min(len(last), LINE - 1), -1, -1) if after.startswith(last[len(last) - size :])
    )
    between = b"".join(data[one.end : other.start] for one, other in pairwise(lines))
    between = first[cut:] + between + last[: len(last) - begun]
    if between == echoed:
        return []
    return [f"{len(between)} bytes stand between lines, not the {len(echoed)} that were typed"]


def _shown(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")
