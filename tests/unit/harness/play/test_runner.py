"""Players on a scripted guest: what each step does, what becomes of what goes wrong, and its verdict."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

from emulator.clock import Deadline, FairClock
from emulator.console.marks import MarkKind
from emulator.errors import ControlError
from emulator.machine.control import Capability
from harness.cells.cell import parse_cell_id
from harness.guests.linux import LinuxGuest
from harness.play.judge import judge
from harness.play.runner import DELAYED, HostShare, Player
from harness.play.target import Target
from harness.play.traces import boot_offsets
from harness.run.result import draft_of_cell, judged
from harness.scenario.errors import ExpectTimeout
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import (
    REACTION_S,
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
from harness.scenario.stimulus import Button, Nmi, Press, SysRq, Via
from harness.scenario.verdict import Reason, Status
from harness.signatures.scanner import scan_boots
from tests.support.fake_guest import EVERYTHING, HELP, PANIC, FakeControl, FakeGuest, make_target

SHELL = Reach(stage=Stage.SHELL)
PANICS = Shows(pattern=r"Kernel panic[^\n]*\n", says="the kernel panics")
HELPS = Shows(pattern=r"sysrq: HELP[^\n]*\n", says="the kernel helps")
RESTARTS = Signals(name="RESET", says="the machine restarts")
BOOTS = Shows(pattern=r"Linux version [^\n]*\n", says="a kernel starts")


def scenario(*steps, **fields):
    return Scenario(name="made-up", title="Made up", description="For a test.", steps=steps, **fields)


def play(made, target, **options):
    player = Player(
        scenario=made, target=target, open_guest=LinuxGuest, clock=target.channel.transcript.clock, **options
    )
    player.play()
    return verdict_on(made, target.channel.transcript)


def verdict_on(made, transcript):
    return judge(made, transcript, scan_boots(transcript.read(), boot_offsets(transcript))).verdict


def ends(transcript):
    return [mark.detail for mark in transcript.marks if mark.kind is MarkKind.STEP and mark.name == "end"]


def test_player_boots_logs_in_runs_and_proves_life():
    guest = FakeGuest(commands={b"uname": (b"Linux\r\n", 0)})
    target, _, _ = make_target(guest)
    seen = []
    made = scenario(
        Reach(stage=Stage.KERNEL),
        Reach(stage=Stage.LOGIN),
        SHELL,
        Run(command="uname", shows=Shows(pattern=r"Linux\r\n", says="it is Linux")),
        Alive(),
    )
    verdict = play(made, target, on_step=lambda number, text: seen.append((number, text)))
    assert (verdict.status, verdict.message) == (Status.PASSED, "")
    assert seen[3] == (3, "run: uname")
    assert [mark.name for mark in guest.transcript.marks if mark.kind is MarkKind.STAGE] == [
        "kernel",
        "login",
        "shell",
    ]


def test_player_finds_the_effect_of_an_injection_and_its_latency():
    target, guest, control = make_target()
    control.reactions["nmi"] = lambda: guest.transcript.later(0.25, lambda: guest.say(PANIC))
    verdict = play(
        scenario(SHELL, Inject(stimulus=Nmi(), effects=(PANICS,), allows=frozenset({"panic"}))), target
    )
    assert verdict.status is Status.PASSED
    (injection,) = verdict.injections
    assert (injection.stimulus, injection.outcome) == ("nmi", Outcome.EFFECTIVE)
    assert injection.latency_s == pytest.approx(0.25)
    assert "the kernel panics" in [one.says for one in verdict.evidence]


def test_injection_without_effect_is_its_own_verdict():
    target, _, _ = make_target()
    verdict = play(scenario(SHELL, Inject(stimulus=Nmi(), effects=(PANICS,))), target)
    assert (verdict.status, verdict.reason, verdict.step) == (Status.FAILED, Reason.NO_EFFECT, 1)
    assert verdict.injections[0].outcome is Outcome.NO_EFFECT
    assert verdict.injections[0].latency_s is None


def test_player_tries_again_what_may_be_lost():
    target, guest, control = make_target()

    def lose_twice():
        if control.done.count("send_break") == 3:
            guest.transcript.later(0.01, lambda: guest.say(HELP))

    control.reactions["send_break"] = lose_twice
    verdict = play(scenario(SHELL, Inject(stimulus=SysRq(key="h"), effects=(HELPS,), attempts=3)), target)
    assert verdict.status is Status.PASSED
    assert control.done.count("send_break") == 3
    assert verdict.injections[0].latency_s < 1


def test_player_waits_before_a_break_until_the_line_has_rested():
    target, guest, control = make_target()
    moments = []
    control.reactions["send_break"] = lambda: moments.append(guest.transcript.now())
    play(scenario(SHELL, Alive(), Inject(stimulus=SysRq(key="h"), effects=(HELPS,))), target)
    typed = guest.transcript.typed
    assert moments[0] - typed[-2].at == pytest.approx(0.05)
    assert typed[-1].data == b"h"
    assert typed[-1].at - moments[0] == pytest.approx(0.03)


def test_player_leaves_a_system_request_to_the_control():
    class Whole(FakeControl):
        def sysrq(self, key, deadline):
            self._do(f"sysrq {key}")
            self.guest.say(HELP)

    target, guest, _ = make_target()
    whole = Whole(guest)
    target = replace(target, control=whole)
    verdict = play(scenario(SHELL, Inject(stimulus=SysRq(key="h"), effects=(HELPS,))), target)
    assert (verdict.status, whole.done) == (Status.PASSED, ["sysrq h"])
    assert verdict.injections[0].stimulus == "sysrq-h by break"
    assert b"h" not in [typed.data for typed in guest.transcript.typed]


@pytest.mark.parametrize(
    ("via", "done"), [(Via.KEYBOARD, "press_keys alt-sysrq-h"), (Via.PROC, None), (Via.BREAK, "send_break")]
)
def test_player_knows_three_ways_to_a_system_request(via, done):
    guest = FakeGuest(commands={b"echo h > /proc/sysrq-trigger": (HELP, 0)})
    target, _, control = make_target(guest)
    for name in ("press_keys alt-sysrq-h", "send_break"):
        control.reactions[name] = lambda: guest.transcript.later(0.1, lambda: guest.say(HELP))
    verdict = play(scenario(SHELL, Inject(stimulus=SysRq(key="h", via=via), effects=(HELPS,))), target)
    assert verdict.status is Status.PASSED
    assert done is None or done in control.done


@pytest.mark.parametrize("button", Button)
def test_player_pushes_every_button(button):
    target, _, control = make_target()
    play(scenario(SHELL, Inject(stimulus=Press(button=button), effects=(RESTARTS,))), target)
    wanted = button.value.replace("-", "_")
    assert wanted in control.done


def test_reset_that_leaves_the_guest_silent_has_no_effect():
    target, guest, _ = make_target()
    guest.boot = lambda: None
    push = Inject(stimulus=Press(button=Button.RESET), effects=(RESTARTS,), allows=frozenset({"reset"}))
    verdict = play(scenario(SHELL, push), target)
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.NO_EFFECT)
    assert "reset had no effect: ttyS0: the guest shows nothing" in verdict.message
    assert verdict.injections[0].outcome is Outcome.NO_EFFECT


def test_slow_firmware_has_the_time_of_a_boot_to_show_itself():
    target, guest, _ = make_target()
    boot, slow = guest.boot, 3 * REACTION_S
    guest.boot = lambda: guest.transcript.later(slow, boot)
    push = Inject(stimulus=Press(button=Button.RESET), effects=(RESTARTS,), allows=frozenset({"reset"}))
    verdict = play(scenario(SHELL, push), target)
    assert verdict.status is Status.PASSED
    assert verdict.injections[0].latency_s > slow


REFUSED = b"[    4.200000] sysrq: This sysrq operation is disabled.\r\n"


@pytest.mark.parametrize("expected", [HELPS, Signals(name="RESET", says="the machine restarts")])
def test_request_that_the_guest_refuses_is_refused_and_not_tried_again(expected):
    target, guest, control = make_target()
    control.reactions["send_break"] = lambda: guest.transcript.later(0.1, lambda: guest.say(REFUSED))
    step = Inject(stimulus=SysRq(key="b"), effects=(expected,), attempts=3, allows=frozenset({"reset"}))
    verdict = play(scenario(SHELL, step), target)
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.NO_EFFECT)
    assert "the guest refused sysrq-b by break" in verdict.message
    assert control.done.count("send_break") == 1


def test_request_that_a_shell_refuses_is_refused():
    denied = b"-sh: can't create /proc/sysrq-trigger: Permission denied\r\n"
    target, _, _ = make_target(FakeGuest(commands={b"echo h > /proc/sysrq-trigger": (denied, 1)}))
    verdict = play(scenario(SHELL, Inject(stimulus=SysRq(key="h", via=Via.PROC), effects=(HELPS,))), target)
    assert (verdict.reason, verdict.message) == (Reason.NO_EFFECT, "the guest refused sysrq-h by proc")


def test_player_logs_in_anew_after_a_reset():
    target, guest, _ = make_target()
    push = Inject(stimulus=Press(button=Button.RESET), effects=(RESTARTS,), allows=frozenset({"reset"}))
    verdict = play(scenario(SHELL, push, SHELL, Alive()), target)
    assert (verdict.status, verdict.message) == (Status.PASSED, "")
    assert guest.transcript.read().count(b"Password: ") == 2


def on_a_line(guest):
    """Return a target whose guest runs already, and of whose restarts nobody reports."""
    guest.ask_login()
    return Target(name="line", channel=guest, control=FakeControl(guest))


class RebootingGuest(FakeGuest):
    def _run(self, line):
        if line == b"reboot":
            self.state = "off"
            self.transcript.later(2.0, self.boot)
        else:
            super()._run(line)


def test_restart_that_nobody_reports_is_seen_by_the_kernels_first_line():
    guest = RebootingGuest()
    awaits = Expect(effects=(RESTARTS, BOOTS), allows=frozenset({"reset"}))
    verdict = play(scenario(SHELL, Send(line="reboot"), awaits, SHELL, Alive()), on_a_line(guest))
    assert (verdict.status, verdict.message) == (Status.PASSED, "")
    (mark,) = [mark for mark in guest.transcript.marks if mark.name == "RESET"]
    assert mark.kind is MarkKind.MACHINE
    assert guest.transcript.read(int(mark.detail["from"])).startswith(b"Linux version ")


def test_restart_that_does_not_come_and_nobody_reports_fails():
    verdict = play(scenario(SHELL, Expect(effects=(RESTARTS,))), on_a_line(FakeGuest()))
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.TIMEOUT)


def test_reset_of_a_board_is_what_its_command_did_and_the_guest_shows():
    guest = FakeGuest()
    target = on_a_line(guest)

    def reset():
        for name in ("RESET", "started"):
            guest.transcript.mark(MarkKind.MACHINE, name, {"by": "reset"})

    target.control.reset = lambda deadline: (reset(), guest.transcript.later(2.0, guest.boot))
    push = Inject(stimulus=Press(button=Button.RESET), effects=(RESTARTS, BOOTS), allows=frozenset({"reset"}))
    verdict = play(scenario(SHELL, push, SHELL, Alive()), target)
    assert (verdict.status, verdict.message) == (Status.PASSED, "")
    target = on_a_line(guest := FakeGuest())
    target.control.reset = lambda deadline: reset()
    assert play(scenario(SHELL, push), target).reason is Reason.NO_EFFECT


def test_old_prompt_is_no_login_of_the_next_boot():
    target, guest, control = make_target()
    control.reactions["reset"] = lambda: guest.say(b"\r\nttylab login: ")  # the old boot's last words
    push = Inject(stimulus=Press(button=Button.RESET), effects=(RESTARTS,), allows=frozenset({"reset"}))
    verdict = play(scenario(SHELL, push, SHELL), target)
    assert verdict.status is Status.PASSED
    assert guest.transcript.typed[-2].at >= 4.0


def test_no_effect_is_right_where_none_is_wanted():
    target, _guest, _ = make_target()
    step = Inject(stimulus=Nmi(), outcome=Outcome.NO_EFFECT, unless=(PANICS,), quiet_s=2.0)
    verdict = play(scenario(SHELL, step, Alive()), target)
    assert verdict.status is Status.PASSED
    assert verdict.injections[0].outcome is Outcome.NO_EFFECT
    assert "nmi has no effect" in [one.says for one in verdict.evidence]


@pytest.mark.parametrize("view", View)
def test_effect_is_wrong_where_none_is_wanted_in_either_view(view):
    target, guest, control = make_target()
    control.reactions["nmi"] = lambda: guest.say(b"a b[    1.000001] x\r\nang\r\n")
    other = Shows(pattern="never seen", says="another thing", view=View.RAW)
    pattern = r"a bang\r\n" if view is View.USER else r"\[    1\.000001\] x"
    unless = (other, Shows(pattern=pattern, says="a bang", view=view))
    verdict = play(scenario(SHELL, Inject(stimulus=Nmi(), outcome=Outcome.NO_EFFECT, unless=unless)), target)
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.UNWANTED_EFFECT)
    assert "a bang" in verdict.message
    assert verdict.injections[0].outcome is Outcome.EFFECTIVE


def test_what_came_before_the_injection_is_no_effect_of_it():
    target, guest, _control = make_target()
    made = scenario(
        SHELL,
        Send(line="echo"),
        Inject(stimulus=Nmi(), effects=(HELPS,), within_s=2.0),
    )
    guest.commands = {b"echo": (HELP, 0)}
    verdict = play(made, target)
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.NO_EFFECT)


def test_effect_that_came_before_its_step_began_still_counts():
    guest = FakeGuest(commands={b"bang": (b"a bang\r\n", 0)})
    target, _, _ = make_target(guest)
    bang = Shows(pattern=r"a bang\r\n", says="a bang")
    verdict = play(scenario(SHELL, Send(line="bang"), Expect(effects=(bang,))), target)
    assert (verdict.status, verdict.message) == (Status.PASSED, "")


def test_password_is_typed_without_waiting_for_its_echo():
    target, _guest, _ = make_target()
    asks = Shows(pattern="Password: ", says="asks", view=View.USER)
    refuses = Shows(pattern=r"incorrect\r\n", says="refuses")
    made = scenario(
        Reach(stage=Stage.LOGIN),
        Send(line="root"),
        Expect(effects=(asks,)),
        Send(line="wrong", echo=False),
        Expect(effects=(refuses, Shows(pattern="login: ", says="asks again", view=View.USER))),
        SHELL,
    )
    assert play(made, target).status is Status.PASSED


def test_wrong_status_fails_the_guest():
    target, _, _ = make_target()
    verdict = play(scenario(SHELL, Run(command="nonsense")), target)
    assert (verdict.status, verdict.reason, verdict.step) == (Status.FAILED, Reason.COMMAND, 1)
    assert verdict.message == "'nonsense' ended with status 127, need 0"


def test_any_status_will_do_where_none_is_named():
    target, _, _ = make_target()
    assert play(scenario(SHELL, Run(command="nonsense", status=None)), target).status is Status.PASSED


def test_wrong_output_fails_the_guest():
    target, _, _ = make_target(FakeGuest(commands={b"uname": (b"Minix\r\n", 0)}))
    step = Run(command="uname", shows=Shows(pattern="Linux", says="it is Linux"))
    verdict = play(scenario(SHELL, step), target)
    assert (verdict.status, verdict.message) == (Status.FAILED, "'uname' did not show it is Linux")


def test_refused_account_fails_the_guest():
    target, _, _ = make_target(FakeGuest(password=b"changed"))
    verdict = play(scenario(SHELL), target)
    assert verdict.status is Status.FAILED
    assert "refused the account" in verdict.message


def test_silent_guest_fails_by_the_steps_own_time():
    target, guest, _ = make_target()
    guest.deaf = True
    verdict = play(scenario(Reach(stage=Stage.LOGIN), Expect(effects=(PANICS,), within_s=7.0)), target)
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.TIMEOUT)
    assert "7.0 s" in verdict.message


def test_all_steps_together_have_a_limit():
    target, guest, _ = make_target()
    verdict = play(scenario(SHELL, Expect(effects=(PANICS,), within_s=500.0)), target, time_limit_s=5.0)
    assert verdict.reason is Reason.TIMEOUT
    assert guest.transcript.now() < 8


def test_time_scale_stretches_every_wait():
    target, guest, _ = make_target()
    play(scenario(SHELL, Expect(effects=(PANICS,), within_s=10.0)), target, time_scale=3.0)
    assert 32 < guest.transcript.now() < 36


@pytest.fixture
def make_busy():
    """Make a target, its guest, and the clock of a host that withholds a share of the time."""

    def make(share):
        target, guest, _ = make_target()
        time = guest.transcript.clock
        return target, guest, FairClock(time, withheld=lambda: share * time.monotonic())

    return make


def play_fair(target, clock, *, meanwhile=lambda: None):
    made = scenario(SHELL, Expect(effects=(LATE,), within_s=5.0))

    def on_step(index, _):
        return meanwhile() if index == 1 else None

    Player(scenario=made, target=target, open_guest=LinuxGuest, clock=clock, on_step=on_step).play()
    return verdict_on(made, target.channel.transcript)


def chatter(guest, *, seconds=200):
    for moment in range(seconds):
        guest.transcript.later(0.5 + moment, lambda: guest.say(b"still at it\r\n"))


LATE = Shows(pattern="late at last[.]", says="it answers")


def test_guest_on_a_busy_host_has_longer_for_its_answer(make_busy):
    target, guest, clock = make_busy(0.75)
    late = partial(guest.transcript.later, 16.0, lambda: guest.say(b"late at last."))
    assert play_fair(target, clock, meanwhile=late).status is Status.PASSED


def test_guest_that_still_answers_on_a_busy_host_is_not_blamed(make_busy):
    target, guest, clock = make_busy(0.75)
    verdict = play_fair(target, clock, meanwhile=partial(chatter, guest))
    assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.TOO_SLOW)
    assert "the host gave lab and guest 25% of the time" in verdict.message
    assert "the time was over while the guest still answers" in verdict.message


def test_silent_guest_that_had_its_time_on_a_busy_host_has_failed(make_busy):
    target, _, clock = make_busy(0.75)
    verdict = play_fair(target, clock)
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.TIMEOUT)
    assert "which did not come in 5.0 s" in verdict.message


def test_nothing_is_known_of_a_guest_that_got_no_time_at_all(make_busy):
    target, _, clock = make_busy(0.99)
    verdict = play_fair(target, clock)
    assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.TOO_SLOW)


def test_guest_that_still_answers_on_a_free_host_has_failed_and_that_is_said(make_busy):
    target, guest, clock = make_busy(0.0)
    verdict = play_fair(target, clock, meanwhile=partial(chatter, guest))
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.TIMEOUT)
    assert "the time was over while the guest still answers" in verdict.message


def test_what_a_guest_showed_on_a_busy_host_still_counts(make_busy):
    target, guest, clock = make_busy(0.99)
    guest.transcript.later(3.0, lambda: guest.say(PANIC))
    verdict = play_fair(target, clock)
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.DIED)


def test_qemu_that_ends_by_a_signal_is_not_the_shutdown_that_was_awaited():
    target, guest, _ = make_target()
    ended = {"guest": False, "reason": "host-signal"}
    guest.transcript.later(3.0, lambda: guest.transcript.mark(MarkKind.QMP, "SHUTDOWN", ended))
    off = Signals(name="SHUTDOWN", says="the machine shuts down")
    verdict = play(scenario(SHELL, Expect(effects=(off,), allows=frozenset({"shutdown"}))), target)
    assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.LAB)
    assert "host-signal" in verdict.message


def test_qemu_found_stopped_just_after_the_deadline_is_the_labs_fault():
    target, guest, _ = make_target()
    guest.transcript.later(7.3, lambda: guest.transcript.mark(MarkKind.LAB, "stopped", {"reason": "T"}))
    verdict = play(scenario(SHELL, Expect(effects=(HELPS,), within_s=5.0)), target)
    assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.LAB)


def test_guest_that_dies_fails_with_the_place_of_its_death():
    target, guest, _ = make_target()
    guest.transcript.later(3.0, lambda: guest.say(PANIC))
    verdict = play(scenario(SHELL, Expect(effects=(HELPS,))), target)
    assert (verdict.status, verdict.reason, verdict.step) == (Status.FAILED, Reason.DIED, 1)
    (death,) = [one for one in verdict.evidence if one.end > one.start and "panic" in one.says]
    assert guest.transcript.read(death.start, death.end).startswith(PANIC[:30])
    assert death.at == pytest.approx(3.0)


def test_player_hears_a_dying_guest_out():
    target, guest, _ = make_target()
    guest.transcript.later(3.0, lambda: guest.say(PANIC))
    guest.transcript.later(3.2, lambda: guest.say(b"[   10.000000] last words\r\n"))
    play(scenario(SHELL, Expect(effects=(HELPS,))), target)
    assert guest.transcript.read().endswith(b"last words\r\n")


@pytest.mark.parametrize("word", ["RESET", "SHUTDOWN"])
def test_guest_that_leaves_unasked_fails(word):
    target, guest, _ = make_target()
    guest.transcript.later(3.0, lambda: guest.transcript.mark(MarkKind.QMP, word, {"guest": True}))
    verdict = play(scenario(SHELL, Expect(effects=(HELPS,))), target)
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.LEFT)
    assert verdict.evidence[-1].at == pytest.approx(3.0)


class QuickGuest(FakeGuest):
    """A guest that has restarted before who typed `reboot` is told that the line was typed."""

    def _run(self, line: bytes) -> None:
        if line == b"reboot":
            self.say(b"Restarting system\r\n")
            self.transcript.mark(MarkKind.QMP, "RESET", {"guest": True})
            self.state = "off"
            self.transcript.later(2.0, self.boot)
        else:
            super()._run(line)


@pytest.mark.parametrize("lines", [("reboot",), ("", "reboot")])
def test_restart_that_comes_while_the_line_is_typed_is_its_effect(lines):
    target, guest, _ = make_target(QuickGuest())
    restart = Expect(effects=(RESTARTS,), allows=frozenset({"reset"}))
    verdict = play(scenario(SHELL, *(Send(line=line) for line in lines), restart, SHELL, Alive()), target)
    assert (verdict.status, verdict.message) == (Status.PASSED, "")
    (found,) = [one for one in verdict.evidence if one.says == RESTARTS.says]
    assert guest.transcript.read(0, found.start).endswith(b"Restarting system\r\n")


def test_restart_that_came_before_the_line_was_typed_is_no_effect_of_it():
    target, _, _ = make_target()
    push = Inject(stimulus=Press(button=Button.RESET), effects=(RESTARTS,), allows=frozenset({"reset"}))
    made = scenario(SHELL, push, SHELL, Send(line="true"), Expect(effects=(RESTARTS,), within_s=5.0))
    verdict = play(made, target)
    assert (verdict.status, verdict.reason, verdict.step) == (Status.FAILED, Reason.TIMEOUT, 4)


def test_restart_by_a_line_whose_next_step_does_not_allow_it_fails():
    target, _, _ = make_target(QuickGuest())
    verdict = play(scenario(SHELL, Send(line="reboot"), Alive()), target)
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.LEFT)


def test_machine_that_ends_unasked_is_the_labs_fault():
    target, guest, _ = make_target()
    guest.transcript.later(3.0, lambda: guest.transcript.mark(MarkKind.MACHINE, "gone", {"signal": 9}))
    verdict = play(scenario(SHELL, Expect(effects=(HELPS,))), target)
    assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.LAB)


def test_control_that_fails_is_the_labs_fault():
    target, _, control = make_target()

    def refuse():
        raise ControlError("QMP is closed")

    control.reactions["nmi"] = refuse
    verdict = play(scenario(SHELL, Inject(stimulus=Nmi(), effects=(PANICS,))), target)
    assert (verdict.status, verdict.message) == (Status.BROKEN, "QMP is closed")


def test_console_that_closes_is_the_labs_fault():
    target, guest, _ = make_target()
    guest.transcript.later(3.0, lambda: guest.transcript.close("unplugged"))
    play(scenario(SHELL, Expect(effects=(HELPS,))), target)
    assert guest.transcript.closed == "unplugged"


def test_what_the_target_cannot_do_is_skipped_with_the_reason():
    target, _, control = make_target(capabilities=EVERYTHING - {Capability.NMI})
    verdict = play(scenario(SHELL, Inject(stimulus=Nmi(), effects=(PANICS,)), Alive()), target)
    assert (verdict.status, verdict.reason) == (Status.SKIPPED, Reason.UNSUPPORTED)
    assert verdict.message == "fake can't do nmi"
    assert "nmi" not in control.done


def test_nothing_is_played_after_a_failure():
    target, guest, _ = make_target()
    play(scenario(SHELL, Run(command="nonsense"), Alive()), target)
    assert len(ends(guest.transcript)) == 2
    assert b"$((" not in b"".join(typed.data for typed in guest.transcript.typed)


def test_only_the_keyboard_interrupts_a_player():
    target, _, control = make_target()

    def interrupt():
        raise KeyboardInterrupt

    control.reactions["nmi"] = interrupt
    with pytest.raises(KeyboardInterrupt):
        play(scenario(SHELL, Inject(stimulus=Nmi(), effects=(PANICS,))), target)


def test_result_of_a_cell_tells_its_steps_and_stages():
    target, guest, _ = make_target()
    made = scenario(SHELL, Run(command="nonsense"), Alive())
    play(made, target)
    cell = parse_cell_id("bookworm.pc.seabios.1.made-up")
    draft = draft_of_cell(cell, made, started_utc="", worker="main", directory="cells/x", repro="again")
    result = judged(draft, made, guest.transcript)
    assert [step.outcome for step in result.steps] == ["done", "failed", "not-run"]
    assert [stage.stage for stage in result.stages] == ["firmware", "kernel", "login", "shell"]
    assert (result.status, result.step, result.repro) == ("failed", 1, "again")


def test_machine_is_on_before_its_guest_is_reached():
    target, guest, _ = make_target()
    assert play(scenario(Reach(stage=Stage.FIRMWARE)), target).status is Status.PASSED
    assert guest.transcript.clock.monotonic() == 0.0
    assert Deadline.after(1, guest.transcript.clock).at == 1.0


def test_player_waits_before_a_step_and_the_transcript_tells_it():
    target, _, _ = make_target(FakeGuest(commands={b"true": (b"", 0)}))
    transcript = target.channel.transcript
    verdict = play(scenario(SHELL, Run(command="true", within_s=5), Alive()), target, delays={1: 30.0})
    assert verdict.status is Status.PASSED  # a step's own time begins behind its delay
    (delayed,) = [mark for mark in transcript.marks if mark.name == DELAYED]
    begins = [mark for mark in transcript.marks if mark.kind is MarkKind.STEP and mark.name == "begin"]
    assert (delayed.kind, delayed.detail) == (MarkKind.LAB, {"seconds": 30.0})
    assert begins[1].at <= delayed.at < begins[2].at
    assert begins[2].at - delayed.at >= 30.0


def test_delay_is_no_longer_than_the_time_of_the_whole():
    target, _, _ = make_target(FakeGuest(commands={b"true": (b"", 0)}))
    clock = target.channel.transcript.clock
    began = clock.monotonic()
    play(scenario(SHELL, Alive()), target, delays={1: 5000.0}, time_limit_s=60.0)
    assert clock.monotonic() - began < 100


AWAITS = Expect(effects=(PANICS,), within_s=60.0)


@pytest.mark.parametrize(
    ("steps", "seconds"),
    [((replace(SHELL, within_s=90.0),), 3), ((AWAITS,), 3), ((Silence(for_s=1.0), AWAITS), 60)],
)
def test_boot_of_a_guest_that_is_gone_is_not_waited_for(steps, seconds):
    guest = FakeGuest(state="off")
    gone = SimpleNamespace(
        gone=True, are_gone=lambda _shown: True, explain=lambda _shown: "the CPU is halted"
    )
    verdict = play(scenario(*steps), Target(name="m", channel=guest, control=FakeControl(guest), vitals=gone))
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.TIMEOUT)
    assert f"did not come in {seconds:.1f} s; last came ''" in verdict.message
    assert verdict.message.endswith("; the CPU is halted") is (seconds == 3)


@pytest.mark.parametrize(("final", "excused"), [(False, True), (True, False)])
def test_guest_that_can_not_go_on_is_not_excused_by_a_busy_host(final, excused):
    clock = FairClock()
    share = HostShare(clock)
    clock.unmet += 1.0
    assert (share.excuse(ExpectTimeout("no login", final=final)) is not None) is excused
