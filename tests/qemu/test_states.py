"""Snapshots of a real guest: made once, gone on from, and made anew where they are not whole."""

import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from emulator.console.transcript import load_transcript
from emulator.errors import LabError, SnapshotError
from emulator.guest_text.sac_documents import parse_bugcheck
from emulator.machine.ledger import list_machines
from emulator.machine.machine import open_machine
from emulator.machine.power import FORKED
from emulator.machine.process import read_stat
from emulator.sac.image import SacBoot, read_sac_dump, sac_spec
from emulator.snapshots import making
from emulator.snapshots.manifest import Method, SnapshotRequest
from emulator.snapshots.room import RAM_FILE, drop_unpacked
from emulator.snapshots.snapshot import CONSOLE, MANIFEST, VM_STATE
from harness.play.session import Session
from harness.scenario.stages import Stage
from tests.support.state_lab import DRIVER, TCG, StateLab, prove_life, soon

pytestmark = pytest.mark.qemu


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateLab:
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "ledger"))
    return StateLab(root=tmp_path)


# -- going on ----------------------------------------------------------------------------------


def test_state_is_made_once_and_serves_other_processes(lab: StateLab) -> None:
    state = lab.ensure()
    assert lab.boots == 1
    again = lab.ensure()
    assert (lab.boots, again.manifest) == (1, state.manifest)
    assert state.manifest.method is Method.SHARED_RAM
    assert set(state.manifest.files) == {VM_STATE, RAM_FILE, "console/console.bin", "console/timeline.jsonl"}
    assert list_machines() == ()


def test_transcript_of_a_fork_begins_with_the_states_and_is_kept_whole(lab: StateLab) -> None:
    state = lab.ensure()
    with lab.fork(state) as machine:
        past = state.past.read()
        assert b"EVENT: The CMD command is now available." in past
        assert machine.transcript.read(0, len(past)) == past
        fork = next(mark for mark in machine.transcript.marks if mark.name == FORKED)
        assert fork.offset == len(past)
        assert fork.detail["state"] == state.manifest.key
        assert any("clock" in str(fact) for fact in fork.detail["shared"])
        prove_life(machine)
        live = machine.transcript
    kept = load_transcript(lab.root / "fork1")
    assert kept.truncated is None
    assert kept.read() == live.read()
    assert [mark.name for mark in kept.marks] == [mark.name for mark in live.marks]
    assert [mark.at for mark in kept.marks] == sorted(mark.at for mark in kept.marks)
    assert [mark.name for mark in kept.marks].count("started") == 1


def test_forks_live_side_by_side_and_leave_the_state_as_it_is(lab: StateLab) -> None:
    state = lab.ensure()
    with lab.fork(state) as one, lab.fork(state) as other:
        one.nmi(soon())
        bugcheck = Session(one.console)
        with bugcheck.expecting("bugcheck", "sac-crash-prompt", "reset"):
            bugcheck.expect(rb"</BP>", soon())
        found = parse_bugcheck(one.transcript.read(len(state.past)))
        assert found is not None
        assert found.code == 0x80
        prove_life(other)
    assert state.is_intact()
    with lab.fork(state) as later:
        prove_life(later)


def test_reset_and_power_of_a_fork_boot_it_cold(lab: StateLab) -> None:
    state = lab.ensure()
    with lab.fork(state) as machine:
        session = Session(machine.console)
        guest = DRIVER(session)
        with session.expecting("reset", "shutdown", "off"):
            machine.reset(soon())
            session.wait_mark(frozenset({"RESET"}), soon(), since=0)
            guest.restarted()
            guest.reach(Stage.CMD, soon())
            machine.power_off(soon())
            machine.power_on(soon())
            guest.restarted()
            guest.reach(Stage.CMD, soon())
            guest.prove_life(soon())
        assert "-incoming" not in machine.argv
        names = [mark.name for mark in machine.transcript.marks]
        assert (names.count(FORKED), names.count("started")) == (
            1,
            2,
        )  # the state's own boot, and the power-on


