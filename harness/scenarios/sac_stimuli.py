"""Every stimulus in every state of a SAC guest: one shape, a table of states and stimuli."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from emulator.sac.knobs import SacKnobs
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Fields, Scenario, Severity, scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Inject, Keys, Outcome, Reach, Send, Step
from harness.scenario.stimulus import Button, Nmi, Press
from harness.scenarios import sac_phrases as say
from harness.scenarios.phrases import OFF, RESET, RESET_BUTTON, RESTARTS, SHUTS_DOWN, SWITCHES_OFF


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """Where the guest is when something is done to it.

    Attributes:
        words: for titles: "at the SAC prompt".
        steps: how it gets there.
        knobs: how it is set up.
        has_stopped: whether its kernel has stopped, so that it reacts to neither NMI nor power button.
        has_menu: whether it comes back to a boot menu that waits.
    """

    words: str
    steps: tuple[Step, ...]
    knobs: SacKnobs = field(default_factory=SacKnobs)
    has_stopped: bool = False
    has_menu: bool = False


_STATES: Mapping[str, _State] = {
    "menu": _State(
        words="in the boot menu",
        steps=(Reach(stage=Stage.LOADER),),
        knobs=SacKnobs(menu_timeout_s=300),
        has_menu=True,
    ),
    "prompt": _State(words="at the SAC prompt", steps=say.PROMPT),
    "cmd": _State(words="in a CMD channel", steps=(Reach(stage=Stage.SHELL),)),
    "typing": _State(
        words="with a half-typed command", steps=(*say.PROMPT, Keys(keys="crashdum", says="half a command"))
    ),
    "redraw": _State(
        words="while a channel is drawn again",
        steps=(Reach(stage=Stage.SHELL), Keys(keys="\x1b\t0\r", says="ESC TAB 0 and Enter")),
    ),
    "bugcheck": _State(
        words="after a bugcheck that waits",
        steps=(*say.PROMPT, say.NMI_STAYS),
        knobs=SacKnobs(autoreboot=False),
        has_stopped=True,
    ),
}
_UP_AGAIN: tuple[Step, ...] = (Reach(stage=Stage.SAC), Alive())
_LEAVE_MENU: tuple[Step, ...] = (Reach(stage=Stage.LOADER), Keys(keys=say.ENTER, says="Enter"))


def _back(state: _State) -> tuple[Step, ...]:
    return (*_LEAVE_MENU, *_UP_AGAIN) if state.has_menu else _UP_AGAIN


def _reset(state: _State) -> tuple[Step, ...]:
    return (RESET_BUTTON, *_back(state))


def _power_cut(state: _State) -> tuple[Step, ...]:
    return (say.CUT, say.GIVE_MENU if state.has_menu else say.GIVE, *_back(state))


def _nmi(state: _State) -> tuple[Step, ...]:
    if not state.has_stopped:
        return (say.NMI, *_back(state))
    second = Inject(stimulus=Nmi(), outcome=Outcome.NO_EFFECT, unless=(say.bugcheck("0x80")[0],))
    return (second, RESET_BUTTON, *_back(state))


def _power_button(state: _State) -> tuple[Step, ...]:
    button = Press(button=Button.POWER_BUTTON)
    if state.has_stopped:
        ignored = Inject(stimulus=button, outcome=Outcome.NO_EFFECT, unless=(say.GOES_DOWN,))
        return (ignored, RESET_BUTTON, *_back(state))
    words = () if state.has_menu else (say.GOES_DOWN,)
    return (Inject(stimulus=button, effects=(*words, SHUTS_DOWN, SWITCHES_OFF), allows=OFF),)


_STIMULI = {
    "nmi": (
        "NMI",
        _nmi,
        "it stops with bugcheck 0x80, dumps and restarts; one that has stopped does nothing",
    ),
    "reset": ("Reset", _reset, "it ends without a word and boots again"),
    "power-button": (
        "Power button",
        _power_button,
        "it says that SAC is going away and switches off; one that has stopped stays on",
    ),
    "power-cut": ("Power cut and restored", _power_cut, "it boots again on the same console"),
}


def _scenario(stimulus: str, name: str) -> Scenario:
    title, steps, meaning = _STIMULI[stimulus]
    state = _STATES[name]
    what = f"Does this to a guest that is {state.words}: {title.lower()}. What must follow: {meaning}. Only "
    why = "the console shows what happens, and must tell this outcome from every other."
    return scenario(
        f"sac-{stimulus}-{name}",
        f"{title} {state.words} of a SAC guest",
        what + why,
        *(*state.steps, *steps(state)),
        **_fields(state, stimulus.partition("-")[0], is_critical=name == "prompt"),
    )


def _fields(state: _State, tag: str, *, is_critical: bool = False) -> Fields:
    return {
        "severity": Severity.CRITICAL if is_critical else Severity.NORMAL,
        "tags": frozenset({"sac", tag}),
        "guest": GuestKind.SAC,
        "modules": frozenset() if state.knobs == SacKnobs() else say.KNOBS,
        "knobs": state.knobs,
    }


def _command(command: str, name: str, *, effects: Step, after: tuple[Step, ...]) -> Scenario:
    state = _STATES[name]
    what = f"Types `{command}` {state.words}. The guest must say what it is about to do, do it, and, "
    why = "where it restarts, answer again: this is how an operator restarts or stops a Windows guest."
    return scenario(
        f"sac-{command.partition(' ')[0]}-{name}",
        f"`{command}` typed {state.words}",
        what + why,
        *(*state.steps, Send(line=command), effects, *after),
        **_fields(state, "power"),
    )


_RESTARTS = Expect(effects=(say.GOES_DOWN, RESTARTS), within_s=90.0, allows=RESET)
_CRASHES = Expect(effects=(*say.bugcheck("0xE2"), RESTARTS), allows=say.CRASHES | RESET)

SCENARIOS = (
    *(
        _scenario(stimulus, name)
        for stimulus in _STIMULI
        for name in _STATES
        if (stimulus, name)
        != ("nmi", "menu")  # there the firmware gets the NMI, and what Windows does is not known
    ),
    _command("restart", "prompt", effects=_RESTARTS, after=_UP_AGAIN),
    _command("shutdown", "prompt", effects=say.ENDS, after=()),
    _command("crashdump", "prompt", effects=_CRASHES, after=_UP_AGAIN),
    _command("shutdown /r /t 0", "cmd", effects=_RESTARTS, after=_UP_AGAIN),
)
