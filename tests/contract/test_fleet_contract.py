"""What every fleet does: the fake of unit tests, the synthetic one, and real machines."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from emulator.clock import Deadline
from emulator.cloud.records import VirtualMachine
from emulator.errors import ConsoleClosed, StateError
from emulator.fleet.machine_fleet import MachineFleet, Timeouts, open_fleet
from emulator.fleet.machine_guest import MachineGuest, wait_for
from tests.support.boot_sectors import ECHO, saying, sector_spec
from tests.support.fake_fleet import FakeFleet
from tests.support.service_lab import demo_records
from tests.support.synthetic_fleet import open_synthetic_fleet

VM, OTHER, *_ = [record for record in demo_records() if isinstance(record, VirtualMachine)]
Play = Callable[[Callable[[MachineFleet], Awaitable[None]]], None]


@asynccontextmanager
async def open_fake(_tmp_path) -> AsyncIterator[MachineFleet]:
    def prepare(guest) -> None:
        guest.echoes = True
        guest.says_at_power_on = b"hello"

    fleet = FakeFleet(prepare=prepare)
    yield fleet


@asynccontextmanager
async def open_synthetic(_tmp_path) -> AsyncIterator[MachineFleet]:
    with open_synthetic_fleet(0) as fleet:
        yield fleet


@asynccontextmanager
async def open_real(tmp_path) -> AsyncIterator[MachineFleet]:
    code = saying(b"hello", then=ECHO)
    async with open_fleet(
        run_dir=tmp_path / "run",
        images=(),
        spec_for=lambda _, name: sector_spec(tmp_path / f"{name}.img", code, name=name),
        timeouts=Timeouts(stimulus_s=0.2, reset_s=20),
    ) as fleet:
        yield fleet


@pytest.fixture(params=[open_fake, open_synthetic, pytest.param(open_real, marks=pytest.mark.qemu)])
def play(request, tmp_path, monkeypatch) -> Play:
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    opener: Callable[[object], AbstractAsyncContextManager[MachineFleet]] = request.param

    def run(act: Callable[[MachineFleet], Awaitable[None]]) -> None:
        async def main() -> None:
            async with opener(tmp_path) as fleet, asyncio.timeout(60):
                await act(fleet)

        asyncio.run(main())

    return run


async def expect(guest: MachineGuest, text: bytes) -> None:
    seen = await wait_for(
        guest.transcript, lambda: text in guest.transcript.read(), deadline=Deadline.after(30)
    )
    assert seen, guest.transcript.read()


def test_guest_is_made_off_and_stays_the_same_one(play):
    async def act(fleet):
        assert fleet.existing(VM.key) is None
        guest = fleet.guest(VM)
        assert (guest.is_on, len(guest.transcript), guest.transcript.closed) == (False, 0, None)
        assert fleet.guest(VM) is guest
        assert fleet.existing(VM.key.upper()) is guest
        assert fleet.guest(OTHER) is not guest

    play(act)


def test_guest_that_is_off_refuses_what_needs_power(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        for call in (guest.reset, guest.nmi, guest.screenshot):
            with pytest.raises(StateError, match="is off"):
                await call()
        with pytest.raises(StateError, match="is off"):
            await guest.sysrq("h")
        with pytest.raises(StateError, match="is off"):
            guest.type(b"x")
        await guest.power_off()
        await guest.wait_typed()
        assert not guest.is_on

    play(act)


def test_power_goes_on_and_off_and_the_console_stays(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        transcript = guest.transcript
        await guest.power_on()
        await guest.power_on()
        assert guest.is_on
        await guest.power_off()
        assert not guest.is_on
        await guest.power_on()
        assert guest.transcript is transcript
        assert transcript.closed is None
        assert guest.is_on

    play(act)


def test_typed_bytes_arrive_in_order_and_come_back(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        if not guest.transcript.closed and hasattr(guest, "machine"):
            await expect(guest, b"hello")  # a boot sector reads nothing before
        guest.type(b"one ")
        guest.type(b"two")
        await guest.wait_typed()
        await expect(guest, b"one two")
        assert b"".join(typed.data for typed in guest.transcript.typed) == b"one two"

    play(act)


def test_stimuli_return_an_effect(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        effect = await guest.reset()
        assert effect.seen
        assert effect.evidence
        for effect in (await guest.nmi(), await guest.sysrq("h")):
            assert effect.seen or effect.evidence == ""
        assert guest.is_on

    play(act)


def test_screenshot_is_a_picture(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        assert (await guest.screenshot()).startswith(b"P6\n")

    play(act)


def test_shut_down_ends_off_whether_the_guest_obeys_or_not(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        assert isinstance(await guest.shut_down(0.3), bool)
        assert not guest.is_on

    play(act)


def test_discarded_guest_is_gone_with_its_console_and_the_next_one_is_new(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        await fleet.discard(VM.key.upper())
        await fleet.discard(VM.key)
        assert not guest.is_on
        assert guest.transcript.closed is not None
        with pytest.raises(ConsoleClosed):
            guest.type(b"x")
        assert fleet.existing(VM.key) is None
        assert fleet.guest(VM) is not guest

    play(act)


def test_fleet_has_no_problems_while_guests_answer(play):
    async def act(fleet):
        await fleet.guest(VM).power_on()
        assert await fleet.problems() == []

    play(act)
