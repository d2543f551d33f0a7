"""The boot manager on the console: countdown, choices, F8, tools, cancel."""

from __future__ import annotations

from emulator.sac.knobs import SacKnobs
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Ask, Expect, Inject, Keys, Reach, Shows, Step, View
from harness.scenario.stimulus import Nmi
from harness.scenarios import sac_phrases as say
from harness.scenarios.phrases import RESET, RESTARTS

_WAITS = SacKnobs(menu_timeout_s=300)
_TWO = SacKnobs(menu_timeout_s=300, menu_entries=("Windows Server", "Windows Server (last good)"))
_MENU = Reach(stage=Stage.LOADER)
_ENTER = Keys(keys=say.ENTER, says="Enter")
_UP: tuple[Step, ...] = (Reach(stage=Stage.CMD), Alive())


def _menu(name: str, *steps: Step, knobs: SacKnobs = _WAITS) -> Scenario:
    return say.scenario(f"menu-{name}", *steps, knobs=knobs)


def _left(seconds: int) -> Shows:
    """Expect that the countdown is at `seconds`; it is overwritten in place, without a line end."""
    return Shows(pattern=f"started automatically: {seconds}", says=f"{seconds} s left", view=View.PLAIN)


SCENARIOS = (
    _menu(
        "countdown",
        _MENU,
        Expect(effects=tuple(_left(seconds) for seconds in (3, 2, 1))),
        *_UP,
        knobs=SacKnobs(menu_timeout_s=3),
    ),
    _menu("stopped", _MENU, Keys(keys="x", says="x"), _ENTER, *_UP),
    _menu(
        "choice",
        _MENU,
        Keys(keys=say.DOWN, says="the arrow down"),
        _ENTER,
        Reach(stage=Stage.CMD),
        Ask(command="d", shows=(say.line(r"Windows Server \(last good\)", "the second entry"),)),
        Alive(),
        knobs=_TWO,
    ),
    _menu(
        "f8",
        _MENU,
        Keys(keys=say.F8, says="F8"),
        Expect(effects=(say.line("Advanced Boot Options", "the advanced options"),)),
        Keys(keys=say.UP, says="the arrow up"),
        _ENTER,
        Reach(stage=Stage.CMD),
        Inject(stimulus=Nmi(), effects=say.bugcheck("0x80"), allows=say.CRASHES),
        Keys(keys="restart\r", says="restart and Enter"),
        Expect(effects=(RESTARTS,), allows=RESET),
        _MENU,
        _ENTER,
        *_UP,
    ),
    _menu(
        "tools",
        _MENU,
        Keys(keys="\t", says="TAB"),
        _ENTER,
        Expect(effects=(say.line("Windows Memory Diagnostics? Tool", "the test"), RESTARTS), allows=RESET),
        _MENU,
        _ENTER,
        *_UP,
    ),
    _menu(
        "cancel",
        _MENU,
        Keys(keys=say.ESCAPE, says="ESC"),
        Expect(effects=(RESTARTS,), allows=RESET),
        _MENU,
        _ENTER,
        *_UP,
    ),
)
