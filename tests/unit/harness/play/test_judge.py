"""The judge believes bytes, not claims: each kind of step has a transcript that proves it, and false ones."""

from dataclasses import replace

import pytest

from emulator.console.marks import REFUSED, MarkKind
from emulator.console.transcript import Transcript
from harness.play.judge import judge
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import (
    Alive,
    Expect,
    Inject,
    Outcome,
    Reach,
    Run,
    Send,
    Shows,
    Signals,
    Silence,
    View,
)
from harness.scenario.stimulus import Button, Nmi, Press, SysRq
from harness.scenario.verdict import Reason, Status
from harness.signatures.scanner import scan_boots
from tests.support.fake_guest import KERNEL_LINE, PANIC, PROMPT, ScriptedTranscript

BANG = Shows(pattern=r"bang\n", says="a bang")
USER_BANG = Shows(pattern=r"bang\n", says="a bang", view=View.USER)
RECORD = b"[    1.000001] scsi\r\n"
RESET = Signals(name="RESET", says="the machine restarts")
LOGIN = b"\r\nttylab login: "


class Story:
    """A transcript told line by line, each a second after the one before."""

    def __init__(self, transcript=None):
        self.transcript = transcript or ScriptedTranscript()

    def out(self, data):
        self.transcript.fake.advance(1.0)
        self.transcript.append(data)
        return self

    def passes(self, seconds):
        self.transcript.fake.advance(seconds)
        return self

    def typed(self, data):
        self.transcript.append_typed(data)
        return self

    def mark(self, kind, name, **detail):
        self.transcript.fake.advance(0.5)
        self.transcript.mark(kind, name, detail)
        return self

    def begin(self, index=0, **detail):
        return self.mark(MarkKind.STEP, "begin", index=index, step="", **detail)

    def end(self, index=0, outcome="done", **detail):
        return self.mark(MarkKind.STEP, "end", index=index, outcome=outcome, **detail)

    def stimulus(self, name="nmi", **detail):
        return self.mark(MarkKind.STIMULUS, name, **detail)

    def verdict(self, *steps, **fields):
        made = scenario(*steps, **fields)
        return judge(made, self.transcript, scan_boots(self.transcript.read(), [0])).verdict


def scenario(*steps, **fields):
    return Scenario(name="made-up", title="Made up", description="For a test.", steps=steps, **fields)


def story():
    return Story().mark(MarkKind.MACHINE, "started")


def marker(status):
    return b"ttylab-0001:%d:\r\n" % status


def ran(status=0, output=b"Linux\r\n", *, claims=None, marked=None):
    """A command that wrote `output`; the runner may claim another status, the marker another again."""
    told = story().begin()
    start = len(told.transcript)
    told.out(output + marker(status if marked is None else marked))
    span = [start, start + len(output)]
    return told.end(status=status if claims is None else claims, output=span)


NMI = Inject(stimulus=Nmi(), effects=(BANG,))
NOTHING = Inject(stimulus=Nmi(), outcome=Outcome.NO_EFFECT, unless=(BANG,))
UNAME = Run(command="uname", shows=Shows(pattern="Linux", says="it is Linux"))
ASKED = b"echo $((7919 * 104729)); echo x\r"

