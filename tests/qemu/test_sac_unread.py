"""A console that nobody reads: the guest waits a while for its reader, and then goes on without."""

import json
import os
import socket
import subprocess
import tty
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from emulator.machine.argv import Wiring, build_argv
from emulator.machine.qemu_binary import find_qemu
from emulator.sac.image import SacBoot, sac_spec
from emulator.sac.knobs import Hang, SacKnobs

pytestmark = pytest.mark.qemu
BOUND_S = 30.0
RESTARTS = 3


def test_guest_goes_on_when_nobody_reads(tmp_path):
    spec = sac_spec(way=SacBoot.PVH, knobs=SacKnobs(hang=Hang.BOOT_LOOP), root=tmp_path)
    with ExitStack() as stack:
        qemu = find_qemu()
        master, slave = os.openpty()
        stack.callback(os.close, master)
        stack.callback(os.close, slave)
        tty.setraw(slave)
        console, unread = (stack.enter_context(closing(end)) for end in socket.socketpair())
        ours, qmp = (stack.enter_context(closing(end)) for end in socket.socketpair())
        wiring = Wiring(console_path=Path(os.ttyname(slave)), qmp_fd=qmp.fileno())
        argv = build_argv(spec, qemu=qemu.path, accelerator="tcg", wiring=wiring, version=qemu.version)
        # A unix socket is full after less than one boot's text, a pty after dozens (docs/facts/qemu.md 3).
        line = f"socket,id=ttyS0,fd={console.fileno()}"
        words = [line if word.startswith("serial,id=ttyS0,") else word for word in argv]
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *words],
            pass_fds=[console.fileno(), qmp.fileno()],
            stdin=subprocess.DEVNULL,
        )
        stack.callback(process.wait, BOUND_S)
        stack.callback(process.kill)
        qmp.close()
        ours.settimeout(BOUND_S)
        events = stack.enter_context(ours.makefile("rb"))
        ours.sendall(b'{"execute":"qmp_capabilities"}{"execute":"cont"}')
        seen = 0
        for event in events:
            seen += json.loads(event).get("event") == "RESET"
            if seen == RESTARTS:
                break
        assert seen == RESTARTS
        unread.setblocking(False)
        assert unread.recv(4) == b"\x1b[2J"  # it was full of the first boot's text all the time
