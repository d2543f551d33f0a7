"""The course of the overhead benchmark, driven by ttylab or by a bare loop; a process of its own.

boot -> prompt -> command -> NMI -> panic -> reset -> prompt; prints one JSON object with seconds.
"""

from __future__ import annotations

import json
import os
import re
import resource
import select
import socket
import subprocess
import sys
import tempfile
import tty
from contextlib import ExitStack
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.images.store import ImageStore
from emulator.machine.architectures import X86_64
from emulator.machine.argv import Wiring, build_argv
from emulator.machine.host import measure_tsc_khz
from emulator.machine.machine import open_machine
from emulator.machine.probe import Choice
from emulator.machine.qemu_binary import find_qemu
from emulator.machine.spec import MachineSpec, MachineType
from harness.guests.linux import LinuxGuest
from harness.play.session import Session

LIMIT_S = 90.0
PANIC_END = b"---[ end Kernel panic"
_PROMPT = b"root@bookworm:~# "


def course_spec() -> MachineSpec:
    """Return the guest: a shell without login, that panics on an NMI and stays."""
    image = ImageStore().ensure("bookworm")
    words = ("ttylab.autologin", "unknown_nmi_panic=1", "sysctl.kernel.panic_on_unrecovered_nmi=1", "panic=0")
    return MachineSpec(
        name="bench",
        machine=MachineType.PC,
        kernel=image.vmlinux,
        initrd=image.initrd,
        tell_tsc=True,
        command_line=(*X86_64.console_words, *X86_64.kernel_words, *words),
    )


def run_ttylab(spec: MachineSpec) -> float:
    """Drive the course with ttylab; return the seconds from the NMI to the panic's end seen."""
    deadline = Deadline.after(LIMIT_S)
    choice = Choice(accelerator="tcg", reason="both sides the same")
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        machine = stack.enter_context(open_machine(spec, run_dir=Path(scratch) / "run", accelerator=choice))
        session = Session(machine.console)
        guest = LinuxGuest(session)
        session.expect(_PROMPT, deadline)
        guest.check_output("uname -r", deadline)
        with session.expecting("panic", "nmi-unknown", "reset"):
            injected = SYSTEM_CLOCK.monotonic()
            machine.nmi(deadline)
            session.expect(re.escape(PANIC_END), deadline)
            seen = SYSTEM_CLOCK.monotonic() - injected
            machine.reset(deadline)
            session.expect(_PROMPT, deadline)
    return seen


class BareLoop:
    """The least that can drive a guest: one select loop over a pty and a QMP socket."""

    def __init__(self, spec: MachineSpec) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        ours, theirs = socket.socketpair()
        qemu = find_qemu()
        argv = build_argv(
            spec,
            qemu=qemu.path,
            accelerator="tcg",
            wiring=Wiring(console_path=Path(os.ttyname(slave)), qmp_fd=theirs.fileno()),
            version=qemu.version,
            tsc_khz=measure_tsc_khz(),
        )
        self.process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self._qmp = ours
        self._slave = slave
        self._seen = bytearray()
        self.wait_qmp(b'"QMP"')
        self.command("qmp_capabilities")
        self.command("cont")

    def command(self, name: str) -> None:
        """Execute a QMP command."""
        self._qmp.sendall(json.dumps({"execute": name}).encode() + b"\n")
        self.wait_qmp(b'"return"')

    def wait_qmp(self, word: bytes) -> None:
        """Read QMP until `word` comes."""
        answer = b""
        while word not in answer:
            answer += self._qmp.recv(65536)

    def write(self, data: bytes) -> None:
        """Type."""
        os.write(self._master, data)

    def wait(self, word: bytes) -> None:
        """Read the console until `word` comes, and forget what came before."""
        while (at := self._seen.find(word)) < 0:
            ready, _, _ = select.select([self._master, self._qmp], [], [], LIMIT_S)
            if not ready:
                raise TimeoutError(word)
            if self._qmp in ready:
                self._qmp.recv(65536)
            if self._master in ready:
                SYSTEM_CLOCK.sleep(
                    0.001
                )  # as ttylab's pump: a reader that never waits burns 2 s of CPU per MB
                self._seen += os.read(self._master, 65536)
        del self._seen[: at + len(word)]

    def close(self) -> None:
        """End QEMU."""
        self._qmp.sendall(b'{"execute": "quit"}\n')
        self.process.wait(10)
        os.close(self._master)
        os.close(self._slave)
        self._qmp.close()


def run_bare(spec: MachineSpec) -> float:
    """Drive the course with a select loop; return the seconds from the NMI to the panic's end seen."""
    loop = BareLoop(spec)
    try:
        loop.wait(_PROMPT)
        loop.write(b"uname -r\r")
        loop.wait(b"-cloud-amd64\r\n")
        loop.wait(_PROMPT)
        injected = SYSTEM_CLOCK.monotonic()
        loop.command("inject-nmi")
        loop.wait(PANIC_END)
        seen = SYSTEM_CLOCK.monotonic() - injected
        loop.command("system_reset")
        loop.wait(_PROMPT)
    finally:
        loop.close()
    return seen


def cpu_seconds() -> float:
    """Return the CPU that this process and its ended children have used."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main(side: str) -> None:
    """Run one side and print what it took, interpreter start-up aside."""
    spec = course_spec()
    find_qemu()
    measure_tsc_khz()
    wall, cpu = SYSTEM_CLOCK.monotonic(), cpu_seconds()
    seen = {"ttylab": run_ttylab, "bare": run_bare}[side](spec)
    facts = {"wall": SYSTEM_CLOCK.monotonic() - wall, "cpu": cpu_seconds() - cpu, "nmi": seen}
    sys.stdout.write(json.dumps(facts) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