def test_fork_can_be_held_until_it_is_wanted(lab: StateLab) -> None:
    state = lab.ensure()
    spec, origin = state.fork(name="held", seed=1)
    opened = open_machine(spec, run_dir=lab.root / "held", qemu=lab.qemu, start=False, origin=origin)
    with opened as machine:
        machine.power_on(soon(), runs=False)
        assert machine.query("query-status", deadline=soon())["status"] == "paused"  # type: ignore[index]
        machine.resume(soon())
        prove_life(machine)


def test_disks_of_a_fork_are_its_own_and_the_host_reads_them(lab: StateLab) -> None:
    lab.spec = sac_spec(way=SacBoot.BIOS_DISK)
    plain = lab.ensure()
    assert "disk0.qcow2" in plain.manifest.files
    store = lab.store()
    request = SnapshotRequest(spec=lab.spec, stage=Stage.CMD, label="sac", host_reads_disks=True)
    state = store.ensure(request, TCG, lab.reach, soon())
    assert state.manifest.key != plain.manifest.key
    for name in ("one", "two"):
        own = lab.root / name
        own.mkdir()
        with lab.fork(state, own=own) as machine:
            session = Session(machine.console)
            guest = DRIVER(session)
            with session.expecting("reset", "bugcheck", "sac-crash-prompt"):
                if name == "one":
                    machine.nmi(soon())
                    session.wait_mark(frozenset({"RESET"}), soon(), since=0)
                    guest.restarted()
                guest.reach(Stage.CMD, soon())
                guest.prove_life(soon())
    dump = read_sac_dump(lab.root / "one" / "disk0.img")
    assert dump is not None
    assert dump.code == 0x80
    assert read_sac_dump(lab.root / "two" / "disk0.img") is None
    assert state.is_intact()


def test_ram_in_the_stream_serves_a_qemu_that_can_not_leave_it_out(
    lab: StateLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "choose_method", lambda qemu: Method.STREAM)
    state = lab.ensure()
    assert state.manifest.method is Method.STREAM
    assert RAM_FILE not in state.manifest.files
    with lab.fork(state) as machine:
        prove_life(machine)


# -- faults ------------------------------------------------------------------------------------


