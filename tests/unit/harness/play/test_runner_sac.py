"""Players on a scripted SAC guest: its steps, their verdicts, and that nothing is believed unseen."""

from dataclasses import replace

import pytest

from emulator.console.marks import MarkKind
from emulator.errors import SpecError
from harness.guests.sac import SacGuest
from harness.play.judge import judge
from harness.play.runner import Player
from harness.play.traces import boot_offsets, find_stages
from harness.scenario.kind import GuestKind, kind_of
from harness.scenario.scenario import Scenario
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
    describe_step,
)
from harness.scenario.stimulus import Nmi
from harness.scenario.verdict import Reason, Status
from harness.scenarios import sac_phrases as say
from harness.signatures.scanner import scan_boots
from tests.support.fake_sac import FakeSac, make_sac_target

CMD = Reach(stage=Stage.CMD)


def scenario(*steps):
    return Scenario(
        name="made-up", title="Made up", description="For a test.", steps=steps, guest=GuestKind.SAC
    )


def play(*steps, sac=None, disk=None, react=lambda sac, control: None):
    target, sac, control = make_sac_target(sac)
    react(sac, control)
    made, transcript = scenario(*steps), target.channel.transcript
    Player(
        scenario=made,
        target=replace(target, disk=disk),
        open_guest=lambda session: SacGuest(session, sac.profile),
        clock=transcript.clock,
    ).play()
    return judge(
        made, transcript, scan_boots(transcript.read(), boot_offsets(transcript))
    ).verdict, transcript


def test_player_talks_with_sac_from_its_boot_to_a_late_join():
    verdict, transcript = play(
        Reach(stage=Stage.KERNEL),
        CMD,
        Ask(command="p", shows=(say.line("Paging is now OFF", "that paging is off"),)),
        Reach(stage=Stage.SHELL),
        Run(command="lines 2", shows=say.line("line 1 of", "the second line")),
        Rejoin(),
        Alive(),
    )
    assert (verdict.status, verdict.message) == (Status.PASSED, "")
    stages = [one.stage for one in find_stages(transcript)]
    assert stages == ["firmware", "kernel", "sac", "cmd", "login", "shell"]


def test_answer_without_what_it_must_show_is_the_guests_fault():
    verdict, _ = play(CMD, Ask(command="p", shows=(say.line("Paging is now ON", "that paging is on"),)))
    assert (verdict.status, verdict.reason, verdict.step) == (Status.FAILED, Reason.COMMAND, 1)
    assert "did not show that paging is on" in verdict.message


def test_bugcheck_that_a_step_expects_is_an_effect():
    crash = Inject(stimulus=Nmi(), effects=say.bugcheck("0x80"), allows=say.CRASHES)

    def react(sac, control):
        control.reactions["nmi"] = lambda: sac.crash(0x80, "NMI_HARDWARE_FAILURE")

    verdict, _ = play(CMD, crash, react=react)
    assert verdict.status is Status.PASSED
    verdict, _ = play(CMD, replace(crash, allows=frozenset()), react=react)
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.DIED)


def test_guest_without_sac_is_failed_with_the_reason():
    class Menu(FakeSac):
        def boot(self):
            self.show_menu()

    verdict, _ = play(CMD, sac=Menu())
    assert (verdict.status, verdict.reason) == (Status.FAILED, Reason.UNAVAILABLE)
    assert "the boot menu" in verdict.message


def test_keys_and_lines_are_proved_by_what_was_typed():
    restarts = Expect(effects=(say.GOES_DOWN, say.RESTARTS), within_s=90, allows=say.RESET)
    verdict, _ = play(
        CMD, Keys(keys="crashdum", says="half a command"), Alive(), Send(line="restart"), restarts, CMD
    )
    assert (verdict.status, verdict.message) == (Status.PASSED, "")


def test_dump_is_not_looked_for_where_no_disk_can_be_read():
    verdict, _ = play(CMD, CheckDump(code=None))
    assert (verdict.status, verdict.reason) == (Status.SKIPPED, Reason.UNSUPPORTED)


@pytest.mark.parametrize(
    "step",
    [
        Ask(command="p"),
        Keys(keys="x", says="x"),
        CheckDump(code=0x80),
        Reach(stage=Stage.SHELL),
        Run(command="v"),
        Alive(),
    ],
)
def test_step_that_is_only_said_to_be_done_is_not_believed(step):
    sac = FakeSac()
    made, transcript = scenario(step), sac.transcript
    transcript.mark(MarkKind.MACHINE, "started")
    transcript.mark(MarkKind.STEP, "begin", {"index": 0, "from": 0})
    transcript.append(b"nothing of it\r\n")
    transcript.mark(MarkKind.STEP, "end", {"index": 0, "outcome": "done", "output": [0, 5], "status": 0})
    verdict = judge(made, transcript, ()).verdict
    assert (verdict.status, verdict.reason) == (Status.BROKEN, Reason.NO_EVIDENCE)


def test_steps_of_sac_are_refused_in_a_scenario_for_linux():
    with pytest.raises(SpecError, match="has steps for a SAC guest, but guest is linux"):
        Scenario(name="a", title="t", description="d", steps=(Ask(command="id"),))


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Ask(command="id", shows=(say.line("x", "its name"),)), "SAC: id, must show its name"),
        (Keys(keys="\x1b8", says="F8"), "press F8"),
        (Rejoin(), "connect anew, knowing nothing"),
        (CheckDump(code=0xE2), "crash dump of bugcheck 0xE2"),
        (CheckDump(code=None), "no crash dump on the disk"),
    ],
)
def test_step_reads_as_one_line(step, text):
    assert describe_step(step) == text


def test_kind_of_an_image_is_what_it_offers():
    assert kind_of({"sac", "has_knobs"}) is GuestKind.SAC
    assert kind_of({"spin"}) is GuestKind.LINUX
