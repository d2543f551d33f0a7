"""What a test author imports, as in `from harness import Deadline`; docs/howto/api.md lists every name.

The module of a name is imported when the name is first used. ttylab's own modules import from each other,
never from here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = [
    "Accelerator", "Alive", "Ask", "Button", "CellRecord", "CellResult", "CheckDump", "CommandFailed",
    "Deadline", "Device", "EmulatorError", "Evidence", "Expect", "ExpectTimeout", "Finding",
    "FindingRecord", "Firmware", "ForkedGuest", "GuestDied", "GuestError", "GuestKind", "HarnessError",
    "Inject", "Injection", "Keys", "Lab", "LinuxGuest", "Machine", "MachineSpec", "MachineType", "Match",
    "Nmi", "NoEffect", "Press", "Reach", "Reason", "Rejoin", "Run", "RunResult", "SacGuest", "Scanner",
    "Scenario", "Screen", "Send", "Session", "Severity", "Shows", "Signals", "Silence", "SpecError",
    "Stage", "Status", "SysRq", "Target", "Verdict", "Via", "View", "open_board",
    "open_machine", "open_port",
]  # fmt: skip

_MODULES = {
    "emulator.clock": ("Deadline",),
    "emulator.errors": ("EmulatorError", "SpecError"),
    "emulator.machine.machine": ("Machine", "open_machine"),
    "emulator.machine.spec": ("Accelerator", "Device", "Firmware", "MachineSpec", "MachineType"),
    "harness.guests.linux": ("LinuxGuest",),
    "harness.guests.sac": ("SacGuest",),
    "harness.play.screen": ("Screen",),
    "harness.play.session": ("Match", "Session"),
    "harness.play.target": ("Target",),
    "harness.report.model": ("CellRecord", "CellResult", "FindingRecord", "RunResult"),
    "harness.snapshots.lab": ("Lab",),
    "harness.scenario.errors": (
        *("CommandFailed", "ExpectTimeout", "GuestDied", "GuestError", "HarnessError", "NoEffect"),
    ),
    "harness.scenario.kind": ("GuestKind",),
    "harness.scenario.scenario": ("Scenario", "Severity"),
    "harness.scenario.stages": ("Stage",),
    "harness.scenario.steps": (
        *("Alive", "Ask", "CheckDump", "Expect", "Inject", "Keys", "Reach", "Rejoin", "Run", "Send"),
        *("Shows", "Signals", "Silence", "View"),
    ),
    "harness.scenario.stimulus": ("Button", "Nmi", "Press", "SysRq", "Via"),
    "harness.scenario.verdict": ("Evidence", "Injection", "Reason", "Status", "Verdict"),
    "harness.signatures.model": ("Finding",),
    "harness.signatures.scanner": ("Scanner",),
    "harness.snapshots.start": ("ForkedGuest",),
    "harness.targets.board": ("open_board",),
    "harness.targets.serial_port": ("open_port",),
}
"""Where each name of `__all__` is defined; the imports below say the same to type checkers and editors."""

if TYPE_CHECKING:
    from emulator.clock import Deadline
    from emulator.errors import EmulatorError, SpecError
    from emulator.machine.machine import Machine, open_machine
    from emulator.machine.spec import Accelerator, Device, Firmware, MachineSpec, MachineType
    from harness.guests.linux import LinuxGuest
    from harness.guests.sac import SacGuest
    from harness.play.screen import Screen
    from harness.play.session import Match, Session
    from harness.play.target import Target
    from harness.report.model import CellRecord, CellResult, FindingRecord, RunResult
    from harness.scenario.errors import (
        CommandFailed,
        ExpectTimeout,
        GuestDied,
        GuestError,
        HarnessError,
        NoEffect,
    )
    from harness.scenario.kind import GuestKind
    from harness.scenario.scenario import Scenario, Severity
    from harness.scenario.stages import Stage
    from harness.scenario.steps import (
        Alive,
        Ask,
        CheckDump,
        Expect,
        Inject,
        Keys,
        Reach,
        Rejoin,
        Run,
        Send,
        Shows,
        Signals,
        Silence,
        View,
    )
    from harness.scenario.stimulus import Button, Nmi, Press, SysRq, Via
    from harness.scenario.verdict import Evidence, Injection, Reason, Status, Verdict
    from harness.signatures.model import Finding
    from harness.signatures.scanner import Scanner
    from harness.snapshots.lab import Lab
    from harness.snapshots.start import ForkedGuest
    from harness.targets.board import open_board
    from harness.targets.serial_port import open_port
else:

    def __getattr__(name: str) -> object:
        for module, names in _MODULES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(module), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
