"""Scenarios, stimuli and stages as values: what they refuse, allow and need, and how they read."""

import pytest

from emulator.console.marks import MarkKind
from emulator.errors import SpecError
from emulator.machine.control import Capability
from harness.play.session import show_tail
from harness.play.traces import boot_offsets, find_stages
from harness.scenario.kind import GuestKind
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage, is_before
from harness.scenario.steps import (
    Alive,
    Expect,
    Inject,
    Keys,
    Outcome,
    Reach,
    Run,
    Send,
    Shows,
    Signals,
    describe_step,
)
from harness.scenario.stimulus import Button, Nmi, Press, SysRq, Via
from tests.support.fake_guest import KERNEL_LINE, ScriptedTranscript

BANG = Shows(pattern=r"bang\n", says="a bang")
RESTARTS = Signals(name="RESET", says="a restart")


def scenario(*steps, **fields):
    return Scenario(
        **{"name": "made-up", "title": "Made up", "description": "For a test.", "steps": steps} | fields
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Shows(pattern="(", says=""), r"pattern '\('"),
        (lambda: Shows(pattern="é", says=""), "pattern 'é'"),
        (lambda: Inject(stimulus=Nmi()), "inject nmi: needs effects"),
        (lambda: Inject(stimulus=Nmi(), outcome=Outcome.NO_EFFECT), "needs unless and no effects"),
        (
            lambda: Inject(stimulus=Nmi(), outcome=Outcome.NO_EFFECT, unless=(BANG,), effects=(BANG,)),
            "needs unless and no effects",
        ),
        (lambda: Expect(effects=()), "needs at least one effect"),
        (lambda: SysRq(key=""), "sysrq key ''"),
        (lambda: SysRq(key="hh"), "sysrq key 'hh'"),
        (lambda: SysRq(key="\n"), "need one printable ASCII character"),
        (lambda: SysRq(key="ä"), "need one printable ASCII character"),
        (lambda: scenario(Alive(), name="Made Up"), "scenario name 'Made Up'"),
        (lambda: scenario(Alive(), title=""), "must not be empty"),
        (lambda: scenario(Alive(), description=""), "must not be empty"),
        (scenario, "must not be empty"),
    ],
)
def test_value_that_means_nothing_is_refused(make, said):
    with pytest.raises(SpecError, match=said):
        make()


def test_allowances_grow_from_step_to_step():
    made = scenario(
        Alive(allows=frozenset({"a"})),
        Alive(),
        Alive(allows=frozenset({"b"})),
    )
    assert [made.allowed(index) for index in range(3)] == [{"a"}, {"a"}, {"a", "b"}]


def test_step_that_only_types_may_see_what_the_step_behind_it_may():
    made = scenario(
        Send(line="first"),
        Keys(keys="x", says="x"),
        Alive(allows=frozenset({"a"})),
        Send(line="last"),
        guest=GuestKind.SAC,
    )
    assert [made.allowed(index) for index in range(4)] == [{"a"}] * 4
    assert [made.cause_of(index) for index in range(4)] == [0, 0, 0, 3]
    assert scenario(Alive(), Send(line="x"), Alive(allows=frozenset({"a"}))).allowed(0) == frozenset()


def test_scenario_needs_what_its_stimuli_need():
    steps = (
        Inject(stimulus=Nmi(), effects=(BANG,)),
        Inject(stimulus=SysRq(key="h"), effects=(BANG,)),
        Inject(stimulus=SysRq(key="h", via=Via.KEYBOARD), effects=(BANG,)),
        Inject(stimulus=SysRq(key="h", via=Via.PROC), effects=(BANG,)),
        *(Inject(stimulus=Press(button=button), effects=(BANG,)) for button in Button),
    )
    assert scenario(*steps, requires=frozenset({Capability.SOFT_OFF})).needs == {
        Capability.NMI,
        Capability.SERIAL_BREAK,
        Capability.KEYBOARD,
        Capability.RESET,
        Capability.POWER_BUTTON,
        Capability.POWER_CYCLE,
        Capability.SOFT_OFF,
    }
    assert scenario(steps[3]).needs == frozenset()


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Reach(stage=Stage.SHELL), "reach shell"),
        (Run(command="uname"), "run: uname"),
        (Send(line="reboot"), "type: reboot"),
        (Send(line="secret", echo=False), "type a password"),
        (
            Inject(stimulus=SysRq(key="b"), effects=(BANG, RESTARTS)),
            "inject sysrq-b by break: a bang, then a restart",
        ),
        (
            Inject(stimulus=Nmi(), outcome=Outcome.NO_EFFECT, unless=(BANG,)),
            "inject nmi: must have no effect",
        ),
        (Expect(effects=(BANG,)), "expect: a bang"),
        (Alive(), "the guest still answers"),
    ],
)
def test_step_reads_as_one_line(step, text):
    assert describe_step(step) == text


def test_stages_are_in_order():
    assert " ".join(Stage) == "firmware loader kernel sac cmd login shell"
    assert is_before(Stage.KERNEL, Stage.LOGIN)
    assert not is_before(Stage.LOGIN, Stage.LOGIN)


def test_stages_are_found_for_each_boot():
    transcript = ScriptedTranscript()
    transcript.mark(MarkKind.MACHINE, "started")
    for boot in range(2):
        for data in (b"SeaBIOS\r\n", b"GNU GRUB  version 2.06\r\n", KERNEL_LINE):
            transcript.fake.advance(1.0)
            transcript.append(data)
        transcript.mark(MarkKind.STAGE, "login")
        if boot == 0:
            transcript.fake.advance(1.0)
            transcript.mark(MarkKind.QMP, "RESET")
            transcript.mark(MarkKind.QMP, "RESET")
    found = [(one.boot, one.stage, one.at) for one in find_stages(transcript)]
    assert found == [
        (0, "firmware", 0.0), (0, "loader", 2.0), (0, "kernel", 3.0), (0, "login", 3.0),
        (1, "firmware", 4.0), (1, "loader", 6.0), (1, "kernel", 7.0), (1, "login", 7.0),
    ]  # fmt: skip
    assert boot_offsets(transcript) == [0, len(transcript) // 2]


def test_tail_is_short_and_safe_to_show():
    transcript = ScriptedTranscript()
    transcript.append(b"one\r\n\r\ntwo \x1b[31m\r\n" + b"x" * 500 + b"\r\n")
    shown = show_tail(transcript, 2).splitlines()
    assert len(shown) == 2
    assert "\x1b" not in shown[0]
    assert shown[1] == "x" * 200
    assert show_tail(ScriptedTranscript(), 3) == ""
