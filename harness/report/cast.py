"""A transcript as an asciicast, the recording that asciinema plays (versions 2 and 3 of its format)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Literal

from emulator.console.marks import Mark, MarkKind, Typed
from emulator.console.transcript import Transcript
from emulator.guest_text.printable import decode_chunks, encodable

COLUMNS = 120
ROWS = 32
_MARKED = frozenset({MarkKind.STIMULUS, MarkKind.STAGE, MarkKind.QMP, MarkKind.MACHINE})

Event = tuple[float, Literal["o", "i", "m"], str]


def render_cast(
    transcript: Transcript, *, title: str, version: Literal[2, 3] = 2, limit: int | None = None
) -> str:
    """Return the recording as JSON lines.

    It holds output, typed text, and markers for stimuli, steps, stages and QMP events, each at its own time.
    Bytes that are not UTF-8 become U+FFFD, here only; the transcript stays as it is. Version 3 of the format
    has intervals where 2 has times. After `limit` bytes of output it ends, with a marker that says so.
    """
    lines = [json.dumps(_header(title, version), separators=(",", ":"))]
    before = 0.0
    for at, code, text in cast_events(transcript, limit=limit):
        stamp = at if version == 2 else at - before
        before = at
        lines.append(json.dumps([round(stamp, 6), code, text], separators=(",", ":")))
    return "\n".join(lines) + "\n"


def cast_events(transcript: Transcript, *, limit: int | None = None) -> list[Event]:
    """Return all events by time; simultaneous ones in the order output, input, markers."""
    events: list[Event] = [*_output(transcript, limit)]
    end = events[-1][0] if limit is not None and len(transcript) > limit and events else None
    events += [(typed.at, "i", text) for typed, text in _typed(transcript)]
    events += [(mark.at, "m", encodable(label)) for mark, label in _labels(transcript)]
    if end is not None:
        events = [event for event in events if event[0] <= end]
        events.append((end, "m", f"cut here: the transcript has {len(transcript)} bytes"))
    return sorted(events, key=lambda event: event[0])


def _header(title: str, version: int) -> dict[str, object]:
    size: dict[str, object] = {"width": COLUMNS, "height": ROWS}
    if version == 3:
        size = {"term": {"cols": COLUMNS, "rows": ROWS, "type": "xterm-256color"}}
    return {"version": version, **size, "title": encodable(title)}


def _output(transcript: Transcript, limit: int | None) -> Iterator[Event]:
    chunks = [chunk for chunk in transcript.chunks if limit is None or chunk.start < limit]
    texts = decode_chunks(transcript.read(chunk.start, chunk.end) for chunk in chunks)
    stamps = [chunk.at for chunk in chunks]
    for at, text in zip([*stamps, *stamps[-1:]], texts, strict=False):
        if text:
            yield (at, "o", text)


def _typed(transcript: Transcript) -> Iterator[tuple[Typed, str]]:
    return zip(transcript.typed, decode_chunks(each.shown for each in transcript.typed), strict=False)


def _labels(transcript: Transcript) -> Iterator[tuple[Mark, str]]:
    for mark in transcript.marks:
        if mark.kind is MarkKind.STEP and mark.name == "begin":
            yield mark, f"step: {mark.detail.get('step', '')}"
        elif mark.kind in _MARKED:
            yield mark, f"{mark.kind}: {mark.name}"
