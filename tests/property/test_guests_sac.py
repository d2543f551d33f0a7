"""The SAC driver under random chunks, events at every place, and lost, doubled and eaten characters."""

import re
from itertools import pairwise

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from emulator.clock import Deadline
from emulator.guest_text.sac import EVENT, lines_of
from emulator.guest_text.sac_documents import parse_bugcheck, parse_machine_info
from harness.guests.sac import SacGuest
from harness.play.session import Session
from harness.scenario.stages import Stage
from tests.support.fake_sac import BUGCHECK, CMD_EVENT, GUID, FakeSac

SOME = settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
"""Without shrinking: a dialogue is long, and its failure readable as it is."""
CUTS = st.lists(st.integers(min_value=1, max_value=400), min_size=1, max_size=12)
PLACES = st.frozensets(st.integers(min_value=0, max_value=60), max_size=6)
FAULTS = st.frozensets(st.integers(min_value=0, max_value=60), max_size=2)
FEW_FAULTS = st.tuples(FAULTS, FAULTS).filter(lambda both: len(both[0]) + len(both[1]) <= 3)
"""Characters that are lost, and that come twice: each may cost a line two of its six tries."""
LINE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40).filter(
    lambda line: line.strip() and "%" not in line
)


def cutting(cuts):
    """Return a function that cuts whatever a guest says into pieces of the planned lengths, in turn."""
    turn = 0

    def cut(data):
        nonlocal turn
        while data:
            length = cuts[turn % len(cuts)]
            turn += 1
            yield data[:length]
            data = data[length:]

    return cut


def pieces(data, cuts):
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in pairwise(places)]


def soon(guest):
    return Deadline.after(900, guest.session.transcript.clock)


def booted(**fields):
    sac = FakeSac(**fields)
    sac.transcript.later(1.0, sac.boot)
    guest = SacGuest(Session(sac), sac.profile)
    guest.reach(Stage.CMD, soon(guest))
    return sac, guest


@SOME
@given(cuts=CUTS, interrupts=PLACES)
def test_commands_give_their_lines_whatever_the_chunks_and_wherever_events_come(cuts, interrupts):
    _, guest = booted(cut=cutting(cuts), interrupts=interrupts)
    for _ in range(3):
        assert guest.run_sac("p", soon(guest)).lines == (b"Paging is now OFF.",)
        guest.prove_life(soon(guest))
    assert guest.open_channel(soon(guest)) == "Cmd0001"


@SOME
@given(cuts=CUTS, faults=FEW_FAULTS, eats=st.integers(min_value=0, max_value=3), line=LINE)
def test_lines_in_cmd_are_entered_as_meant_though_characters_go_astray(cuts, faults, eats, line):
    drops, doubles = faults
    _, guest = booted(cut=cutting(cuts), drops=drops, doubles=doubles, eats=eats)
    assert guest.run(f"echo {line}", soon(guest)).output.rstrip() == line.rstrip().encode()
    guest.close_channel(soon(guest))
    guest.prove_life(soon(guest))


@SOME
@given(cuts=CUTS, typed=st.text(st.sampled_from("abc idch-sn019"), max_size=30), shell=st.booleans())
def test_sync_comes_to_an_empty_prompt_whatever_was_typed(cuts, typed, shell):
    sac, guest = booted(cut=cutting(cuts))
    if shell:
        guest.reach(Stage.SHELL, soon(guest))
    guest.press_keys(typed.encode(), soon(guest))
    guest.sync(soon(guest))
    assert (sac.channel, sac.line) == ("SAC", "")
    guest.prove_life(soon(guest))


@given(data=st.binary(max_size=400), before=st.binary(max_size=40))
def test_readers_take_any_bytes(data, before):
    for text in (data, before + BUGCHECK.encode()[: len(data)] + data):
        parse_bugcheck(text)
        parse_machine_info(text)
        re.findall(EVENT, text)
        lines_of(text)


@given(code=st.integers(min_value=0, max_value=2**32 - 1), end=st.integers(min_value=0, max_value=1200))
def test_bugcheck_that_is_cut_off_never_tells_another_code(code, end):
    whole = BUGCHECK.format(
        code, f"<machine-info>\r\n<guid>{GUID}</guid>\r\n</machine-info>\r\n", "NMI_HARDWARE_FAILURE"
    )
    found = parse_bugcheck(whole.encode()[:end])
    assert found is None or found.code in {None, code}


@given(
    events=st.lists(
        st.sampled_from(["EVENT:   A channel has been closed.\r\nChannel: Cmd0001\r\n", CMD_EVENT]),
        max_size=5,
    )
)
def test_events_are_found_in_order(events):
    text = "SAC>" + "".join(f"\r\n{event}SAC>" for event in events)
    assert [b"Channel" in found for found in re.findall(EVENT, text.encode())] == [
        "Channel" in one for one in events
    ]
