"""What a person asks of a running machine: errors in one line, a dump whole or not at all, gdb's symbols."""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.console.links import open_control_link
from emulator.errors import ControlError, FileError, SpecError
from emulator.machine.ledger import Entry
from emulator.machine.spec import Firmware, MachineSpec, MachineType
from emulator.values import json_ready
from harness.scenario.errors import Refused
from harness.terminal import by_hand
from harness.terminal.by_hand import ask, ask_qmp, debug_notes, dump_memory, read_arguments, symbols_of

SPEC = MachineSpec(name="sid", machine=MachineType.PC, kernel=Path("/boot/vmlinuz"))
MACHINE = Entry(
    id="m-1",
    label="boot sid",
    name="sid",
    owner_pid=1,
    owner_start=1,
    boot_id="",
    run_dir="",
    temp_dir="",
    started_utc="",
)


@contextmanager
def owner(tmp_path, answer):
    with open_control_link(tmp_path / "control.sock", answer) as path:
        yield replace(MACHINE, control_socket=str(path))


def test_a_refusal_is_one_line_with_the_machine(tmp_path):
    refuses = lambda _: {"ok": False, "refused": "QEMU refused 'x':\n no such command"}  # noqa: E731
    with (
        owner(tmp_path, refuses) as machine,
        pytest.raises(Refused, match="boot sid: QEMU refused 'x': no such"),
    ):
        ask(machine, {"do": "qmp", "command": "x"})


def test_nobody_who_answers_is_a_fault_of_the_lab(tmp_path):
    with pytest.raises(ControlError, match="no machine answers here"):
        ask(replace(MACHINE, control_socket=str(tmp_path / "none.sock")), {"do": "release"})


def test_qmp_hands_command_and_arguments_on(tmp_path):
    with owner(tmp_path, lambda request: {"ok": True, "return": request}) as machine:
        asked = ask_qmp(machine, "eject", {"device": "cd"})
    assert asked == {"do": "qmp", "command": "eject", "arguments": {"device": "cd"}}


def test_arguments_are_an_object_and_a_files_name_counts_from_here():
    assert read_arguments("") == {}
    assert read_arguments('{"id": 1}') == {"id": 1}
    assert read_arguments('{"filename": "shot.png"}') == {"filename": str(Path.cwd() / "shot.png")}
    assert read_arguments('{"filename": "/a/shot.png"}') == {"filename": "/a/shot.png"}


@pytest.mark.parametrize("text", ["[1]", "1", "{x", "query", "NaN", '"a"'])
def test_other_arguments_are_refused(text):
    with pytest.raises(SpecError, match="arguments "):
        read_arguments(text)


class Qemu:
    """Writes a dump in two looks, and ends it as it is told."""

    def __init__(self, end="completed"):
        self.end, self.looks = end, 0

    def __call__(self, request):
        return {
            "ok": True,
            "return": getattr(self, request["command"].replace("-", "_"))(request["arguments"]),
        }

    def query_dump_guest_memory_capability(self, _):
        return {"formats": ["elf", "kdump-zlib"]}

    def dump_guest_memory(self, arguments):
        self.path = Path(arguments["protocol"].removeprefix("file:"))
        self.path.write_bytes(b"\x7fELF")
        assert arguments == {
            "paging": False,
            "detach": True,
            "format": "elf",
            "protocol": arguments["protocol"],
        }
        return {}

    def query_dump(self, _):
        self.looks += 1
        return {"status": "active" if self.looks < 2 else self.end, "completed": 2, "total": 4}


def dump(tmp_path, qemu, *, kind="elf", progress=lambda *_: None):
    with owner(tmp_path, qemu) as machine:
        dump_memory(machine, tmp_path / "core", kind=kind, progress=progress)