PROOFS = {
    "reach-firmware": (Reach(stage=Stage.FIRMWARE), lambda: story().begin().end()),
    "reach-kernel": (Reach(stage=Stage.KERNEL), lambda: story().begin().out(KERNEL_LINE).end()),
    "reach-login": (Reach(stage=Stage.LOGIN), lambda: story().begin().out(LOGIN).end()),
    "reach-login-spliced": (
        Reach(stage=Stage.LOGIN),
        lambda: story().begin().out(b"\r\nttylab lo" + RECORD + b"gin: ").end(),
    ),
    "reach-login-before-the-step": (Reach(stage=Stage.LOGIN), lambda: story().out(LOGIN).begin().end()),
    "reach-shell": (Reach(stage=Stage.SHELL), lambda: story().begin().out(LOGIN + b"\r\n" + PROMPT).end()),
    "reach-shell-without-login": (Reach(stage=Stage.SHELL), lambda: story().begin().out(PROMPT).end()),
    "run": (UNAME, ran),
    "run-any-status": (Run(command="uname", status=None), lambda: ran(3)),
    "run-without-output": (Run(command="true"), lambda: ran(output=b"")),
    "send": (Send(line="reboot"), lambda: story().begin().typed(b"reb").typed(b"oot\r").end()),
    "alive": (Alive(), lambda: story().begin().typed(ASKED).out(b"829348951\r\n").end()),
    "silence": (Silence(for_s=2.0), lambda: story().out(b"tick\n").begin().passes(2.0).end()),
    "silence-from-the-start": (Silence(for_s=1.0), lambda: story().begin().passes(1.0).end()),
    "expect": (Expect(effects=(BANG,)), lambda: story().begin().out(b"a bang\n").end()),
    "expect-before-its-mark": (
        Expect(effects=(BANG,)),
        lambda: story().out(b"a bang\n").begin(**{"from": 0}).end(),
    ),
    "expect-user": (
        Expect(effects=(USER_BANG,)),
        lambda: story().begin().out(b"ba" + RECORD + b"ng\n").end(),
    ),
    "expect-signal": (
        Expect(effects=(RESET,), allows=frozenset({"reset"})),
        lambda: story().begin().mark(MarkKind.QMP, "RESET").end(),
    ),
    "inject": (NMI, lambda: story().begin().stimulus().out(b"bang\n").end()),
    "inject-second-attempt": (NMI, lambda: story().begin().stimulus().stimulus().out(b"bang\n").end()),
    "inject-nothing": (NOTHING, lambda: story().begin().stimulus().out(b"hum\n").end()),
}

FALSE_CLAIMS = {
    "reach-firmware": (Reach(stage=Stage.FIRMWARE), lambda: Story().begin().end()),
    "reach-kernel": (Reach(stage=Stage.KERNEL), lambda: story().begin().out(b"Linux\r\n").end()),
    "reach-login": (Reach(stage=Stage.LOGIN), lambda: story().begin().out(b"\r\nttylab log: ").end()),
    "reach-login-of-an-earlier-boot": (
        Reach(stage=Stage.LOGIN, allows=frozenset({"reset"})),
        lambda: story().out(LOGIN).begin().mark(MarkKind.QMP, "RESET").end(),
    ),
    "reach-login-after-the-step": (Reach(stage=Stage.LOGIN), lambda: story().begin().end().out(LOGIN)),
    "reach-shell": (
        Reach(stage=Stage.SHELL),
        lambda: story().out(PROMPT + b"exit\r\n").begin().out(LOGIN).end(),
    ),
    "run-without-marker": (UNAME, lambda: ran(marked=None).end(0, output=[0, 3], status=0)),
    "run-with-another-status": (UNAME, lambda: ran(1, claims=0)),
    "run-claiming-no-span": (UNAME, lambda: story().begin().out(b"Linux\r\n" + marker(0)).end(status=0)),
    "run-with-wrong-status": (UNAME, lambda: ran(7)),
    "run-with-other-output": (UNAME, lambda: ran(output=b"Minix\r\n")),
    "send": (Send(line="reboot"), lambda: story().begin().typed(b"reb").end()),
    "send-before-the-step": (Send(line="reboot"), lambda: story().typed(b"reboot\r").begin().end()),
    "alive-never-asked": (Alive(), lambda: story().begin().out(b"829348951\r\n").end()),
    "alive-wrong": (Alive(), lambda: story().begin().typed(ASKED).out(b"829348952\r\n").end()),
    "alive-only-echo": (
        Alive(),
        lambda: story().begin().typed(ASKED).out(b"$((7919 * 104729))\r\n").end(),
    ),
    "silence-too-short": (Silence(for_s=5.0), lambda: story().out(b"tick\n").begin().passes(2.0).end()),
    "silence-broken": (
        Silence(for_s=2.0),
        lambda: story().begin().passes(2.0).out(b"tick\n").passes(1.0).end(),
    ),
    "expect": (Expect(effects=(BANG,)), lambda: story().begin().out(b"a hum\n").end()),
    "expect-after-the-step": (Expect(effects=(BANG,)), lambda: story().begin().end().out(b"bang\n")),
    "expect-before-the-step": (Expect(effects=(BANG,)), lambda: story().out(b"bang\n").begin().end()),
    "expect-raw-spliced": (
        Expect(effects=(BANG,)),
        lambda: story().begin().out(b"ba" + RECORD + b"ng\n").end(),
    ),
    "expect-wrong-order": (
        Expect(effects=(BANG, Shows(pattern=r"hum\n", says="a hum"))),
        lambda: story().begin().out(b"hum\nbang\n").end(),
    ),
    "expect-signal": (
        Expect(effects=(RESET,), allows=frozenset({"reset"})),
        lambda: story().mark(MarkKind.QMP, "RESET").begin().end(),
    ),
    "inject-never": (NMI, lambda: story().begin().out(b"bang\n").end()),
    "inject-effect-before-it": (NMI, lambda: story().begin().out(b"bang\n").stimulus().end()),
    "inject-by-somebody-else": (
        NMI,
        lambda: story().begin().stimulus(by="control socket").out(b"bang\n").end(),
    ),
    "inject-nothing": (NOTHING, lambda: story().begin().stimulus().out(b"bang\n").end()),
}


