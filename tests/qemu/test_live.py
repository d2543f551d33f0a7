"""A running guest beside its console: QMP through its owner, a dump that is an ELF core, and a debugger."""

import json
import socket
import struct
import sys
from pathlib import Path

import pexpect
import pytest

from emulator.clock import SYSTEM_CLOCK, Deadline
from emulator.console.marks import STOPPED
from emulator.machine.by_hand import answer
from harness.cli import main
from harness.terminal.by_hand import find_machine

pytestmark = pytest.mark.qemu

BREAKPOINT = "Z0,{:x},1"


def soon(seconds=60.0):
    return Deadline.after(seconds)


def packet(text: str) -> bytes:
    return f"${text}#{sum(text.encode()) % 256:02x}".encode()


def talk(link: socket.socket, text: str) -> bytes:
    """Send a packet of gdb's remote protocol, and return what follows its acknowledgement."""
    link.sendall(packet(text))
    heard = b""
    while b"+" not in heard or not heard.rpartition(b"#")[0] or b"#" not in heard.partition(b"+")[2]:
        heard += link.recv(65536)
    return heard.partition(b"+")[2]


@pytest.mark.from_state("shell")
def test_qmp_dump_and_gdb_leave_the_guest_alive(machine, guest, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_machine(machine.id).id == machine.id
    _qmp(machine, capsys)
    _dump(machine, tmp_path, capsys)
    guest.prove_life(soon())
    _debug(machine)
    guest.prove_life(soon())
    assert [mark.name for mark in machine.transcript.marks if mark.name == STOPPED] == []
    names = [mark.name for mark in machine.transcript.marks if "by" in mark.detail]
    assert names == ["qmp stop", "qmp cont", "qmp no-such-command", "qmp dump-guest-memory", "gdb"]
    machine.power_off(soon())
    for request in ({"do": "qmp", "command": "query-status"}, {"do": "gdb", "open": True}):
        assert answer(machine, request)["refused"].endswith("is off; it must be on")


def _qmp(machine, capsys):
    assert main(["qmp", machine.id, "query-status"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "running"
    assert main(["qmp", machine.id, "query-qmp-schema"]) == 0
    assert len(json.loads(capsys.readouterr().out)) > 1000
    assert main(["qmp", machine.id, "human-monitor-command", '{"command-line": "info version"}']) == 0
    assert json.loads(capsys.readouterr().out)[0].isdigit()
    assert main(["qmp", machine.id, "stop"]) == 0
    assert machine.stands_by_hand
    assert main(["qmp", machine.id, "cont"]) == 0
    assert main(["qmp", machine.id, "screendump", '{"filename": "shot.png", "format": "png"}']) == 0
    assert Path("shot.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    for command, why in (("no-such-command", "has not been found"), ("quit", "refused: quit")):
        assert main(["qmp", machine.id, command]) == 1
        assert why in capsys.readouterr().err


def _dump(machine, tmp_path, capsys):
    assert main(["dump", machine.id, "core"]) == 0
    assert capsys.readouterr().out.startswith("core: ")
    core = tmp_path / "core"
    assert core.stat().st_mode & 0o777 == 0o600
    assert memory_in(core.read_bytes()) >= machine.spec.memory_mib << 20
    assert main(["dump", machine.id, "core"]) == 2
    core.unlink()


def memory_in(core: bytes) -> int:
    """Return how many bytes of memory an ELF core of 64 bits has in its LOAD segments."""
    assert core[:5] == b"\x7fELF\x02"
    assert struct.unpack_from("<H", core, 16) == (4,)  # ET_CORE
    (start,), (size, count) = struct.unpack_from("<Q", core, 32), struct.unpack_from("<HH", core, 54)
    segments = (struct.unpack_from("<IIQQQQ", core, start + index * size) for index in range(count))
    return sum(stored for kind, _, _, _, _, stored in segments if kind == 1)


def _debug(machine):
    words = [sys.executable, "-P", "-m", "harness.cli", "attach", "--gdb", machine.id]
    attached = pexpect.spawn(words[0], words[1:], timeout=60, encoding="utf-8")
    attached.expect(r"gdb vmlinux -ex 'target remote (\S+)'")
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(attached.match[1])
        link.settimeout(60)
        assert link.recv(64).startswith(b"$T")  # it has stopped
        assert talk(link, "?").startswith(b"$T05")
        registers = bytes.fromhex(talk(link, "g")[1:].partition(b"#")[0].decode())
        deadline = soon()
        while not machine.stands_by_hand:  # QEMU tells of it by an event
            assert not deadline.expired()
            SYSTEM_CLOCK.sleep(0.01)
        where = int.from_bytes(registers[16 * 8 : 17 * 8], "little")  # rip
        assert b"OK" in talk(link, BREAKPOINT.format(where))
    attached.expect("Enter or Ctrl-C")
    attached.send("\r")  # although gdb left a breakpoint behind, the guest runs on
    attached.expect(pexpect.EOF)
    attached.close()
    assert attached.exitstatus == 0
    assert not (machine.links_dir / "gdb.sock").exists()
