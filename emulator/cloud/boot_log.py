"""The boot log: what the guest wrote on COM1, with a line for each visit of its console; pure.

Azure logs access to the serial console in the VM's boot diagnostics log (docs/facts/azure.md 8 "Audit").
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from emulator.console.marks import Mark, MarkKind


def render_boot_log(data: bytes, *, first: int, marks: Sequence[Mark], epoch: datetime) -> bytes:
    r"""Return `data` with a line for each LINK mark at its place.

    Not a byte of the guest's is changed, moved or left out. A line begins on a line of its own: where the
    guest has not ended its own, "\r\n" goes before it.

    Args:
        data: what of the guest's output is still kept.
        first: offset of its first byte.
        marks: all marks, in order; those of what is no longer kept are left out.
        epoch: when the transcript's clock was 0, UTC.
    """
    parts: list[bytes] = []
    done = 0
    for mark in marks:
        place = mark.offset - first
        if mark.kind is not MarkKind.LINK or not 0 <= place <= len(data):
            continue
        place = max(place, done)
        parts.append(data[done:place])
        done = place
        # GRUB ends its lines with "\n\r".
        guest_ended = place == 0 or data[max(0, place - 4) : place].rstrip(b"\r").endswith(b"\n")
        fresh = guest_ended or (parts[-1] == b"" and len(parts) > 1)
        parts.append((b"" if fresh else b"\r\n") + render_session_line(mark, epoch=epoch))
    parts.append(data[done:])
    return b"".join(parts)


def render_session_line(mark: Mark, *, epoch: datetime) -> bytes:
    """Return the line of one mark: when, who, what; whatever is in it, it is one line of ASCII."""
    when = (epoch + timedelta(seconds=mark.at)).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = [mark.name, *(str(mark.detail[name]) for name in ("command",) if name in mark.detail)]
    by = str(mark.detail.get("by", "unknown"))
    text = f"[{when}] Serial console: {' '.join(said)} by {by}"
    return text.encode("unicode_escape") + b"\r\n"