@pytest.mark.parametrize("name", PROOFS)
def test_judge_passes_what_the_transcript_shows_and_cites_it(name):
    step, tell = PROOFS[name]
    verdict = tell().verdict(step)
    assert (verdict.status, verdict.reason, verdict.message) == (Status.PASSED, Reason.NONE, "")
    assert verdict.evidence


@pytest.mark.parametrize("name", FALSE_CLAIMS)
def test_judge_does_not_believe_a_claim_that_the_transcript_does_not_show(name):
    step, tell = FALSE_CLAIMS[name]
    verdict = tell().verdict(step)
    assert (verdict.status, verdict.reason, verdict.step) == (Status.BROKEN, Reason.NO_EVIDENCE, 0)
    assert "the transcript does not show it" in verdict.message


@pytest.mark.parametrize(
    ("outcome", "reason", "status"),
    [
        ("failed", "timeout", Status.FAILED),
        ("broken", "lab", Status.BROKEN),
        ("skipped", "unsupported", Status.SKIPPED),
    ],
)
def test_judge_takes_over_what_the_runner_says_of_a_failure(outcome, reason, status):
    told = story().begin().end(outcome=outcome, reason=reason, message="as said").begin(1).end(1)
    verdict = told.verdict(Alive(), Alive())
    assert (verdict.status, verdict.reason, verdict.message, verdict.step) == (status, reason, "as said", 0)


def test_judge_cites_the_alarm_that_ended_a_step():
    told = story().begin().out(PANIC)
    alarm = {"title": "a panic", "start": 0, "end": len(PANIC), "at": None}
    told.end(outcome="failed", reason="died", message="it died", alarm=alarm)
    (proof,) = told.verdict(Alive()).evidence
    assert (proof.says, proof.start, proof.end, proof.at) == ("a panic", 0, len(PANIC), 2.0)


def test_judge_cites_a_mark_at_the_end_of_the_transcript_by_its_own_moment():
    told = story().begin().out(b"bye\r\n")
    alarm = {"title": "qmp RESET", "start": 5, "end": 5, "at": 1.75}
    told.end(outcome="failed", reason="left", message="it left", alarm=alarm)
    assert told.verdict(Alive()).evidence[0].at == 1.75


@pytest.mark.parametrize("told", [story(), story().begin()], ids=["not begun", "never ended"])
def test_step_without_its_marks_is_broken(told):
    verdict = told.verdict(Alive())
    assert (verdict.status, verdict.reason, verdict.step) == (Status.BROKEN, Reason.LAB, 0)


def test_truncated_transcript_proves_nothing_not_even_a_failure():
    for outcome in ("done", "failed"):
        told = story().begin().out(LOGIN).end(outcome=outcome, reason="timeout", message="late")
        told.transcript._truncated = "the disk is full"
        verdict = told.verdict(Reach(stage=Stage.LOGIN))
        assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.TRUNCATED)
        assert verdict.message == "the disk is full"


def test_finding_that_no_step_allows_fails_a_cell_whose_steps_are_done():
    told = story().begin().out(LOGIN + b"\r\n" + PANIC).end()
    verdict = told.verdict(Reach(stage=Stage.LOGIN))
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.FINDING)
    assert "kernel panic" in verdict.message
    assert verdict.evidence[-1].start == len(LOGIN) + 2