def flip(path: Path, *, at: float) -> None:
    """Change one byte that is no hole, and leave length and time as they were."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    place = next(i for i in range(int(len(data) * at), len(data)) if data[i])
    data[place] ^= 0x10
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda state: flip(state / RAM_FILE, at=0.0), "ram: altered"),
        (lambda state: cut(state / RAM_FILE), "ram: [0-9]+ bytes, need [0-9]+"),
        (lambda state: flip(state / VM_STATE, at=0.9), "vm.state: altered"),
        (lambda state: (state / VM_STATE).unlink(), "vm.state: No such file"),
        (lambda state: cut(state / CONSOLE / "console.bin"), "console.bin: [0-9]+ bytes"),
        (lambda state: (state / MANIFEST).write_text("{"), "not a manifest of a snapshot"),
    ],
    ids=["ram-altered", "ram-cut", "state-altered", "state-gone", "console-cut", "manifest-garbage"],
)
def test_state_that_is_not_whole_is_made_anew_and_the_reason_kept(lab: StateLab, damage, says: str) -> None:
    state = lab.ensure()
    damage(state.directory)
    store = lab.store()
    anew = lab.ensure(store)
    assert lab.boots == 2
    (reason,) = store.refused.values()
    assert re.search(says, reason)
    with lab.fork(anew) as machine:
        prove_life(machine)


def test_state_that_one_process_has_read_is_not_read_again_by_the_next(lab: StateLab, monkeypatch) -> None:
    lab.ensure()

    def read_again(path: Path) -> NoReturn:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr("emulator.snapshots.snapshot.read_facts", read_again)
    with lab.fork(lab.ensure(lab.store())) as machine:
        prove_life(machine)
    assert lab.boots == 1


def test_state_that_is_replaced_while_a_process_knows_it_is_checked_again(lab: StateLab) -> None:
    store = lab.store()
    state = lab.ensure(store)
    cut(state.directory / RAM_FILE)
    assert not state.is_intact()
    lab.ensure(store)
    assert lab.boots == 2


def test_state_of_another_qemu_is_not_used(lab: StateLab) -> None:
    first = lab.ensure()
    upgraded = lab.with_qemu('exec QEMU "$@" # a newer one')
    second = upgraded.ensure()
    assert upgraded.boots == 1
    assert second.manifest.key != first.manifest.key


def test_state_of_another_hosts_tsc_is_refused(lab: StateLab) -> None:
    state = lab.ensure()
    told = replace(state.manifest, tsc_khz=1000)
    (state.directory / MANIFEST).write_text(told.to_json())
    store = lab.store()
    lab.ensure(store)
    assert lab.boots == 2
    assert "told a TSC of 1000 kHz, here it is" in next(iter(store.refused.values()))


def test_device_that_can_not_be_saved_is_named(lab: StateLab) -> None:
    blocked = lab.with_qemu('exec QEMU "$@" -device nvme,serial=1')
    with pytest.raises(LabError, match="nvme"):
        blocked.ensure()
    assert list(blocked.store().root.glob(".*")) == []
    assert list_machines() == ()


def test_guest_that_does_not_come_there_leaves_nothing(lab: StateLab) -> None:
    def never(machine, deadline):
        raise SnapshotError("did not come to rest")

    with pytest.raises(SnapshotError, match="did not come to rest"):
        lab.store().ensure(lab.request, TCG, never, soon())
    assert [path for path in lab.store().root.iterdir() if path.is_dir()] == []
    assert list_machines() == ()


def test_disk_without_room_is_refused_before_qemu_would_die_of_it(
    lab: StateLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 100 * 2**20})
    monkeypatch.setattr(making.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SnapshotError, match=r"100 MiB free, the snapshot takes 160"):
        lab.ensure()
    assert lab.boots == 0
    assert [path for path in lab.store().root.iterdir() if path.is_dir()] == []


def test_two_makers_at_once_make_it_once(lab: StateLab) -> None:
    made: list[object] = []
    makers = [threading.Thread(target=lambda: made.append(lab.ensure().manifest)) for _ in range(3)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(120)
    assert len(made) == 3
    assert lab.boots == 1


MAKER = """
import sys
from pathlib import Path
from typing import NoReturn
from tests.support.state_lab import StateLab, TCG, soon

def reach(machine, deadline):
    print(machine.pid, flush=True)
    sys.stdin.read()

lab = StateLab(root=Path(sys.argv[1]))
lab.store().ensure(lab.request, TCG, reach, soon())
"""


def test_killed_maker_leaves_a_cache_that_the_next_one_clears(lab: StateLab) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", MAKER, str(lab.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    pid = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    child.communicate()
    assert len(list(lab.store().root.glob(".*.partial"))) == 1
    state = lab.ensure()
    assert lab.boots == 1
    stat = read_stat(pid)  # whoever adopts a dead process may take a while to reap it
    assert stat is None or stat.state == "Z"
    assert list(lab.store().root.glob(".*.partial")) == []
    with lab.fork(state) as machine:
        prove_life(machine)


def test_ram_that_was_given_back_is_unpacked_and_checked(lab: StateLab) -> None:
    state = lab.ensure()
    assert state.is_intact()
    ram = state.directory / RAM_FILE
    assert not drop_unpacked(state.directory)  # `state` uses it
    del state
    assert drop_unpacked(ram.parent)
    assert not ram.exists()
    with lab.fork(lab.ensure(lab.store())) as machine:
        prove_life(machine)
    assert lab.boots == 1
