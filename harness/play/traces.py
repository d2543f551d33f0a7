"""The traces that guests leave in a transcript: of each boot's stages, and of what was done to them; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from emulator.console.marks import Mark, MarkKind, boot_starts
from emulator.console.transcript import Transcript
from emulator.guest_text import sac as sac_text
from emulator.guest_text.expected import LOADER, SYSTEM
from emulator.guest_text.linux import KERNEL, LEVEL, MARKER, RECORD, SYSRQ_HEAD, SYSRQ_REFUSED, LinuxProfile
from harness.report.model import StageRecord
from harness.scenario.kind import GuestKind
from harness.scenario.stages import Stage
from harness.scenario.steps import View

_LINUX = LinuxProfile()
_ANSWER = MARKER + rb":\d+:"
"""A shell's answer to a challenge, or the end of a command: a shell is there, whatever its prompt."""
_SUM = re.compile(rb"\$\(\((\d+) \* (\d+)\)\)")
"""What `LinuxGuest.prove_life` asks the shell to compute."""
REFUSAL = re.compile(
    rb"(?:(?<![^\n])|" + RECORD + rb")(?:" + LEVEL + rb")?" + SYSRQ_HEAD + SYSRQ_REFUSED + rb"[^\n]*\n"
    rb"|/proc/sysrq-trigger: [^\n]*\n"
)
"""How the kernel refuses a system request that its mask forbids, and a shell one for which it needs root."""
_MENU = rb"Choose an operating system to start|Please select the operating system to start"
_GUID = rb"Computer GUID: +[0-9A-Fa-f-]{36}\r\n"
_USERNAME = rb"Username: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A pattern, and which bytes it is matched against."""

    pattern: bytes
    view: View

    def compiled(self) -> re.Pattern[bytes]:
        """Return the pattern, ready to search."""
        return re.compile(self.pattern, re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What one kind of guest leaves on its console.

    Attributes:
        stages: signs of each stage; the last sign must come after the last match of each one before it.
            Stages that are missing here are not waited for.
        view: the form of the console in which commands are found.
        status: what follows a command's output, with `%d` for its status.
    """

    stages: Mapping[Stage, tuple[Sign, ...]]
    view: View
    status: bytes

    def ended(self, status: int) -> Sign:
        """Return the sign that follows the output of a command that ended with `status`."""
        return Sign(pattern=self.status.replace(b"%d", b"%d" % status), view=self.view)

    def alive(self, typed: bytes) -> Sign | None:
        """Return the sign of a living guest's answer to what was `typed`; None if that asks nothing."""
        asked = _SUM.search(typed)
        if asked is not None:
            answer = rb"(?<![0-9])%d\r*\n" % (int(asked[1]) * int(asked[2]))
            return Sign(pattern=answer, view=self.view)
        return Sign(pattern=_GUID, view=self.view) if b"id\r" in typed else None


def _plain(*patterns: bytes) -> tuple[Sign, ...]:
    return tuple(Sign(pattern=pattern, view=View.PLAIN) for pattern in patterns)


TRACES: Mapping[GuestKind, Traces] = MappingProxyType(
    {
        GuestKind.LINUX: Traces(
            stages={
                Stage.KERNEL: (Sign(pattern=KERNEL, view=View.RAW),),
                Stage.LOGIN: (Sign(pattern=_LINUX.login + rb"|" + _ANSWER, view=View.USER),),
                Stage.SHELL: (
                    Sign(pattern=_LINUX.login, view=View.USER),
                    Sign(pattern=_LINUX.prompt + rb"|" + _ANSWER, view=View.USER),
                ),
            },
            view=View.USER,
            status=rb"\A(?:\r*\n)?" + MARKER + rb":%d:",
        ),
        GuestKind.SAC: Traces(
            stages={
                Stage.LOADER: _plain(_MENU),
                Stage.KERNEL: _plain(rb"</machine-info>"),
                Stage.SAC: _plain(rb"</machine-info>", rb"\nSAC>"),
                Stage.CMD: _plain(sac_text.CMD_AVAILABLE),
                Stage.LOGIN: _plain(_USERNAME),
                Stage.SHELL: _plain(_USERNAME, sac_text.SHELL_PROMPT),
            },
            view=View.PLAIN,
            status=MARKER + rb":%d[ ]*\r\n",
        ),
    }
)


_FIRST_SIGNS = ((Stage.LOADER, LOADER), (Stage.KERNEL, SYSTEM))
_DRIVEN = frozenset({Stage.SAC, Stage.CMD, Stage.LOGIN, Stage.SHELL})
"""Stages that only the guest's driver can detect."""


def boot_offsets(transcript: Transcript) -> list[int]:
    """Return the offset in the guest's output at which each boot begins; the first begins at 0."""
    offsets = [0]
    for mark in boot_starts(transcript.marks):
        if mark.offset > offsets[-1]:
            offsets.append(mark.offset)
    return offsets


def find_stages(transcript: Transcript) -> tuple[StageRecord, ...]:
    """Return the stages of every boot, in order of time.

    Firmware begins with the machine; loader and kernel are found in the output; the later stages are
    marks of the guest's driver.
    """
    starts = boot_starts(transcript.marks)
    found: list[StageRecord] = []
    for boot, start in enumerate(starts):
        following = starts[boot + 1] if boot + 1 < len(starts) else None
        found.append(StageRecord(boot=boot, stage=Stage.FIRMWARE.value, at=start.at))
        found += _signs(transcript, boot, start, following)
        found += _driven(transcript, boot, start, following)
    return tuple(sorted(found, key=lambda stage: stage.at))


def _signs(transcript: Transcript, boot: int, start: Mark, following: Mark | None) -> list[StageRecord]:
    data = transcript.read(start.offset, None if following is None else following.offset)
    found = []
    for stage, sign in _FIRST_SIGNS:
        match = sign.search(data)
        if match is not None:
            at = transcript.arrival(start.offset + match.start())
            found.append(StageRecord(boot=boot, stage=stage.value, at=at))
    return found


def _driven(transcript: Transcript, boot: int, start: Mark, following: Mark | None) -> list[StageRecord]:
    first: dict[Stage, float] = {}
    for mark in transcript.marks:
        inside = start.at <= mark.at and (following is None or mark.at < following.at)
        if mark.kind is MarkKind.STAGE and inside and mark.name in _DRIVEN:
            first.setdefault(Stage(mark.name), mark.at)
    return [StageRecord(boot=boot, stage=stage.value, at=at) for stage, at in first.items()]
