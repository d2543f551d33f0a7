"""What is asked of a machine by hand: what reads, what changes and is marked, and what is refused."""

import pytest

from emulator.console.marks import REFUSED, MarkKind
from emulator.console.transcript import Transcript
from emulator.errors import ControlError
from emulator.machine.by_hand import answer, objection, only_reads


def hmp(line):
    return "human-monitor-command", {"command-line": line}


@pytest.mark.parametrize(
    "asked",
    [
        ("query-status", {}),
        ("screendump", {"filename": "/tmp/a.png"}),
        ("qom-get", {}),
        hmp("info registers"),
        hmp("x/4i $pc"),
        hmp("help"),
    ],
)
def test_what_only_reads_is_no_change(asked):
    assert only_reads(*asked)
    assert objection(*asked) == ""


@pytest.mark.parametrize(
    "asked",
    [("system_reset", {}), ("cont", {}), ("qom-set", {}), ("anything-new", {}), hmp("system_reset"), hmp(""),
     ("human-monitor-command", {})],
)  # fmt: skip
def test_everything_else_counts_as_a_change(asked):
    assert not only_reads(*asked)
    assert objection(*asked) == ""


@pytest.mark.parametrize(
    ("asked", "instead"),
    [
        (("quit", {}), "ttylab release"),
        (hmp("q"), "ttylab release"),
        (hmp("quit"), "ttylab release"),
        (("migrate", {}), "ttylab snapshots"),
        (("migrate-set-capabilities", {}), "ttylab snapshots"),
        (hmp("migrate_cancel"), "ttylab snapshots"),
        (("qmp_capabilities", {}), "owner's session"),
        (("chardev-remove", {"id": "ttyS0"}), "console would be lost"),
        (hmp("gdbserver tcp::1234"), "attach --gdb"),
    ],
)
def test_what_breaks_the_owners_knowledge_is_refused_with_what_to_do_instead(asked, instead):
    assert instead in objection(*asked)


class Machine:
    """Notes its queries, or fails."""

    def __init__(self, failure=None):
        self.transcript, self.failure, self.asked = Transcript(), failure, []
        self.on_release = None

    def touch(self, what):
        self.transcript.mark(MarkKind.STIMULUS, what, {"by": "control socket"})

    def query(self, command, arguments, *, deadline):
        self.asked.append((command, arguments))
        if self.failure is not None:
            raise self.failure
        return {"status": "running"}


def marks(machine):
    return [(mark.kind, mark.name) for mark in machine.transcript.marks]


def test_a_reading_command_is_answered_without_a_mark():
    machine = Machine()
    said = answer(machine, {"do": "qmp", "command": "query-status"})
    assert said == {"ok": True, "return": {"status": "running"}}
    assert (machine.asked, marks(machine)) == ([("query-status", {})], [])


def test_a_change_is_marked_by_its_name():
    machine = Machine()
    answer(machine, {"do": "qmp", "command": "system_reset"})
    name, line = hmp("device_del net0")
    answer(machine, {"do": "qmp", "command": name, "arguments": line})
    names = [(MarkKind.STIMULUS, "qmp system_reset"), (MarkKind.STIMULUS, "qmp device_del net0")]
    assert marks(machine) == names


def test_a_change_that_qemu_refuses_gets_a_second_mark():
    machine = Machine(ControlError("QEMU refused 'eject': no such device"))
    said = answer(machine, {"do": "qmp", "command": "eject"})
    assert said == {"ok": False, "refused": "QEMU refused 'eject': no such device"}
    assert marks(machine) == [(MarkKind.STIMULUS, "qmp eject"), (MarkKind.LAB, REFUSED)]


@pytest.mark.parametrize(
    "request_",
    [{"command": "quit"}, {}, {"command": ["query-status"]}, {"command": "query-status", "arguments": []}],
)
def test_a_refused_or_malformed_request_reaches_no_qemu(request_):
    machine = Machine()
    assert answer(machine, {"do": "qmp"} | request_)["ok"] is False
    assert (machine.asked, marks(machine)) == ([], [])


def test_only_a_held_machine_is_released():
    machine = Machine()
    assert "not held" in answer(machine, {"do": "release"})["refused"]
    machine.on_release = lambda: machine.asked.append("released")
    assert answer(machine, {"do": "release"}) == {"ok": True}
    assert machine.asked == ["released"]


def test_other_words_are_those_of_the_control_socket():
    assert 'need one "do" of nmi' in answer(Machine(), {"do": "explode"})["error"]
