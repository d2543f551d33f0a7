"""Megabytes from real guests, checked by sums that the guests compute."""

import hashlib
import os
import re
from collections.abc import Callable

import pytest

from emulator.clock import Deadline
from emulator.console.pump import Console
from emulator.console.serial_port import open_serial_console
from emulator.images.store import ImageStore
from emulator.machine.machine import Machine, open_machine
from emulator.machine.spec import MachineSpec, MachineType
from tests.support.rfc2217_server import open_rfc2217_server

pytestmark = pytest.mark.qemu

BOUND_S = 120.0


@pytest.fixture
def boot(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    image = ImageStore().ensure("bookworm")

    def open_guest(**fields):
        spec = MachineSpec(
            name="bytes",
            machine=MachineType.PC,
            kernel=image.vmlinux,
            initrd=image.initrd,
            tell_tsc=True,
            command_line=(
                "console=ttyS0,115200 quiet no_timer_check cryptomgr.notests ttylab.autologin",
                "sysctl.kernel.sysrq=1",
            ),
            **fields,
        )
        return open_machine(spec, run_dir=tmp_path / "run")

    return open_guest


def wait_until(console: Console, condition: Callable[[], object]) -> None:
    deadline = Deadline.after(BOUND_S)
    while True:
        version = console.transcript.version
        if condition():
            return
        assert not deadline.expired(), f"never came; the last bytes are {console.transcript.read()[-300:]!r}"
        console.transcript.wait_change(version, deadline)


def find(console: Console, pattern: bytes, *, start: int = 0) -> re.Match[bytes]:
    """Wait until `pattern` is in what came from `start` on."""
    found: list[re.Match[bytes]] = []
    wait_until(console, lambda: found.extend(re.finditer(pattern, console.transcript.read(start))) or found)
    return found[0]


def run(machine: Machine, command: bytes) -> bytes:
    """Run a command at the prompt and return what it printed."""
    start = len(machine.transcript)
    # The quotes keep the echo of the command from looking like its output.
    machine.console.write(b"echo '<be''gin>'; " + command + b"; echo '<en''d>'\n", Deadline.after(BOUND_S))
    wait_until(
        machine.console, lambda: b"<end>" in machine.transcript.read(max(start, len(machine.transcript) - 99))
    )
    printed = re.search(rb"(?s)<begin>\r?\n(.*)<end>", machine.transcript.read(start))
    assert printed is not None
    return printed[1]


def test_two_megabytes_on_ttys0_are_exact_while_a_user_of_the_endpoint_stalls(boot):
    with boot() as machine:
        user = os.open(machine.console.endpoint.path, os.O_RDWR | os.O_NOCTTY)
        find(machine.console, rb"# ")
        run(machine, b"dmesg -n 1")  # a late kernel line would be bytes of the body too
        expected = run(
            machine, b"dd if=/dev/urandom bs=1k count=1500 2>/dev/null | base64 > /tmp/f; md5sum < /tmp/f"
        )
        body = run(machine, b"stty -opost; cat /tmp/f; stty opost")
        seen = b""
        while len(seen) < len(machine.transcript):
            seen += os.read(user, 65536)
        os.close(user)
    assert len(body) > 2_000_000
    assert hashlib.md5(body).hexdigest().encode() == expected.split()[0]
    assert machine.transcript.read().startswith(seen)


def test_fifty_megabytes_on_the_bulk_console_are_exact(boot):
    with boot(bulk_console=True) as machine:
        find(machine.console, rb"# ")
        bulk = machine.bulk.transcript
        run(machine, b"dd if=/dev/urandom of=/tmp/f bs=1M count=10 2>/dev/null")
        run(machine, b"port=$(echo /dev/vport*p1)")  # a redirection does not expand it
        run(machine, b"for i in 1 2 3 4 5; do cat /tmp/f; done > $port")
        wait_until(machine.bulk, lambda: len(bulk) >= 50 << 20)
        expected = run(machine, b"md5sum < /tmp/f").split()[0]
    pieces = [bulk.read(start << 20, (start + 10) << 20) for start in range(0, 50, 10)]
    assert len(bulk) == 50 << 20
    assert {hashlib.md5(piece).hexdigest().encode() for piece in pieces} == {expected}


def test_break_over_rfc2217_reaches_the_guests_sysrq(boot):
    with boot() as machine:
        find(machine.console, rb"# ")

        def send_break() -> None:
            machine.send_break(Deadline.after(BOUND_S))

        with (
            open_rfc2217_server(machine.console, on_break=send_break) as (host, port),
            open_serial_console(f"rfc2217://{host}:{port}") as remote,
        ):
            remote.write(b"echo over the net''work\n", Deadline.after(BOUND_S))
            find(remote, rb"over the network")
            find(machine.console, rb"network\r\n.*# ")
            remote.sysrq("h", Deadline.after(BOUND_S))
            find(remote, rb"sysrq: HELP : loglevel")


def test_console_and_its_users_outlive_a_power_cycle(boot):
    with boot() as machine:
        find(machine.console, rb"# ")
        user = os.open(machine.console.endpoint.path, os.O_RDWR | os.O_NOCTTY)
        machine.power_off(Deadline.after(BOUND_S))
        first = len(machine.transcript)
        machine.power_on(Deadline.after(BOUND_S))
        find(machine.console, rb"# ", start=first)
        seen = b""
        while len(seen) < first + 1:
            seen += os.read(user, 65536)
        os.write(user, b"echo from the end''point\n")
        find(machine.console, rb"from the endpoint\r\n", start=first)
        os.close(user)
    assert machine.transcript.read().startswith(seen)
