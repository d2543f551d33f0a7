"""However a console's bytes are cut, the driver says the same of a guest that will not come to SAC."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.clock import Deadline
from emulator.console.marks import MarkKind
from harness.guests.sac import SacGuest
from harness.play.session import Session
from harness.scenario.errors import SacUnavailable
from harness.scenario.stages import Stage
from tests.support.fake_sac import FakeSac

BDS = b'\x1b[2JBdsDxe: starting Boot0001 "UEFI QEMU HARDDISK"\r\n'
TEXTS = {
    b"======== Microsoft Azure VM Health Report - Start 2026\r\n": "EMS is off",
    b"0000\x03\x00\x10\x00\x00\x00": "a kernel debugger has the port",
    b"\x1b[0m\x1b[30m\x1b[47mWelcome to GRUB!\n\r": "no Windows",
    b"[    0.000000] Linux version 6.1.0\r\n": "no Windows",
    b"\r\nISOLINUX 6.04 ETCD\r\n": "no Windows",
    b"\r\nweb1 login: ": "no Windows",
    b"BdsDxe: No bootable option or device was found.\r\n": "nothing boots",
}


@given(
    text=st.sampled_from(sorted(TEXTS)),
    cuts=st.sets(st.integers(1, 120)),
    stage=st.sampled_from([Stage.KERNEL, Stage.CMD]),
)
def test_state_does_not_hang_on_chunks(text, cuts, stage):
    sac = FakeSac()
    sac.transcript.mark(MarkKind.MACHINE, "started")
    guest = SacGuest(Session(sac), sac.profile)
    stream, ends = BDS + text, [0, *sorted(cuts), 10_000]
    for number, (begin, end) in enumerate(pairwise(ends)):
        chunk = stream[begin:end]
        if chunk:
            sac.transcript.later(0.1 * number, lambda chunk=chunk: sac.transcript.append(chunk))
    with pytest.raises(SacUnavailable) as caught:
        guest.reach(stage, Deadline.after(600, sac.transcript.clock))
    assert caught.value.state == TEXTS[text]
    assert sac.transcript.clock.monotonic() < 60
