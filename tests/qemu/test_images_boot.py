"""Every image of the catalog boots, lets root in, and hangs when told to; built first if it is not there."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest

from emulator.images.catalog import load_catalog
from emulator.images.image import Image
from emulator.images.store import ImageStore
from emulator.machine.architectures.x86_64 import X86_64

BOUND_S = 60.0
INTERRUPTS_ON = 0x200


class Guest:
    """The far ends of a QEMU's serial line and QMP."""

    def __init__(self, line: socket.socket, control: socket.socket, replies: BinaryIO) -> None:
        self._line = line
        self._control = control
        self._replies = replies
        self._deadline = time.monotonic() + BOUND_S
        self.output = b""

    def expect(self, pattern: bytes) -> bytes:
        while not (match := re.search(pattern, self.output)):
            self._line.settimeout(max(0.01, self._deadline - time.monotonic()))
            chunk = self._line.recv(65536)
            assert chunk, f"QEMU ended; it wrote {self.output[-500:]!r}"
            self.output += chunk
        self.output = self.output[match.end() :]
        return match[0]

    def run(self, command: bytes) -> list[bytes]:
        """Return the lines that a command at a root prompt prints."""
        self._line.sendall(command + b"; echo END$?\n")
        return self.expect(rb"(?s)\n.*END0\r\n").strip().split(b"\r\n")[:-1]

    def control(self, command: str, **arguments: str) -> object:
        """Return what a QMP command answers."""
        self._control.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while "return" not in (message := json.loads(self._replies.readline())):
            assert "error" not in message, message
        return message["return"]

    def wait_until_hung_in_a_module(self) -> None:
        """Ask for the registers until the processor is in the modules' area with interrupts off."""
        while time.monotonic() < self._deadline:
            registers = str(self.control("human-monitor-command", **{"command-line": "info registers"}))
            position = re.search(r"RIP=ffffffffc0[0-9a-f]{6} RFL=([0-9a-f]{8})", registers)
            if position and not int(position[1], 16) & INTERRUPTS_ON:
                return
        raise AssertionError("the processor does not hang")

    def send(self, text: bytes) -> None:
        self._line.sendall(text)


@contextmanager
def booted(image: Image, *options: str) -> Iterator[Guest]:
    (line, far_line), (control, far_control) = socket.socketpair(), socket.socketpair()
    command = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-accel", "tcg", "-m", "256M"]
    command += ["-cpu", "qemu64,-svm,-cx16", "-kernel", str(image.vmlinux), "-initrd", str(image.initrd)]
    command += ["-append", " ".join(["console=ttyS0,115200 no_timer_check cryptomgr.notests", *options])]
    command += ["-chardev", f"socket,id=line,fd={far_line.fileno()}", "-serial", "chardev:line"]
    command += ["-chardev", f"socket,id=control,fd={far_control.fileno()}", "-mon", "control,mode=control"]
    ends = (far_line.fileno(), far_control.fileno())
    with line, control, subprocess.Popen(command, pass_fds=ends, stdin=subprocess.DEVNULL) as process:
        far_line.close()
        far_control.close()
        try:
            control.settimeout(BOUND_S)
            with control.makefile("rb") as replies:
                yield Guest(line, control, replies)
        finally:
            process.kill()


PLAIN = [  # disks are test_grub_boot's, and arm64 is test_arm64's, which has no NMI
    name for name, entry in load_catalog().entries.items() if not entry.disk and entry.runs_on is X86_64
]


@pytest.mark.qemu
@pytest.mark.parametrize("name", PLAIN)
def test_image_lets_root_in_and_hangs_in_spin_until_an_nmi_comes(name: str):
    image = ImageStore().ensure(name)
    with booted(image, "quiet loglevel=1 sysctl.kernel.sysrq=1 unknown_nmi_panic=1") as guest:
        guest.expect(rb"ttylab %s\r\n" % name.encode())
        guest.expect(rb"%s login: $" % name.encode())
        guest.send(b"root\n")
        guest.expect(rb"Password: $")
        guest.send(b"ttylab\n")
        assert b"\x1b" not in guest.expect(rb"(?s).*root@%s:~# $" % name.encode())
        facts = guest.run(b"uname -r; cat /proc/sys/kernel/sysrq; stat -c %a / /root; ls -1 /lib/modules")
        assert facts[:4] == [image.kernel_release.encode(), b"1", b"755", b"700"]
        assert set(facts[4:]) >= {b"order", b"spin.ko", b"button.ko", b"evdev.ko"}
        guest.send(b"insmod /lib/modules/spin.ko\n")
        guest.control("qmp_capabilities")
        guest.wait_until_hung_in_a_module()
        guest.control("inject-nmi")
        # Linux 5.10 prints no "end Kernel panic" here: the console's lock may be held below the NMI.
        guest.expect(rb"Kernel panic - not syncing: NMI: Not continuing\r\n")
        guest.expect(rb"RIP: 0010:(init_module|evdev_init)\+\S+ \[spin\]\r\n")
