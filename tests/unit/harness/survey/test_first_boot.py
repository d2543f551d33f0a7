"""First boots: one process boots and asks, the others read; what went wrong is tried again in another run.

The guest is a shell of this host on a terminal; where it is to hang, a made-up one.
"""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from emulator.clock import SYSTEM_CLOCK, FairClock
from emulator.console.transcript import Transcript, load_transcript
from emulator.errors import SnapshotError
from emulator.files import hold_lock
from emulator.guest_text.linux import LinuxProfile
from emulator.machine.spec import MachineSpec, MachineType
from emulator.work import listening
from harness.guests.linux import LinuxGuest
from harness.scenario.errors import Alarm, ExpectTimeout, GuestDied, WrongOutput
from harness.scenario.stages import Stage
from harness.scenarios import find_scenario
from harness.snapshots.start import WantedGuest
from harness.survey import first_boot
from harness.survey.facts import Questions
from harness.survey.first_boot import Subject, known_surveys, survey
from tests.support.local_shell import open_local_shell

ASKED = Questions(
    settings=("kernel.sysrq",), programs=("cat", "no-such-program"), features=("no-such-driver",)
)
SPEC = MachineSpec(name="x", machine=MachineType.PC, kernel=Path("/k"))
LOGIN = b"[    0.000000] Linux version 6.1.0 (x)\r\nvm login: "


def subject(**fields) -> Subject:
    wanted = WantedGuest(label="mine", spec=SPEC, driver=LinuxGuest, stage=Stage.SHELL)
    given = {"name": "mine", "facts": ["abc"], "wanted": wanted, "profile": LinuxProfile(), "within_s": 60.0}
    return Subject(**(given | fields))


@pytest.fixture
def rig(tmp_path, monkeypatch):
    """A lab whose machines are shells of this host; `boots` has one entry for each that was started."""
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    lab = SimpleNamespace(
        run_dir=tmp_path / "run", cold=False, time_scale=1.0, pace=lambda _spec: SYSTEM_CLOCK
    )
    boots: list[WantedGuest] = []

    @contextmanager
    def started(lab, wanted, *, run_dir, label):
        boots.append(wanted)
        with open_local_shell(["bash", "--norc", "-i"], environment={"PS1": "root@vm:~# "}) as shell:
            yield SimpleNamespace(console=shell, transcript=shell.transcript, run_dir=run_dir), None

    monkeypatch.setattr(first_boot, "open_started", started)
    monkeypatch.setattr(first_boot, "ensure_snapshot", lambda *_, **__: None)
    told: list[tuple[str, str]] = []
    with listening(lambda what, stage, _fraction: told.append((what, stage))):
        yield SimpleNamespace(lab=lab, boots=boots, told=told, monkeypatch=monkeypatch)


def play(rig, one=None):
    return survey(rig.lab, one or subject(), ASKED)


def fails(rig, error, shown=LOGIN, never=None):
    """Let the guest of every snapshot show something and then fail."""

    def ensure(lab, wanted, *, reach, deadline):
        rig.boots.append(wanted)

        def fail(driver, stage):
            def reach(machine, deadline):
                raise SnapshotError(f"did not come to shell: {error}") from error

            return reach

        rig.monkeypatch.setattr(first_boot, "reach_stage", never or fail)
        transcript = Transcript()
        transcript.append(shown)
        with transcript:
            run_dir = rig.lab.run_dir.parent / "making"
            run_dir.mkdir(exist_ok=True)
            (run_dir / "screen.png").touch()
            reach(SimpleNamespace(transcript=transcript, run_dir=run_dir), deadline)

    rig.monkeypatch.setattr(first_boot, "ensure_snapshot", ensure)


def test_guest_is_asked_once_and_its_answers_are_kept(rig):
    attempt = play(rig)
    assert attempt.survey.system == "Linux"
    assert attempt.survey.programs == {"cat"}
    assert attempt.survey.prompt == "root@vm:~#"
    assert play(rig) == attempt
    assert len(rig.boots) == 1
    assert [what for what, _ in rig.told] == ["survey of mine on pc (seabios)"] * 2
    assert [stage.partition(" ")[0] for _, stage in rig.told] == ["its", "Linux"]
    assert known_surveys() == {"mine": attempt.survey}


@pytest.mark.parametrize(
    "changed",
    [{"facts": ["another file"]}, {"wanted": replace(subject().wanted, spec=replace(SPEC, memory_mib=512))}],
)
def test_survey_of_another_file_or_board_is_not_used(rig, changed):
    play(rig)
    play(rig, subject(**changed))
    assert len(rig.boots) == 2


def test_survey_serves_any_number_of_cpus(rig):
    play(rig)
    play(rig, subject(wanted=replace(subject().wanted, spec=replace(SPEC, vcpus=2, name="y", seed=7))))
    assert len(rig.boots) == 1


