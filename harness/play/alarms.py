"""What ends a wait although it was not awaited: a finding in the text, or a mark of the machine."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.console.marks import Mark, MarkKind
from emulator.console.transcript import Transcript
from emulator.guest_text.records import RecordSplitter
from harness.scenario.verdict import Alarm
from harness.signatures.model import Finding

RESET = "reset"
SHUTDOWN = "shutdown"
OFF = "off"
GONE = "gone"
PANIC_EVENT = "panic-event"
WATCHDOG = "watchdog"

_QMP_ALARMS = {
    "RESET": RESET,
    "SHUTDOWN": SHUTDOWN,
    "GUEST_PANICKED": PANIC_EVENT,
    "WATCHDOG": WATCHDOG,
}
_MACHINE_ALARMS = {"off": OFF, "gone": GONE}

NAMES = frozenset([*_QMP_ALARMS.values(), *_MACHINE_ALARMS.values()])
"""Alarms that are no signature; a step may allow them by these names."""


def alarm_of_finding(finding: Finding, transcript: Transcript) -> Alarm:
    """Return the alarm that a finding raises.

    A finding begins with its line; the alarm begins where the kernel began to write, so that a prompt
    which stood in that line before still counts as seen before.
    """
    line = transcript.read(finding.start, finding.end).partition(b"\n")[0] + b"\n"
    segments = RecordSplitter(start=finding.start).feed(line)
    start = next((one.start for one in segments if one.kind == "kernel"), finding.start)
    return Alarm(name=finding.rule, title=finding.title, start=start, end=finding.end)


def alarm_of_mark(mark: Mark) -> Alarm | None:
    """Return the alarm that a mark raises, or None if it raises none."""
    names = {MarkKind.QMP: _QMP_ALARMS, MarkKind.MACHINE: _MACHINE_ALARMS}.get(mark.kind, {})
    name = names.get(mark.name)
    if name is None:
        return None
    facts = ", ".join(f"{key} {value}" for key, value in mark.detail.items() if not isinstance(value, dict))
    title = f"{mark.kind.value} {mark.name}" + (f" ({facts})" if facts else "")
    return Alarm(name=name, title=title, start=mark.offset, end=mark.offset, at=mark.at)


def unexpected(alarms: Iterable[Alarm], allowed: frozenset[str]) -> list[Alarm]:
    """Return the alarms that nobody allowed, in order."""
    return [alarm for alarm in alarms if alarm.name not in allowed]
