"""Do a stimulus to a target; what it changed is for others to see (docs/facts/qemu.md 4)."""

from __future__ import annotations

from emulator.clock import Deadline
from emulator.console.marks import Mark, MarkKind
from emulator.machine.control import SystemRequestControl
from harness.play.session import Session
from harness.play.target import Target
from harness.scenario.stimulus import Button, Nmi, Press, Stimulus, SysRq, Via

QUIET_BEFORE_BREAK_S = 0.05
"""A BREAK within 2 ms of a typed byte is lost, from 10 ms on it is safe (docs/facts/qemu.md 4)."""
BREAK_TO_KEY_S = 0.03
"""Time for the guest to take the BREAK's interrupt; a key in the same FIFO would be typed instead."""


def inject(stimulus: Stimulus, target: Target, session: Session, deadline: Deadline) -> Mark:
    """Inject `stimulus` and return the mark that stands just before it on the timeline.

    Raises:
        Unsupported: the target can't do it.
        ControlError, ConsoleClosed, DeadlineExceeded: the lab failed on the way.
        ExpectTimeout: typing the request into the shell had no echo.
    """
    target.require(stimulus.needs)
    whole = target.control if isinstance(target.control, SystemRequestControl) else None
    if isinstance(stimulus, SysRq) and stimulus.via is Via.BREAK and whole is None:
        _let_line_rest(session, deadline)
    mark = session.transcript.mark(MarkKind.STIMULUS, stimulus.name)
    match stimulus:
        case Nmi():
            target.control.nmi(deadline)
        case Press():
            _press(stimulus.button, target, deadline)
        case SysRq(via=Via.BREAK) if whole is not None:
            whole.sysrq(stimulus.key, deadline)
        case SysRq(via=Via.BREAK):
            target.control.send_break(deadline)
            deadline.clock.sleep(BREAK_TO_KEY_S)
            target.channel.write(stimulus.key.encode(), deadline)
        case SysRq(via=Via.KEYBOARD):
            target.control.press_keys(("alt", "sysrq", stimulus.key), deadline)
        case SysRq():
            session.send_line(f"echo {stimulus.key} > /proc/sysrq-trigger".encode(), deadline)
    return mark


def _press(button: Button, target: Target, deadline: Deadline) -> None:
    act = {
        Button.RESET: target.control.reset,
        Button.POWER_BUTTON: target.control.power_button,
        Button.POWER_OFF: target.control.power_off,
        Button.POWER_ON: target.control.power_on,
    }[button]
    act(deadline)


def _let_line_rest(session: Session, deadline: Deadline) -> None:
    """Wait until the last typed byte is QUIET_BEFORE_BREAK_S old."""
    typed = session.transcript.typed
    if typed:
        rest = typed[-1].at + QUIET_BEFORE_BREAK_S - session.transcript.now()
        deadline.clock.sleep(max(0.0, min(rest, deadline.remaining())))
