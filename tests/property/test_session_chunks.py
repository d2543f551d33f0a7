"""Chunks never matter, and kernel records spliced into a dialogue at any byte keep nobody out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.clock import Deadline
from emulator.guest_text.records import UserView
from harness.guests.linux import LinuxGuest
from harness.play.session import Session
from harness.scenario.errors import GuestDied
from harness.scenario.stages import Stage
from harness.scenario.steps import View
from tests.support.fake_guest import PANIC, FakeGuest

RECORDS = st.sampled_from(
    [
        b"[    2.948528] scsi host0: virtio_scsi\r\n",
        b"<6>[   12.000001] random: crng init done\r\n",
        b"[12345.678901] [T1234] foo: login: root@box:~# Password: \r\n",
        b"[    3.000000] a\r\n[    3.000001] b\r\n",
    ]
)
CUTS = st.lists(st.integers(min_value=0, max_value=400), max_size=12)
SPLICES = st.dictionaries(st.integers(min_value=0, max_value=400), RECORDS, max_size=8)
OUTPUT = st.binary(max_size=60).map(lambda data: data.replace(b"\x00", b"0") + b"\r\n")
DIALOGUE = b"one=1;\r\ntwo=22;\r\n" + b"lorem " * 30 + b"\r\nttylab login: three=333;\r\nttylab login: "


class Splicing:
    """Cuts what a guest says at planned places of its whole output, and puts records there."""

    def __init__(self, splices):
        self.splices = splices
        self.said = 0

    def __call__(self, data):
        for byte in data:
            if self.said in self.splices:
                yield self.splices[self.said]
            yield bytes([byte])
            self.said += 1


def pieces(data, cuts):
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in pairwise(places)]


def plan(guest, chunks):
    for number, chunk in enumerate(chunks):
        guest.transcript.later(0.1 * number, lambda chunk=chunk: guest.transcript.append(chunk))


def soon(guest):
    return Deadline.after(600, guest.transcript.clock)


@given(cuts=CUTS, view=st.sampled_from(View))
def test_matches_are_the_same_whatever_the_chunks(cuts, view):
    guest = FakeGuest()
    plan(guest, pieces(DIALOGUE, cuts))
    session = Session(guest)
    wanted = [rb"(\d+);", rb"\w+ login: ", rb"(?:lorem ){3}\r\n"]
    found = [session.expect(wanted, soon(guest), view=view) for _ in range(6)]
    assert [match.data for match in found] == [
        b"1;", b"22;", b"lorem lorem lorem \r\n", b"ttylab login: ", b"333;", b"ttylab login: "
    ]  # fmt: skip
    assert b"".join(part for match in found for part in (match.before, match.data)) == DIALOGUE
    for match in found:
        assert DIALOGUE[match.start : match.end] == match.data


@given(splices=SPLICES, output=OUTPUT, status=st.integers(min_value=0, max_value=255))
def test_login_and_commands_survive_records_at_any_byte(splices, output, status):
    guest = FakeGuest(cut=Splicing(splices), commands={b"read sensors": (output, status)})
    guest.boot()
    driver = LinuxGuest(Session(guest))
    driver.reach(Stage.SHELL, soon(guest))
    result = driver.run("read sensors", soon(guest))
    assert result.status == status
    assert result.output == output
    span = UserView()
    span.feed(guest.transcript.read(result.start, result.end))
    span.flush()
    assert span.read(0) == output
    driver.prove_life(soon(guest))


@given(where=st.integers(min_value=0, max_value=40), record=RECORDS)
def test_prompt_is_found_with_a_record_at_every_byte_of_it(where, record):
    guest = FakeGuest(cut=Splicing({where: record}))
    guest.transcript.later(1.0, guest.boot)
    driver = LinuxGuest(Session(guest))
    driver.reach(Stage.LOGIN, soon(guest))
    driver.log_in(soon(guest))
    assert driver.stage is Stage.SHELL


@given(cuts=CUTS, view=st.sampled_from(View))
def test_prompt_before_a_panic_counts_and_one_behind_it_never_does(cuts, view):
    prompt = b"\r\nttylab login: "
    guest = FakeGuest()
    plan(guest, pieces(prompt + b"\r\n" + PANIC + prompt, cuts))
    session = Session(guest)
    assert session.expect(rb"login: ", soon(guest), view=view).end == len(prompt)
    with pytest.raises(GuestDied) as caught:
        session.expect(rb"login: ", soon(guest), view=view)
    assert caught.value.alarm.name == "panic"
    assert caught.value.alarm.start == len(prompt) + 2


@given(cuts=CUTS, line=st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=80))
def test_echo_is_recognised_whatever_the_chunks(cuts, line):
    guest = FakeGuest(state="shell", cut=lambda data: pieces(data, cuts))
    session = Session(guest)
    session.send_line(line.encode(), soon(guest))
    assert b"".join(typed.data for typed in guest.transcript.typed) == line.encode() + b"\r"
    assert all(len(typed.data) <= 16 for typed in guest.transcript.typed)
