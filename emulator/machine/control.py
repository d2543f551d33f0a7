"""What can be done to a machine beside its console, and the requests that ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

from emulator.clock import Deadline
from emulator.console.channel import require_key
from emulator.console.marks import REFUSED, MarkKind
from emulator.console.transcript import Transcript
from emulator.errors import EmulatorError, SpecError
from emulator.machine.spec import Device, MachineSpec


class Capability(StrEnum):
    """One thing that can be done to, or seen of, a machine."""

    NMI = "nmi"
    """`inject-nmi` reaches the guest."""
    UNKNOWN_NMI = "unknown_nmi"
    """To Linux an injected NMI is an unknown one. microvm has no port 0x61: Linux reads ff there, says "PCI
    system error (SERR)", and obeys panic_on_unrecovered_nmi but not unknown_nmi_panic."""
    SERIAL_BREAK = "serial_break"
    """`chardev-send-break` reaches the guest's console."""
    KEYBOARD = "keyboard"
    """`send-key` reaches the guest, and so does its SysRq."""
    RESET = "reset"
    """`system_reset` restarts the firmware."""
    POWER_CYCLE = "power_cycle"
    """The machine's power can be cut and restored."""
    POWER_BUTTON = "power_button"
    """`system_powerdown` reaches the guest."""
    SOFT_OFF = "soft_off"
    """The guest can switch itself off; otherwise Linux ends in "System halted" and QEMU stays."""
    SCREEN = "screen"
    """`screendump` yields a picture."""
    WATCHDOG = "watchdog"
    """The guest can arm a watchdog, whose expiry is a QMP event."""
    PANIC_EVENT = "panic_event"
    """A guest's panic is a QMP event."""
    BULK_CONSOLE = "bulk_console"
    """The guest has a virtio port for bulk output."""


def capabilities(spec: MachineSpec) -> frozenset[Capability]:
    """Return what can be done to a machine of this spec; the guest may still ignore it."""
    optional = {
        Capability.WATCHDOG: Device.I6300ESB in spec.devices,
        Capability.PANIC_EVENT: Device.PVPANIC in spec.devices,
        Capability.BULK_CONSOLE: spec.bulk_console,
    }
    absent = {name for name, present in optional.items() if not present}
    return frozenset(Capability) - absent - set(lacks(spec))


def lacks(spec: MachineSpec) -> Mapping[Capability, str]:
    """Return what the board of this spec can't do at all, and why."""
    return {Capability(name): why for name, why in spec.board.lacking(spec.firmware).items()}


class Control(Protocol):
    """What can be done to a machine beside its console.

    Every call returns when the far end has accepted it, which proves nothing about its effect
    (docs/facts/qemu.md 4). Every call may raise ControlError, and StateError for a capability that is not in
    `capabilities`.
    """

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this target can do."""

    def nmi(self, deadline: Deadline) -> None:
        """Raise a non-maskable interrupt."""

    def send_break(self, deadline: Deadline) -> None:
        """Send one BREAK on the serial line."""

    def sysrq(self, key: str, deadline: Deadline) -> None:
        """Make a magic system request with one key over the serial line: rest, BREAK, key (SERIAL_BREAK)."""

    def press_keys(self, keys: tuple[str, ...], deadline: Deadline) -> None:
        """Press keys together on the machine's keyboard, in QEMU's qcode names ("alt", "sysrq", "h")."""

    def reset(self, deadline: Deadline) -> None:
        """Push the reset button."""

    def power_button(self, deadline: Deadline) -> None:
        """Push the power button, a request to the guest by ACPI."""

    def power_off(self, deadline: Deadline) -> None:
        """Cut the power; the machine is off when this returns."""

    def power_on(self, deadline: Deadline) -> None:
        """Switch on a machine that is off; the console stays the same."""


REQUEST_S = 20.0
_ACTS: Mapping[str, Callable[[Control, Deadline], None]] = {
    "nmi": lambda control, deadline: control.nmi(deadline),
    "reset": lambda control, deadline: control.reset(deadline),
    "power_button": lambda control, deadline: control.power_button(deadline),
    "break": lambda control, deadline: control.send_break(deadline),
    "power_off": lambda control, deadline: control.power_off(deadline),
    "power_on": lambda control, deadline: control.power_on(deadline),
}
WORDS = (*_ACTS, "keys", "sysrq")
_OPERANDS = {"keys": "keys", "sysrq": "key"}


def answer_request(control: Control, transcript: Transcript, request: Mapping[str, Any]) -> dict[str, Any]:
    """Do what `{"do": WORD, …}` asks and return `{"ok": true}` or `{"ok": false, "error": TEXT}`.

    `{"do": "sysrq", "key": "h"}` makes a system request over the serial line, and
    `{"do": "keys", "keys": ["alt", "sysrq", "h"]}` presses keys together. A mark is set before the act, so
    that its effect never precedes it; an act that fails gets a second one.
    """
    try:
        name, act = _parse(request)
    except SpecError as error:
        return {"ok": False, "error": str(error)}
    transcript.mark(MarkKind.STIMULUS, name, {"by": "control socket"})
    try:
        act(control, Deadline.after(REQUEST_S, transcript.clock))
    except EmulatorError as error:
        transcript.mark(MarkKind.LAB, REFUSED, {"request": name, "error": str(error)})
        return {"ok": False, "error": str(error)}
    return {"ok": True}


def _parse(request: Mapping[str, Any]) -> tuple[str, Callable[[Control, Deadline], None]]:
    """Return the name of what is asked for, and the function that does it."""
    word = request.get("do")
    if word not in WORDS or set(request) - {"do", _OPERANDS.get(word)}:
        raise SpecError(f'request {dict(request)!r}: need one "do" of {" ".join(WORDS)}')
    if word == "sysrq":
        key = require_key(request.get("key"))
        return f"sysrq-{key}", lambda control, deadline: control.sysrq(key, deadline)
    if word != "keys":
        return word, _ACTS[word]
    keys = request.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        raise SpecError(f"keys is {keys!r}; allowed: a list of QEMU's key names")
    pressed = tuple(keys)
    return word, lambda control, deadline: control.press_keys(pressed, deadline)
