"""The last lines of a transcript, safe to show."""

from __future__ import annotations

from emulator.console.transcript import Transcript
from harness.report.text import escape

_LINE_MOST = 200


def show_tail(transcript: Transcript, lines: int) -> str:
    """Return the last `lines` lines that are not empty, escaped, each cut to 200 bytes."""
    data = transcript.read(max(0, len(transcript) - (_LINE_MOST + 80) * lines))
    kept = [line.strip(b"\r") for line in data.split(b"\n")]
    return "\n".join(escape(line[:_LINE_MOST]) for line in [line for line in kept if line][-lines:])
