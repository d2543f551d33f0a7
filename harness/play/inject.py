"""Do a stimulus to a target; what it changed is for others to see (docs/facts/qemu.md 4)."""

from __future__ import annotations

from emulator.clock import Deadline
from emulator.console.marks import Mark, MarkKind
from harness.play.session import Session
from harness.play.target import Target
from harness.scenario.stimulus import Button, Nmi, Press, Stimulus, SysRq, Via


def inject(stimulus: Stimulus, target: Target, session: Session, deadline: Deadline) -> Mark:
    """Inject `stimulus` and return the mark that stands just before it on the timeline.

    Raises:
        Unsupported: the target can't do it.
        ControlError, ConsoleClosed, DeadlineExceeded: the lab failed on the way.
        ExpectTimeout: typing the request into the shell had no echo.
    """
    target.require(stimulus.needs)
    mark = session.transcript.mark(MarkKind.STIMULUS, stimulus.name)
    match stimulus:
        case Nmi():
            target.control.nmi(deadline)
        case Press():
            _press(stimulus.button, target, deadline)
        case SysRq(via=Via.BREAK):
            target.control.sysrq(stimulus.key, deadline)
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
