"""Numbered lines, the checker that says no, and guests that print them."""

import asyncio

import pytest

from emulator.clock import Deadline
from emulator.cloud.records import VirtualMachine
from emulator.errors import ConsoleClosed, StateError
from emulator.fleet.machine_guest import wait_for
from tests.support.fake_clock import FakeClock
from tests.support.numbered_lines import LINE, check_lines, numbered_line
from tests.support.service_lab import demo_records
from tests.support.synthetic_fleet import KEEP, SyntheticFleet, open_synthetic_fleet

VM, OTHER, *_ = [record for record in demo_records() if isinstance(record, VirtualMachine)]


def lines(*numbers, name="linux1"):
    return b"".join(numbered_line(number, name=name) for number in numbers)


STREAM = lines(*range(5, 15))


def test_line_has_its_length_whatever_its_name_and_number():
    for name in ("a", "n" * 64):
        assert {len(numbered_line(number, name=name)) for number in range(100)} == {LINE}


@pytest.mark.parametrize("cut", [0, 1, 500, LINE - 1])
def test_checker_accepts_a_stream_cut_at_both_ends(cut):
    assert check_lines(STREAM[cut : len(STREAM) - cut]) == []


def test_checker_accepts_what_was_typed_between_lines():
    assert check_lines(lines(1, 2) + b"ab" + lines(3) + b"c" + lines(4)[:99], echoed=b"abc") == []
    assert check_lines(lines(1)[99:] + b"a" + lines(2, 3) + b"b", echoed=b"ab") == []


@pytest.mark.parametrize(
    ("stream", "problem"),
    [
        (lines(1, 2, 4, 5), "byte 2048: line 4 follows line 2"),
        (lines(1, 2, 2, 3), "byte 2048: line 2 follows line 2"),
        (lines(1, 3, 2, 4), "byte 1024: line 3 follows line 1"),
        (lines(1, 2) + lines(3, name="other"), "byte 2048: a line of other on linux1"),
        (lines(1, 2) + b"x" + lines(3), "1 bytes stand between lines, not the 0 that were typed"),
        (STREAM[:3000] + STREAM[3001:], "byte 2048: line 7 is damaged"),
        (STREAM.replace(b"brown", b"br0wn", 1), "byte 0: line 5 is damaged"),
        (b"x" * LINE + lines(1), "1024 bytes stand between lines, not the 0 that were typed"),
        (lines(1) + b"#", None),
        (b"x" * (2 * LINE), "no whole line in 2048 bytes"),
        (b"", None),
    ],
    ids=range(11),
)
def test_checker_says_no(stream, problem):
    problems = check_lines(stream)
    assert (problem is None) == (problems == [])
    assert problem is None or problem in problems


def test_checker_misses_no_byte_that_was_typed_and_not_echoed():
    assert check_lines(STREAM, echoed=b"a") == ["0 bytes stand between lines, not the 1 that were typed"]


def test_guests_print_their_rate_each_in_its_own_name():
    async def act():
        fleet = SyntheticFleet(rate=10 * LINE, clock=FakeClock())
        one, other = fleet.guest(VM), fleet.guest(OTHER)
        await one.power_on()
        for _ in range(25):
            fleet.print_for(0.05)
        await other.power_on()
        fleet.print_for(0.35)
        assert (one.printed, other.printed) == (16, 3)  # of 12.5 lines and 3.5: what is no whole line waits
        assert check_lines(one.transcript.read()) == []
        assert other.name.encode() in other.transcript.read()

    asyncio.run(act())


def test_guest_catches_up_on_one_second_at_most():
    async def act():
        fleet = SyntheticFleet(rate=10 * LINE, clock=FakeClock())
        guest = fleet.guest(VM)
        await guest.power_on()
        fleet.print_for(3600)
        assert guest.printed == 10

    asyncio.run(act())


def test_guest_keeps_only_its_end_and_goes_on_where_it_was_after_a_power_cut():
    async def act():
        fleet = SyntheticFleet(rate=KEEP, clock=FakeClock())
        guest = fleet.guest(VM)
        await guest.power_on()
        for _ in range(10):
            fleet.print_for(0.5)
        await guest.power_off()
        fleet.print_for(0.5)
        await guest.power_on()
        fleet.print_for(0.5)
        assert guest.transcript.first > 0
        assert check_lines(guest.transcript.read()) == []

    asyncio.run(act())


def test_open_fleet_prints_by_itself_and_ends_its_consoles():
    async def act():
        with open_synthetic_fleet(100 * LINE) as fleet:
            guest = fleet.guest(VM)
            await guest.power_on()
            assert await wait_for(
                guest.transcript, lambda: len(guest.transcript) >= 10 * LINE, deadline=Deadline.after(30)
            )
            guest.type(b"ab")
            assert await wait_for(guest.transcript, lambda: guest.printed > 30, deadline=Deadline.after(30))
            assert check_lines(guest.transcript.read(), echoed=b"ab") == []
        assert guest.transcript.closed == "the fleet was closed"
        with pytest.raises(ConsoleClosed):
            guest.type(b"x")

    asyncio.run(act())


def test_guest_refuses_when_off():
    async def act():
        guest = SyntheticFleet(rate=0).guest(VM)
        for call in (guest.nmi, guest.reset, guest.screenshot):
            with pytest.raises(StateError, match="linux1 is off"):
                await call()

    asyncio.run(act())
