"""One dialogue for the scripted SAC guest and the one under QEMU: what a driver may rely on, both keep."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.machine.machine import open_machine
from emulator.sac.image import SacBoot, sac_spec
from emulator.sac.knobs import SacKnobs
from emulator.sac.profile import load_profile
from harness.guests.sac import SacGuest
from harness.guests.sac_channel import Account
from harness.play.guest import Guest, SacDialogue
from harness.play.session import Session
from harness.play.target import Target
from harness.scenario.errors import WrongOutput
from harness.scenario.stages import Stage
from tests.support.fake_sac import GUID, make_sac_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    target: Target
    guest: SacGuest
    clock: Clock = SYSTEM_CLOCK

    def soon(self) -> Deadline:
        return Deadline.after(60, self.clock)


@contextmanager
def scripted(profile, tmp_path) -> Iterator[Rig]:
    target, sac, _ = make_sac_target()
    yield Rig(target=target, guest=SacGuest(Session(target.channel), sac.profile), clock=sac.transcript.clock)


@contextmanager
def real(profile, tmp_path) -> Iterator[Rig]:
    knobs, root = SacKnobs(profile=profile), tmp_path / "images"
    spec = sac_spec(way=SacBoot.PVH, uuid=GUID, knobs=knobs, root=root)
    with open_machine(spec, run_dir=tmp_path / "machine") as machine:
        target = Target(name="sac", channel=machine.console, control=machine)
        yield Rig(target=target, guest=SacGuest(Session(machine.console), load_profile(profile)))


@pytest.fixture(
    params=[
        pytest.param((scripted, "2022"), id="scripted"),
        *(
            pytest.param((real, profile), id=f"real-{profile}", marks=pytest.mark.qemu)
            for profile in ("2003", "2019", "2022")
        ),
    ]
)
def rig(request, tmp_path, monkeypatch) -> Iterator[Rig]:
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    opened, profile = request.param
    with opened(profile, tmp_path) as made:
        yield made


def test_guest_is_driven_from_its_boot_to_its_restart(rig):
    guest = rig.guest
    assert isinstance(guest, SacDialogue)
    driver: Guest = guest
    driver.reach(Stage.CMD, rig.soon())
    assert guest.machine.guid == GUID
    assert guest.run_sac("p", rig.soon()).text == b"Paging is now OFF."
    assert guest.run_sac("what", rig.soon()).text.startswith(b"Unrecognized command.")
    driver.prove_life(rig.soon())
    result = driver.run("echo a  llama", rig.soon())
    assert (result.status, result.output.strip()) == (0, b"a  llama")
    assert driver.run("nonsense", rig.soon()).status == 9009
    guest.close_channel(rig.soon())
    guest.restart(rig.soon())
    driver.prove_life(rig.soon())


def test_guest_refuses_an_account_and_takes_the_next(rig):
    guest = rig.guest
    guest.reach(Stage.LOGIN, rig.soon())
    with pytest.raises(WrongOutput, match="refused the account"):
        guest.log_in(rig.soon(), Account(password="wrong"))
    guest.reach(Stage.SHELL, rig.soon())
    assert guest.channel == "Cmd0002"


@pytest.mark.parametrize("keys", [b"", b"shutdow", b"\x1b\t", b"\x1b\t0", b"\x1b\t\x1b\t\r"])
def test_sync_comes_to_the_prompt_from_a_channel(rig, keys):
    guest = rig.guest
    guest.reach(Stage.SHELL, rig.soon())
    guest.press_keys(keys, rig.soon())
    guest.sync(rig.soon())
    guest.prove_life(rig.soon())


def test_bugcheck_is_read_and_survived(rig):
    guest, names = rig.guest, ("bugcheck", "sac-crash-prompt", "reset")
    guest.reach(Stage.CMD, rig.soon())
    with guest.session.expecting(*names):
        guest.send_line(b"crashdump", rig.soon())
        guest.session.expect(rb"(?:100% complete|to disk: +100)[^\n]*\n", rig.soon())
        bugcheck = guest.read_bugcheck()
        assert bugcheck is not None
        assert bugcheck.title == "0xE2 MANUALLY_INITIATED_CRASH"
        assert bugcheck.has_prompt
        assert bugcheck.machine == guest.machine
        guest.sync(rig.soon())
    guest.prove_life(rig.soon())