def test_finding_that_a_step_allows_is_right_from_that_step_on():
    allows = frozenset({"panic"})
    told = story().begin().out(LOGIN).end().begin(1).out(b"\r\n" + PANIC + b"bang\n").end(1)
    assert told.verdict(Reach(stage=Stage.LOGIN), Expect(effects=(BANG,), allows=allows)).status == "passed"
    early = story().begin().out(PANIC + LOGIN).end().begin(1).out(b"bang\n").end(1)
    verdict = early.verdict(Reach(stage=Stage.LOGIN), Expect(effects=(BANG,), allows=allows))
    assert verdict.reason is Reason.FINDING


def test_finding_in_the_line_of_a_prompt_belongs_to_the_step_in_which_the_kernel_wrote_it():
    inject = Inject(stimulus=Nmi(), effects=(BANG,), allows=frozenset({"panic"}))
    told = story().begin().out(PROMPT).end().begin(1).stimulus().out(PANIC + b"bang\n").end(1)
    assert told.verdict(Reach(stage=Stage.SHELL), inject).status is Status.PASSED


@pytest.mark.parametrize("word", ["RESET", "SHUTDOWN", "GUEST_PANICKED", "WATCHDOG"])
def test_mark_that_no_step_allows_fails_a_cell_whose_steps_are_done(word):
    told = story().begin().out(LOGIN).mark(MarkKind.QMP, word).out(LOGIN).end()
    verdict = told.verdict(Reach(stage=Stage.LOGIN))
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.FINDING)
    assert word in verdict.message
    assert verdict.evidence[-1].at == 2.5


@pytest.mark.parametrize(("kind", "word"), [(MarkKind.MACHINE, "gone"), (MarkKind.LAB, "stopped")])
def test_fault_of_the_lab_amid_steps_that_are_done_breaks_the_cell(kind, word):
    told = story().begin().out(LOGIN).mark(kind, word).out(LOGIN).end()
    verdict = told.verdict(Reach(stage=Stage.LOGIN))
    assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.LAB)
    assert word in verdict.message


def test_marks_behind_the_last_step_are_how_a_machine_ends():
    told = story().begin().out(LOGIN).end().mark(MarkKind.QMP, "SHUTDOWN").mark(MarkKind.MACHINE, "off")
    assert told.verdict(Reach(stage=Stage.LOGIN)).status is Status.PASSED


def test_suppressed_findings_are_no_alarms_unless_the_guest_died():
    """A panic is the end also where it follows from an oops that a step allows."""
    made = scenario(Reach(stage=Stage.LOGIN))
    told = story().begin().out(PANIC + LOGIN).end()
    (panic,) = scan_boots(told.transcript.read(), [0])
    for fatal, suppressed, alarms in ((True, False, 1), (True, True, 1), (False, True, 0), (False, False, 1)):
        finding = replace(panic, fatal=fatal, suppressed=suppressed)
        assert len(judge(made, told.transcript, [finding]).alarms) == alarms


@pytest.mark.parametrize("code", [b"0x00000100", b"0x0000000b"])
def test_init_that_ends_is_an_alarm_whatever_its_status(code):
    panic = b"[    2.0] Kernel panic - not syncing: Attempted to kill init! exitcode=" + code + b"\r\n"
    verdict = story().begin().out(LOGIN + panic).end().verdict(Reach(stage=Stage.LOGIN))
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.FINDING)


def test_injections_tell_outcome_and_latency():
    told = (
        story().begin().stimulus().out(b"hum\n").out(b"bang\n").end().begin(1).stimulus().out(b"-\n").end(1)
    )
    effective, without = told.verdict(NMI, NOTHING).injections
    assert (effective.outcome, effective.latency_s) == (Outcome.EFFECTIVE, 2.0)
    assert (without.outcome, without.latency_s) == (Outcome.NO_EFFECT, None)
    assert effective.at == pytest.approx(1.5)


def test_latency_of_a_signal_is_that_of_its_mark():
    step = Inject(stimulus=Nmi(), effects=(RESET,), allows=frozenset({"reset"}))
    (injection,) = story().begin().stimulus().mark(MarkKind.QMP, "RESET").end().verdict(step).injections
    assert injection.latency_s == 0.5


PUSH = Inject(stimulus=Press(button=Button.RESET), effects=(RESET,), allows=frozenset({"reset"}))


