"""The words of `control.sock`: one request, one act on the machine, one answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from emulator.console.transcript import Transcript
from emulator.errors import EmulatorError, SpecError
from emulator.machine.control import Control

REQUEST_S = 20.0
_ACTS: Mapping[str, Callable[[Control, Deadline], None]] = {
    "nmi": lambda control, deadline: control.nmi(deadline),
    "reset": lambda control, deadline: control.reset(deadline),
    "power_button": lambda control, deadline: control.power_button(deadline),
    "break": lambda control, deadline: control.send_break(deadline),
    "power_off": lambda control, deadline: control.power_off(deadline),
    "power_on": lambda control, deadline: control.power_on(deadline),
}
WORDS = (*_ACTS, "keys")


def answer_request(control: Control, transcript: Transcript, request: Mapping[str, Any]) -> dict[str, Any]:
    """Do what `{"do": WORD, …}` asks and return `{"ok": true}` or `{"ok": false, "error": TEXT}`.

    `{"do": "keys", "keys": ["alt", "sysrq", "h"]}` presses keys together. The mark is set before the
    act, so the guest's reaction never precedes it; an act that failed gets a second one.
    """
    try:
        word, act = _parse(request)
    except SpecError as error:
        return {"ok": False, "error": str(error)}
    transcript.mark(MarkKind.STIMULUS, word, {"by": "control socket"})
    try:
        act(control, Deadline.after(REQUEST_S, transcript.clock))
    except EmulatorError as error:
        transcript.mark(MarkKind.LAB, "request-failed", {"request": word, "error": str(error)})
        return {"ok": False, "error": str(error)}
    return {"ok": True}


def _parse(request: Mapping[str, Any]) -> tuple[str, Callable[[Control, Deadline], None]]:
    word = request.get("do")
    allowed = {"do", "keys"} if word == "keys" else {"do"}
    if word not in WORDS or set(request) - allowed:
        raise SpecError(f'request {dict(request)!r}: need one "do" of {" ".join(WORDS)}')
    if word != "keys":
        return word, _ACTS[word]
    keys = request.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        raise SpecError(f"keys is {keys!r}; allowed: a list of QEMU's key names")
    pressed = tuple(keys)
    return word, lambda control, deadline: control.press_keys(pressed, deadline)