def test_damaged_survey_is_made_anew(rig, tmp_path):
    attempt = play(rig)
    (kept,) = (tmp_path / "cache" / "surveys").glob("*.json")
    kept.write_text("{")
    again = play(rig)
    tty = attempt.survey.tty  # another one, of another shell
    assert replace(again, survey=replace(again.survey, tty=tty)) == attempt
    assert len(rig.boots) == 2


def test_guest_that_hangs_leaves_no_survey_and_is_not_booted_again_in_this_run(rig, tmp_path):
    fails(rig, ExpectTimeout("awaited a login prompt"))
    attempt = play(rig)
    assert (attempt.survey, attempt.problem) == (None, "awaited a login prompt")
    assert (attempt.silent, attempt.stages) == (True, (Stage.KERNEL, Stage.LOGIN))
    assert play(rig) == attempt
    kept = rig.lab.run_dir / attempt.directory
    assert load_transcript(kept).read(0) == LOGIN
    assert load_transcript(kept).truncated is None
    assert (kept / "screen.png").exists()
    assert len(rig.boots) == 1
    rig.lab.run_dir = tmp_path / "next"
    play(rig)
    assert len(rig.boots) == 2
    assert known_surveys() == {}


@pytest.mark.parametrize(
    ("name", "shown", "in_vain"),
    [
        ("nmi-dazed", b"", True),
        ("nmi-dazed", LOGIN, True),
        ("boot-login", LOGIN, False),
        ("boot-login", b"", True),
        ("boot-loop", b"", False),
    ],
)
def test_scenario_that_begins_with_what_did_not_come_is_in_vain(rig, name, shown, in_vain):
    fails(rig, ExpectTimeout("awaited a login prompt"), shown)
    assert play(rig).is_in_vain(find_scenario(name)) is in_vain


def test_guest_that_died_by_what_it_showed_is_played_for_its_own_finding(rig):
    fails(rig, GuestDied("kernel panic", alarm=Alarm(name="panic", title="panic", start=0, end=1)), b"")
    assert not play(rig).is_in_vain(find_scenario("nmi-dazed"))


def test_guest_that_the_host_kept_waiting_is_played(rig):
    clock = FairClock(withheld=lambda: 1e9)
    rig.lab.pace = lambda _spec: clock

    def never(driver, stage):
        def reach(machine, deadline):
            clock.unmet += 1.0
            raise SnapshotError("did not come") from ExpectTimeout("awaited a login prompt")

        return reach

    fails(rig, ExpectTimeout("awaited a login prompt"), b"", never=never)
    assert not play(rig).silent


def test_guest_whose_password_nobody_gave_is_known_to_have_no_shell(rig):
    fails(rig, WrongOutput("refused"))
    attempt = play(rig, subject(profile=LinuxProfile(password=b"")))
    assert (
        attempt.survey.obstacle == "the guest asks for the password of root, and none is given "
        "(login.password_file in lab.toml, or --password-file, gives one)"
    )
    assert attempt.survey.stages == (Stage.KERNEL, Stage.LOGIN)


def test_wrong_password_is_for_the_cells_to_fail_of(rig):
    fails(rig, WrongOutput("the guest refused the account"))
    assert play(rig).survey is None


def test_guest_without_a_posix_shell_is_known_to_have_none(rig):
    fails(rig, WrongOutput("what answers at the prompt is no POSIX shell, and it has no sh"))
    assert "no POSIX shell" in play(rig).survey.obstacle


def test_machine_that_can_not_be_saved_is_booted(rig):
    def ensure(lab, wanted, *, reach, deadline):
        rig.monkeypatch.setattr(
            first_boot, "reach_stage", lambda driver, stage: lambda machine, deadline: None
        )
        reach(None, deadline)
        raise SnapshotError("QEMU can't save it")

    rig.monkeypatch.setattr(first_boot, "ensure_snapshot", ensure)
    assert play(rig).survey is not None
    assert [wanted.stage for wanted in rig.boots] == [None]


def test_snapshot_that_can_not_even_be_begun_does_not_hide_the_guest(rig):
    def ensure(lab, wanted, *, reach, deadline):
        raise SnapshotError("no room")

    rig.monkeypatch.setattr(first_boot, "ensure_snapshot", ensure)
    assert play(rig).survey is not None


def test_survey_that_another_process_never_ends_is_gone_without(rig, tmp_path, monkeypatch):
    monkeypatch.setattr(first_boot, "WAIT_S", 0.0)
    lock = tmp_path / "cache" / "surveys" / f"{subject().key(ASKED)}.lock"
    with hold_lock(lock, wait_s=0):
        attempt = play(rig)
    assert attempt.survey is None
    assert "held by another process" in attempt.problem
    assert rig.boots == []