def test_reset_is_proven_by_the_guest_and_not_by_qemu_alone():
    hung = story().begin().stimulus("reset").out(b"last words").mark(MarkKind.QMP, "RESET").passes(9).end()
    verdict = hung.verdict(PUSH)
    assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.NO_EVIDENCE)
    assert verdict.injections[0].outcome is Outcome.NO_EFFECT
    back = story().begin().stimulus("reset").mark(MarkKind.QMP, "RESET").out(b"SeaBIOS").end().verdict(PUSH)
    assert (back.status, back.injections[0].latency_s) == (Status.PASSED, 1.5)


def test_text_of_the_old_boot_is_no_effect_behind_a_restart():
    starts = Inject(stimulus=PUSH.stimulus, effects=(RESET, BANG), allows=frozenset({"reset"}))
    told = story().begin().stimulus("reset").out(b"bang\n").mark(MarkKind.QMP, "RESET").out(b"hum\n").end()
    assert told.verdict(starts).reason is Reason.NO_EVIDENCE


REFUSAL = b"[    4.200000] sysrq: This sysrq operation is disabled.\r\n"


def test_refusal_is_no_effect_of_a_system_request_unless_it_is_expected():
    any_answer = Shows(pattern=r"sysrq: ", says="an answer")
    step = Inject(stimulus=SysRq(key="m"), effects=(any_answer,))
    told = story().begin().stimulus("sysrq-m by break").out(REFUSAL).end()
    verdict = told.verdict(step)
    assert (verdict.status, verdict.reason, verdict.step) == (Status.FAILED, Reason.NO_EFFECT, 0)
    assert "the guest refused" in verdict.message
    assert verdict.injections[0].outcome is Outcome.NO_EFFECT
    wanted = Shows(pattern=r"sysrq operation is disabled\.[^\n]*\n", says="the kernel refuses")
    assert told.verdict(Inject(stimulus=SysRq(key="m"), effects=(wanted,))).status is Status.PASSED
    both = story().begin().stimulus("sysrq-h by break").out(b"[    4.1] sysrq: HELP : x\r\n" + REFUSAL).end()
    assert both.verdict(Inject(stimulus=SysRq(key="h"), effects=(any_answer,))).status is Status.PASSED


def test_injection_of_a_failed_step_is_told_too():
    told = story().begin().stimulus().end(outcome="failed", reason="no-effect", message="nothing")
    (injection,) = told.verdict(NMI).injections
    assert injection.outcome is Outcome.NO_EFFECT


def test_empty_transcript_is_broken():
    assert judge(scenario(Alive()), Transcript(), ()).verdict.status is Status.BROKEN


# -- what people do by hand --------------------------------------------------------------------

LOGS_IN = Reach(stage=Stage.LOGIN)


def touched(told, name="qmp system_reset"):
    return told.mark(MarkKind.STIMULUS, name, by="control socket")


def test_passed_says_what_was_done_by_hand():
    told = touched(story().begin()).out(LOGIN).end()
    at = told.transcript.marks[2].at
    verdict = told.verdict(LOGS_IN)
    assert (verdict.status, verdict.message) == (Status.PASSED, f"by hand: qmp system_reset at {at:.1f} s")


def test_failed_becomes_broken_since_nothing_is_known_of_the_guest():
    told = touched(touched(story().begin()), "gdb")
    verdict = told.end(outcome="failed", reason="timeout", message="no login").verdict(LOGS_IN)
    assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.LAB)
    assert verdict.message.startswith("no login; by hand: qmp system_reset at ")
    assert verdict.message.endswith(" s, so nothing is known of the guest")
    assert ", gdb at " in verdict.message


@pytest.mark.parametrize(
    "told",
    [
        lambda: touched(story().begin().out(LOGIN).end()),  # after the last step: it decided nothing
        lambda: touched(story().begin()).mark(MarkKind.LAB, REFUSED).out(LOGIN).end(),
        lambda: story().begin().stimulus().out(LOGIN).end(),  # the scenario's own
    ],
)
def test_what_could_change_nothing_is_not_told(told):
    verdict = told().verdict(LOGS_IN)
    assert (verdict.status, verdict.message) == (Status.PASSED, "")


def test_failure_stays_the_guests_if_it_was_touched_afterwards():
    told = story().begin().end(outcome="failed", reason="timeout", message="no login")
    verdict = touched(told).verdict(LOGS_IN)
    assert (verdict.status, verdict.message) == (Status.FAILED, "no login")
