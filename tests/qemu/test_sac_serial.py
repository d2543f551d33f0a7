"""The SAC driver where the wire is all there is: rfc2217:// in front of the SAC guest, no QMP, no marks."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from emulator.clock import Deadline
from emulator.console.marks import boot_starts
from emulator.machine.machine import Machine, open_machine
from emulator.sac.image import SacBoot, sac_spec
from emulator.sac.knobs import SacKnobs
from emulator.sac.profile import load_profile
from harness.guests.sac import SacGuest
from harness.play.judge import judge
from harness.play.runner import Player
from harness.play.session import Session
from harness.play.target import Target
from harness.play.traces import boot_offsets
from harness.scenario.errors import ExpectTimeout
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Expect, Reach
from harness.scenarios import find_scenario
from harness.scenarios import sac_phrases as say
from harness.scenarios.phrases import RESET, RESTARTS
from harness.scenarios.sac_bugcheck import SCENARIOS as BUGCHECKS
from harness.signatures.scanner import scan_boots
from harness.targets.serial_port import open_port
from tests.support.rfc2217_server import open_rfc2217_server

pytestmark = pytest.mark.qemu

CRASHES = ("bugcheck", "sac-crash-prompt")


def soon() -> Deadline:
    return Deadline.after(120)


@dataclass(kw_only=True)
class Rig:
    """A SAC guest behind RFC 2217; `machine` is for the test alone, the driver has the port."""

    machine: Machine
    target: Target
    guest: SacGuest


@contextmanager
def open_rig(tmp_path, *, way: SacBoot = SacBoot.PVH, late: bool = False, **knobs) -> Iterator[Rig]:
    chosen = SacKnobs(**knobs)
    spec = sac_spec(way=way, knobs=chosen, uuid="5f1e7a30-0c4b-4d7e-9a51-77ab39f1c0de")
    with ExitStack() as stack:
        machine = stack.enter_context(open_machine(spec, run_dir=tmp_path / "machine", start=late))
        if late:
            SacGuest(Session(machine.console), load_profile(chosen.profile)).reach(Stage.CMD, soon())
        host, port = stack.enter_context(open_rfc2217_server(machine.console))
        target = stack.enter_context(open_port(f"rfc2217://{host}:{port}"))
        if not late:
            machine.power_on(soon())
        guest = SacGuest(Session(target.channel), load_profile(chosen.profile))
        yield Rig(machine=machine, target=target, guest=guest)
        assert boot_starts(target.channel.transcript.marks) == []  # no machine told


@pytest.fixture
def rig(tmp_path) -> Iterator[Rig]:
    with open_rig(tmp_path) as opened:
        yield opened


def play(rig: Rig, scenario):
    transcript = rig.target.channel.transcript
    Player(
        scenario=scenario,
        target=rig.target,
        open_guest=lambda session: SacGuest(session, rig.guest.profile),
        time_scale=4.0,
    ).play()
    return judge(scenario, transcript, scan_boots(transcript.read(), boot_offsets(transcript))).verdict


@pytest.mark.parametrize("profile", ["2019", "2022"])
def test_sac_commands_login_and_restart_over_a_serial_port(tmp_path, profile):
    with open_rig(tmp_path, profile=profile) as rig:
        guest = rig.guest
        guest.reach(Stage.CMD, soon())
        assert guest.run_sac("p", soon()).text == b"Paging is now OFF."
        result = guest.run("echo access to llamas", soon())
        assert (result.status, result.output.strip()) == (0, b"access to llamas")
        assert guest.run("nonsense", soon()).status == 9009
        guest.close_channel(soon())
        guest.restart(soon())
        guest.prove_life(soon())
        assert guest.run("ver", soon()).status == 0
        assert guest.channel == "Cmd0001"  # names begin anew: it was another boot


def test_crashdump_and_the_boot_after_it_are_seen_by_the_wire_alone(rig):
    guest = rig.guest
    guest.reach(Stage.SHELL, soon())
    with guest.session.expecting(*CRASHES):
        guest.sync(soon())
        guest.send_line(b"crashdump", soon())
        guest.session.expect(rb"100% complete[^\n]*\n", soon())
        bugcheck = guest.read_bugcheck()
        assert bugcheck is not None
        assert bugcheck.title == "0xE2 MANUALLY_INITIATED_CRASH"
        guest.await_restart(soon())
        guest.reach(Stage.CMD, soon())  # the stage before was SHELL: only the wire says that it is not so
    assert guest.channel == "SAC"
    assert guest.run("ver", soon()).status == 0
    restarts = [mark for mark in rig.target.channel.transcript.marks if mark.name == "RESET"]
    assert [mark.detail["seen"] for mark in restarts] == ["machine-info"]
    assert sum(mark.name == "RESET" for mark in rig.machine.transcript.marks) >= 1


def test_reset_under_the_driver_is_noticed_although_nobody_told(rig):
    guest = rig.guest
    guest.reach(Stage.SHELL, soon())
    rig.machine.reset(soon())
    guest.await_restart(soon())
    guest.reach(Stage.SHELL, soon())
    assert guest.run("ver", soon()).status == 0
    assert guest.channel == "Cmd0001"


def test_redrawn_banner_is_no_restart(rig):
    guest = rig.guest
    guest.reach(Stage.SHELL, soon())
    guest.close_channel(soon())  # SAC's screen is drawn again, banner and all
    assert rig.target.channel.transcript.read().count(b"Computer is booting") > 1
    with pytest.raises(ExpectTimeout, match="no boot begins on the wire"):
        guest.await_restart(Deadline.after(1))
    assert guest.stage is not Stage.FIRMWARE


def test_boot_manager_and_firmware_are_signs_of_a_boot(tmp_path):
    with open_rig(tmp_path, way=SacBoot.UEFI_DISK, menu_timeout_s=2) as rig:
        rig.guest.reach(Stage.CMD, soon())
        rig.machine.reset(soon())
        rig.guest.await_restart(soon())
        rig.guest.reach(Stage.CMD, soon())
        rig.guest.prove_life(soon())
        (mark,) = (mark for mark in rig.target.channel.transcript.marks if mark.name == "RESET")
        assert mark.detail["seen"] == "BdsDxe"


def test_late_attach_finds_the_prompt_of_a_silent_console(tmp_path):
    with open_rig(tmp_path, late=True) as rig:
        assert rig.target.channel.transcript.read() == b""
        rig.guest.sync(soon())
        rig.guest.prove_life(soon())
        assert rig.guest.run("echo it is late", soon()).output.strip() == b"it is late"


@pytest.mark.parametrize("name", ["sac-boot", "sac-cmd", "sac-login-refused", "sac-late", "sac-help"])
def test_scenario_passes_over_a_serial_port(rig, name):
    verdict = play(rig, find_scenario(name))
    assert (verdict.message, verdict.status.value) == ("", "passed")


def test_scenario_of_a_crash_passes_over_a_serial_port(rig):
    crash = next(one for one in BUGCHECKS if one.name == "sac-dump-crashdump")
    steps = tuple(step for step in crash.steps if type(step).__name__ != "CheckDump")
    assert steps != crash.steps  # the disk can't be read from here
    changed = {name: getattr(crash, name) for name in crash.__dataclass_fields__} | {"steps": steps}
    verdict = play(rig, type(crash)(**changed))
    assert (verdict.message, verdict.status.value) == ("", "passed")


def test_scenario_fails_over_a_serial_port_when_no_restart_comes(rig):
    waits = find_scenario("sac-boot")
    steps = (Reach(stage=Stage.CMD), Expect(effects=(RESTARTS,), allows=RESET, within_s=0.5), Alive())
    changed = {name: getattr(waits, name) for name in waits.__dataclass_fields__} | {"steps": steps}
    verdict = play(rig, type(waits)(**changed))
    assert (verdict.status.value, verdict.step) == ("failed", 1)
    assert say.PROMPT  # the guest is where it was
