"""When each boot in a transcript came to which stage; pure."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.console.marks import Mark, MarkKind, boot_starts
from emulator.console.transcript import Transcript
from emulator.guest_text.expected import LOADER, SYSTEM
from harness.scenario.stages import Stage

_FIRST_SIGNS = ((Stage.LOADER, LOADER), (Stage.KERNEL, SYSTEM))
_DRIVEN = frozenset({Stage.SAC, Stage.CMD, Stage.LOGIN, Stage.SHELL})
"""Stages that only the guest's driver can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootStage:
    """A stage of a boot: boots count from 0, `at` is seconds since the transcript's epoch."""

    boot: int
    stage: Stage
    at: float


def boot_offsets(transcript: Transcript) -> list[int]:
    """Return where in the guest's output each boot begins; the first begins at 0."""
    offsets = [0]
    for mark in boot_starts(transcript.marks):
        if mark.offset > offsets[-1]:
            offsets.append(mark.offset)
    return offsets


def find_stages(transcript: Transcript) -> tuple[BootStage, ...]:
    """Return the stages of every boot, in order of time.

    Firmware begins with the machine; loader and kernel are read off the bytes; the later ones are
    the guest driver's marks.
    """
    starts = boot_starts(transcript.marks)
    found: list[BootStage] = []
    for boot, start in enumerate(starts):
        following = starts[boot + 1] if boot + 1 < len(starts) else None
        found.append(BootStage(boot=boot, stage=Stage.FIRMWARE, at=start.at))
        found += _signs(transcript, boot, start, following)
        found += _driven(transcript, boot, start, following)
    return tuple(sorted(found, key=lambda stage: stage.at))


def _signs(transcript: Transcript, boot: int, start: Mark, following: Mark | None) -> list[BootStage]:
    data = transcript.read(start.offset, None if following is None else following.offset)
    found = []
    for stage, sign in _FIRST_SIGNS:
        match = sign.search(data)
        if match is not None:
            at = transcript.arrival(start.offset + match.start())
            found.append(BootStage(boot=boot, stage=stage, at=at))
    return found


def _driven(transcript: Transcript, boot: int, start: Mark, following: Mark | None) -> list[BootStage]:
    first: dict[Stage, float] = {}
    for mark in transcript.marks:
        inside = start.at <= mark.at and (following is None or mark.at < following.at)
        if mark.kind is MarkKind.STAGE and inside and mark.name in _DRIVEN:
            first.setdefault(Stage(mark.name), mark.at)
    return [BootStage(boot=boot, stage=stage, at=at) for stage, at in first.items()]
