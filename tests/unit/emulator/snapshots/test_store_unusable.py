"""A cache that can't be used is a SnapshotError, so guests are booted; what is damaged blocks nothing."""

import os

import pytest

from emulator.clock import Deadline
from emulator.errors import DeadlineExceeded, FileError, SnapshotError
from emulator.files import hold_lock
from emulator.machine.probe import Choice
from emulator.machine.qemu_binary import find_qemu
from emulator.machine.spec import Firmware, MachineSpec, MachineType
from emulator.snapshots.making import make_maker
from emulator.snapshots.manifest import SnapshotRequest
from emulator.snapshots.store import SnapshotStore, collect_leftovers, list_snapshots, remove_snapshots
from harness.cli import main

CHOICE = Choice(accelerator="tcg", reason="test")


@pytest.fixture
def request_(tmp_path):
    kernel = tmp_path / "kernel"
    kernel.write_bytes(b"kernel")
    spec = MachineSpec(name="x", machine=MachineType.PC, firmware=Firmware.SEABIOS, kernel=kernel)
    return SnapshotRequest(spec=spec, stage="shell", label="x")


def ensure(root, request_):
    def never(*_):
        pytest.fail("a machine was booted")

    store = SnapshotStore(root=root, qemu=find_qemu())
    return store.ensure(request_, CHOICE, never, Deadline.after(1.0))


def test_lock_with_a_directory_in_its_place_is_told(tmp_path, request_):
    _, key = make_maker(request_, find_qemu(), CHOICE)
    (tmp_path / "states" / f"{key}.lock").mkdir(parents=True)
    with pytest.raises(SnapshotError, match=rf"lock .*{key}\.lock can't be opened: Is a directory"):
        ensure(tmp_path / "states", request_)


def test_cache_with_a_file_in_its_place_is_told(tmp_path, request_):
    (tmp_path / "states").write_bytes(b"")
    with pytest.raises(SnapshotError, match=r"states.*\.lock can't be opened: File exists"):
        ensure(tmp_path / "states", request_)
    with pytest.raises(SnapshotError, match="can't be opened: Not a directory"):
        ensure(tmp_path / "states" / "below", request_)


def test_time_that_is_over_blames_the_holder_of_the_lock_only_if_there_is_one(
    tmp_path, request_, monkeypatch
):
    def late(*_):
        raise DeadlineExceeded("the machine was not saved in time")

    monkeypatch.setattr("emulator.snapshots.store.make_snapshot", late)
    with pytest.raises(SnapshotError, match=r"^snapshot \w+: the machine was not saved in time$"):
        ensure(tmp_path / "states", request_)
    _, key = make_maker(request_, find_qemu(), CHOICE)
    monkeypatch.setattr(Deadline, "remaining", lambda _: 0.0)
    with (
        hold_lock(tmp_path / "states" / f"{key}.lock", wait_s=0),
        pytest.raises(SnapshotError, match="another process is making it"),
    ):
        ensure(tmp_path / "states", request_)


def test_os_error_on_the_way_is_told(tmp_path, request_, monkeypatch):
    def fail(*_):
        raise PermissionError(13, "Permission denied", "/cache/manifest.json")

    monkeypatch.setattr(SnapshotStore, "_find", fail)
    with pytest.raises(SnapshotError, match=r"/cache/manifest\.json: Permission denied"):
        ensure(tmp_path / "states", request_)


@pytest.fixture
def damaged(tmp_path):
    for name, content in {
        "a": b"\xff\0",
        "b": b'{"format": 1',
        "c": b"[" * 99_999,
        "e": bytes(2 << 20),
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_bytes(content)
    (tmp_path / "d" / "manifest.json").mkdir(parents=True)
    (tmp_path / "f").mkdir()
    os.mkfifo(tmp_path / "f" / "manifest.json")
    (tmp_path / "g").mkdir()
    return tmp_path


def test_damaged_snapshot_is_named_with_its_path_and_goes(damaged):
    found = list_snapshots(damaged)
    assert {one.directory.name for one in found} == set("abcdefg")
    for one in found:
        assert str(one.directory / "manifest.json") in one.problem
        assert "\n" not in one.problem
    assert len(remove_snapshots(damaged, found)) == len(found)
    assert list_snapshots(damaged) == ()


def test_command_names_the_damaged_with_a_remedy(damaged, monkeypatch, capsys):
    monkeypatch.setattr("emulator.places.snapshots", lambda: damaged)
    assert main(["snapshots", "list"]) == 0
    said = capsys.readouterr().out
    assert f"unreadable: {damaged}/f/manifest.json: is a FIFO, not a file; ttylab snapshots prune" in said


def test_leftovers_go_but_not_what_is_being_made(tmp_path):
    for name in (".aa.x.partial", ".bb.y.partial", "whole"):
        (tmp_path / name).mkdir()
    with hold_lock(tmp_path / "bb.lock", wait_s=0):
        assert [path.name for path in collect_leftovers(tmp_path, dry_run=True)] == [".aa.x.partial"]
        assert [path.name for path in collect_leftovers(tmp_path)] == [".aa.x.partial"]
        with pytest.raises(DeadlineExceeded, match=r"bb\.lock is held by another process"):
            hold_lock(tmp_path / "bb.lock", wait_s=0).__enter__()
    assert [path.name for path in collect_leftovers(tmp_path)] == [".bb.y.partial"]
    assert collect_leftovers(tmp_path / "none") == ()
    (tmp_path / ".cc.z.partial").mkdir()
    (tmp_path / "cc.lock").mkdir()
    assert collect_leftovers(tmp_path) == ()
    with pytest.raises(FileError, match="Is a directory"):
        hold_lock(tmp_path / "cc.lock", wait_s=0).__enter__()