def left_in(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def test_dump_is_for_its_owner_only_and_shows_how_far_it_is(tmp_path):
    shown = []
    dump(tmp_path, Qemu(), progress=lambda *bytes_: shown.append(bytes_))
    assert (tmp_path / "core").read_bytes() == b"\x7fELF"
    assert (tmp_path / "core").stat().st_mode & 0o777 == 0o600
    assert (shown, left_in(tmp_path)) == ([(2, 4), (4, 4)], ["core"])


def test_dump_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(Refused, match="is the disk full"):
        dump(tmp_path, Qemu(end="failed"))
    assert left_in(tmp_path) == []


def test_dump_that_is_interrupted_leaves_nothing(tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dump(tmp_path, Qemu(), progress=interrupt)
    assert left_in(tmp_path) == []


def test_dump_overwrites_nothing_not_even_what_came_meanwhile(tmp_path):
    come = lambda *_: (tmp_path / "core").write_text("mine")  # noqa: E731
    for progress in (come, come):
        with pytest.raises(SpecError, match="overwrites nothing"):
            dump(tmp_path, Qemu(), progress=progress)
    assert ((tmp_path / "core").read_text(), left_in(tmp_path)) == ("mine", ["core"])


def test_dump_has_a_format_that_qemu_offers_and_a_place(tmp_path):
    with pytest.raises(SpecError, match="--format is 'zip'; allowed: elf, kdump-zlib"):
        dump(tmp_path, Qemu(), kind="zip")
    with owner(tmp_path, Qemu()) as machine, pytest.raises(FileError, match="nowhere/core"):
        dump_memory(machine, tmp_path / "nowhere/core", kind="elf", progress=lambda *_: None)


def test_symbols_are_found_in_the_tree_that_a_kernel_was_built_in(tmp_path, monkeypatch):
    kernel = tmp_path / "out/arch/x86/boot/bzImage"
    kernel.parent.mkdir(parents=True)
    kernel.touch()
    assert symbols_of([kernel]) is None
    (tmp_path / "out/vmlinux").touch()
    assert symbols_of([kernel]) == tmp_path / "out/vmlinux"
    assert symbols_of([tmp_path / "out/vmlinux"]) == tmp_path / "out/vmlinux"
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "out"))  # what ttylab extracts has no symbols
    assert symbols_of([tmp_path / "out/vmlinux"]) is None


def test_notes_say_what_addresses_need(monkeypatch):
    monkeypatch.setattr(by_hand.shutil, "which", lambda name: f"/usr/bin/{name}")
    moved, fixed = (replace(SPEC, command_line=words) for words in ((), ("nokaslr",)))
    assert [note.split()[0] for note in debug_notes(moved, None)] == ["vmlinux:", "a"]
    assert debug_notes(fixed, Path("vmlinux")) == []


def test_gdb_is_one_that_knows_the_machine_and_is_to_be_installed_if_it_is_not_there(monkeypatch):
    monkeypatch.setattr(by_hand.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(by_hand.shutil, "which", lambda name: None)
    arm = replace(SPEC, machine=MachineType.VIRT, firmware=Firmware.NONE, command_line=("nokaslr",))
    assert (by_hand.gdb_for(SPEC), by_hand.gdb_for(arm)) == ("gdb", "gdb-multiarch")
    (note,) = debug_notes(arm, Path("vmlinux"))
    assert note == "gdb-multiarch is not installed: apt-get install gdb-multiarch"


def test_debug_closes_the_stub_whatever_ends_it(tmp_path, monkeypatch):
    asked, shown = [], []

    def answer(request):
        asked.append(request)
        return {"ok": True, "socket": "/run/gdb.sock"}

    def leave(_):
        raise KeyboardInterrupt

    (tmp_path / "argv.json").write_text(json.dumps({"spec": json_ready(SPEC)}))
    with owner(tmp_path, answer) as served:
        machine = replace(served, run_dir=str(tmp_path))
        monkeypatch.setattr(by_hand, "list_machines", lambda: (machine,))
        monkeypatch.setattr(by_hand, "_await_leave", leave)
        with pytest.raises(KeyboardInterrupt):
            by_hand.debug(machine, tell=lambda _: None, show=shown.append)
    assert [one["open"] for one in asked] == [True, False]
    assert shown == ["gdb vmlinux -ex 'target remote /run/gdb.sock'"]
