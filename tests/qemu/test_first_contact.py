"""What is done to a guest before its system is up: a reset of its firmware, NMI and SysRq in its loader."""

import asyncio
from dataclasses import replace

import pytest

from emulator.clock import Deadline
from emulator.cloud.records import VirtualMachine
from emulator.console.marks import MarkKind
from emulator.fleet.guest import spec_of
from emulator.fleet.machine_fleet import Timeouts, open_fleet
from emulator.fleet.machine_guest import wait_for
from emulator.fleet.observed import Observed
from emulator.images.store import ImageStore
from emulator.machine.machine import open_machine
from emulator.machine.spec import Firmware, MachineType
from harness.play.session import Session
from tests.support.boot_sectors import ECHO, IDLE, saying, sector_spec
from tests.support.service_lab import demo_records

pytestmark = pytest.mark.qemu

RECORDS = [record for record in demo_records() if isinstance(record, VirtualMachine)]
VM, INSTANCE = RECORDS[0], next(record for record in RECORDS if record.scale_set is not None)
SPIN = bytes.fromhex("fa eb fe")  # cli; jmp
GRUB = b"GNU GRUB"
LOGIN = b"login: "


def soon() -> Deadline:
    return Deadline.after(60)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))


def play(tmp_path, act, spec_for, **timeouts):
    """Run a coroutine function on a fleet of such guests."""

    async def main():
        chosen = {"spec_for": spec_for, "timeouts": Timeouts(**timeouts)}
        async with (
            open_fleet(run_dir=tmp_path / "run", images=(), **chosen) as fleet,
            asyncio.timeout(240),
        ):
            await act(fleet)

    asyncio.run(main())


def sector(tmp_path, code):
    return lambda _, name: sector_spec(tmp_path / f"{name}.img", code, name=name)


@pytest.mark.parametrize("shows", [True, False], ids=["on-serial", "silent"])
@pytest.mark.parametrize("machine", [MachineType.PC, MachineType.Q35])
def test_firmware_survives_resets_from_its_first_moment_on(tmp_path, machine, shows):
    spec = sector_spec(tmp_path / "sector.img", saying(b"hello"), firmware_on_serial=shows)
    spec = replace(spec, machine=machine)
    for _ in range(3):  # without a wait, two of three hang
        with open_machine(spec, run_dir=tmp_path / "run") as one:
            for _ in range(3):
                one.reset(soon())
            session = Session(one.console)
            with session.expecting("reset"):
                session.wait_mark(frozenset({"RESET"}), soon(), since=0)
                session.position = [mark.offset for mark in one.transcript.marks if mark.name == "RESET"][-1]
                session.expect(b"hello", soon())


def test_what_a_hung_guest_did_not_read_is_no_key_of_the_next_boot(tmp_path):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        await wait_for(guest.transcript, lambda: b"hello" in guest.transcript.read(), deadline=soon())
        guest.machine.pause(soon())
        guest.type(b"old" * 50_000)
        guest.machine.reset(soon())
        guest.machine.resume(soon())
        await wait_for(guest.transcript, lambda: b"hellohello" in guest.transcript.read(), deadline=soon())
        guest.type(b"new")
        await wait_for(guest.transcript, lambda: b"new" in guest.transcript.read(), deadline=soon())
        assert guest.transcript.read() == b"hellohellonew"

    play(tmp_path, act, sector(tmp_path, saying(b"hello", then=ECHO)))


def test_reset_is_seen_by_the_guests_first_byte_alone(tmp_path):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        said = "RESET (host-qmp-system-reset), but the guest shows nothing"
        assert await guest.reset() == Observed(seen=False, evidence=said)
        assert not guest.machine.is_stuck  # it is idle

    play(tmp_path, act, sector(tmp_path, IDLE), reset_s=0.5)


def test_guest_that_spins_in_silence_is_a_problem_and_a_reset_cycles_its_power(tmp_path, monkeypatch):
    monkeypatch.setattr("emulator.machine.firmware_start.STUCK_CPU_S", 2.0)

    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        assert await fleet.problems() == []
        deadline = soon()
        while not (problems := await fleet.problems()) and not deadline.expired():
            pass
        assert problems == ["guest linux1: it spins and has written nothing since it started; reset it"]
        await guest.reset()
        starts = [mark for mark in guest.transcript.marks if mark.name == "started"]
        assert len(starts) == 2
        while await fleet.problems() and not deadline.expired():
            pass
        assert await fleet.problems() == []
        guest.transcript.append(b"x")
        assert not guest.machine.is_stuck

    play(tmp_path, act, sector(tmp_path, SPIN), reset_s=0.2)


@pytest.mark.parametrize("vm", [VM, INSTANCE], ids=["vm", "instance"])
@pytest.mark.parametrize("firmware", [Firmware.SEABIOS, Firmware.OVMF])
def test_nmi_and_sysrq_after_a_restart_reach_the_kernel_and_not_the_boot_loader(tmp_path, vm, firmware):
    machine = MachineType.PC if firmware is Firmware.SEABIOS else MachineType.Q35

    def spec_for(plan, name):
        plan = replace(plan, machine=machine, firmware=firmware)
        return spec_of(plan, ImageStore().ensure("bookworm-grub"), name)

    async def act(fleet):
        guest = fleet.guest(vm)
        await guest.power_on()
        await guest.power_off()
        await guest.power_on()
        helped, noticed = await asyncio.gather(guest.sysrq("h"), guest.nmi())
        assert "sysrq: HELP" in helped.evidence
        assert "NMI received" in noticed.evidence

        since = len(guest.transcript)
        assert (await guest.reset()).seen
        await wait_for(guest.transcript, lambda: GRUB in guest.transcript.read(since), deadline=soon())
        refused = await guest.sysrq("m")
        assert refused == Observed(
            seen=False, evidence="sysrq: This sysrq operation is disabled.", refused=True
        )
        for mark in guest.transcript.marks:
            if mark.kind is MarkKind.STIMULUS and mark.name != "reset":
                assert LOGIN in guest.transcript.read(0, mark.offset).rpartition(GRUB)[2]

    play(tmp_path, act, spec_for, stimulus_s=10, reset_s=60)
