"""Files and directories appear whole or not at all, with the mode that was asked for."""

import json
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emulator.errors import FileError
from emulator.files import (
    collect_ownerless,
    make_missing,
    make_private,
    make_private_directory,
    open_owned_directory,
    open_private,
    open_whole,
    scratch_beside,
    staged_tree,
    write_json,
    write_whole,
)
from emulator.machine.ledger import Ledger
from tests.support.full_disk import full_disk


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("private", "modes"), [(False, (0o644, 0o755)), (True, (0o600, 0o700))])
def test_file_has_the_mode_of_its_readers(tmp_path, private, modes) -> None:
    file = tmp_path / "a/b/file"
    write_whole(file, b"new", private=private, parents=True)
    assert (mode_of(file), mode_of(file.parent)) == modes
    assert file.read_bytes() == b"new"


@pytest.mark.usefixtures("umask")
def test_secret_is_private_even_in_place_of_a_public_file(tmp_path) -> None:
    write_whole(tmp_path / "file", b"public")
    write_whole(tmp_path / "file", b"secret", private=True)
    assert mode_of(tmp_path / "file") == 0o600


def test_durable_file_is_on_the_disk_before_it_is_there(tmp_path, monkeypatch) -> None:
    seen = []

    def sync(descriptor: int) -> None:
        seen.append((os.pread(descriptor, 9, 0), names_in(tmp_path)))

    monkeypatch.setattr("os.fsync", sync)
    write_whole(tmp_path / "plain", b"new")
    assert seen == []
    monkeypatch.setattr("os.O_WRONLY", os.O_RDWR)  # only so that `sync` can read it
    write_whole(tmp_path / "key", b"new", durable=True)
    ((data, names),) = seen
    assert (data, "key" in names) == (b"new", False)


@pytest.mark.parametrize("private", [False, True])
def test_old_file_stays_when_the_disk_is_full(tmp_path, private) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    with full_disk(), pytest.raises(FileError, match="file can't be written: File too large"):
        write_whole(file, b"x" * 100, private=private)
    assert file.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("fault", [ZeroDivisionError, KeyboardInterrupt])
def test_old_file_stays_when_the_body_fails(tmp_path, fault) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")

    def write_half() -> bytes:
        raise fault

    with pytest.raises(fault), open_whole(file) as new:
        new.writelines(write_half() if part else b"half" for part in range(2))
    assert file.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]


def test_old_file_stays_when_the_writer_is_killed_and_the_ledger_clears_up(tmp_path) -> None:
    ledger = Ledger(tmp_path)
    file = ledger.path("one")
    write_whole(file, b"old", private=True, parents=True)
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom emulator.files import open_whole\n"
        "with open_whole(Path(sys.argv[1])) as new:\n"
        "    new.write(b'half')\n    new.flush()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(file)], check=False, timeout=30)
    assert killed.returncode == -signal.SIGKILL
    assert file.read_bytes() == b"old"
    (left,) = ledger.partial_files()
    assert left.read_bytes() == b"half"


def test_file_in_a_missing_directory_is_refused(tmp_path) -> None:
    with pytest.raises(FileError, match="can't be written: No such file or directory"):
        write_whole(tmp_path / "missing/file", b"")
    assert names_in(tmp_path) == []


def test_json_is_written_whole_or_not_at_all(tmp_path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(FileError, match="can't be written"):
        write_json(tmp_path / "missing/x.json", {"a": 2})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}
    assert names_in(tmp_path) == ["x.json"]


def test_json_is_written_by_several_threads_at_once(tmp_path) -> None:
    def write(number):
        for _ in range(100):
            write_json(tmp_path / "x.json", {"a": number})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert json.loads((tmp_path / "x.json").read_text())["a"] in range(4)
    assert names_in(tmp_path) == ["x.json"]


def test_private_directory_is_private_and_a_file_in_its_place_is_refused(tmp_path) -> None:
    assert mode_of(make_private_directory(tmp_path / "a/b")) == 0o700
    (tmp_path / "a").chmod(0o755)
    assert mode_of(make_private_directory(tmp_path / "a")) == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="File exists"):
        make_private_directory(tmp_path / "file")


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("private", "mode"), [(False, 0o755), (True, 0o700)])
def test_staged_tree_replaces_what_was_there(tmp_path, private, mode) -> None:
    target = tmp_path / "report"
    for name in ("one", "two"):
        with staged_tree(target, private=private) as new:
            (new / name).write_text(name)
    assert names_in(target) == ["two"]
    assert names_in(tmp_path) == ["report"]
    assert mode_of(target) == mode


def test_staged_tree_keeps_the_old_one_when_the_body_fails(tmp_path) -> None:
    target = tmp_path / "report"
    write_whole(target / "index.html", b"old", parents=True)
    fails = pytest.raises(ZeroDivisionError)
    with fails, staged_tree(target) as new:
        (new / "index.html").write_text(f"new {1 / 0}")
    no_room = pytest.raises(FileError, match="report can't be written")
    with full_disk(), no_room, staged_tree(target) as new:
        (new / "index.html").write_bytes(b"x" * 100)
    assert (target / "index.html").read_bytes() == b"old"
    assert names_in(tmp_path) == ["report"]


def test_staged_tree_puts_the_old_one_back_when_the_new_one_is_gone(tmp_path) -> None:
    target = tmp_path / "report"
    write_whole(target / "index.html", b"old", parents=True)
    with pytest.raises(FileError, match="report can't be written"), staged_tree(target) as new:
        new.rmdir()
    assert (target / "index.html").read_bytes() == b"old"
    assert names_in(tmp_path) == ["report"]


def test_scratch_lies_beside_its_target_hidden_and_private_and_goes(tmp_path) -> None:
    with scratch_beside(tmp_path / "a/target") as scratch:
        assert (scratch.parent, mode_of(scratch)) == (tmp_path / "a", 0o700)
        assert scratch.name.startswith(".target.")
        (scratch / "file").touch()
    assert names_in(tmp_path / "a") == []


def modes_in(tree):
    return {(path.is_dir(), mode_of(path)) for path in (tree, *tree.rglob("*"))}


ALL_PRIVATE = {(True, 0o700), (False, 0o600)}


@pytest.mark.usefixtures("umask")
def test_private_tree_is_private_in_all_its_parts(tmp_path) -> None:
    with staged_tree(tmp_path / "report", private=True) as new:
        (new / "cells").mkdir()
        (new / "cells" / "page").write_text("x")
        (new / "link").symlink_to("/etc/passwd")
    (tmp_path / "report" / "link").unlink()
    assert modes_in(tmp_path / "report") == ALL_PRIVATE
    write_whole(tmp_path / "a/b/c/file", b"", private=True, parents=True)
    make_private_directory(tmp_path / "a/d/e")
    with open_private(tmp_path / "a/open") as file:
        file.write(b"x")
    assert modes_in(tmp_path / "a") == ALL_PRIVATE


@pytest.mark.usefixtures("umask")
def test_what_exists_keeps_its_mode(tmp_path) -> None:
    (tmp_path / "shared").mkdir()
    make_missing(tmp_path / "shared" / "new")
    make_missing(tmp_path / "shared")
    assert (mode_of(tmp_path / "shared"), mode_of(tmp_path / "shared/new")) == (0o755, 0o700)
    make_private(tmp_path / "none")


def test_device_is_written_to_and_stays_one(tmp_path) -> None:
    with pytest.raises(FileError, match="No space left on device"):
        write_whole(Path("/dev/full"), b"x", private=True)
    write_whole(Path("/dev/null"), b"x", private=True)
    assert all(stat.S_ISCHR(Path(name).stat().st_mode) for name in ("/dev/full", "/dev/null"))


def test_pipe_gets_what_is_written_and_one_without_a_reader_is_refused(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="pipe"):
        write_whole(tmp_path / "pipe", b"x")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(tmp_path / "pipe", b"whole")
        assert os.read(reader, 99) == b"whole"
    finally:
        os.close(reader)


def test_symlink_stays_and_its_file_is_replaced(tmp_path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


def test_owned_directory_goes_with_its_owner(tmp_path):
    with open_owned_directory(tmp_path) as path:
        (path / "file").touch()
        assert (mode_of(path), collect_ownerless(tmp_path)) == (0o700, ())
    assert list(tmp_path.iterdir()) == []


def test_directory_of_a_dead_owner_is_collected(tmp_path):
    dead = tmp_path / "1-dead"
    dead.mkdir()
    (dead / "file").touch()
    assert collect_ownerless(tmp_path, dry_run=True) == (dead,)
    assert dead.exists()
    with open_owned_directory(tmp_path) as path:
        assert [one for one in tmp_path.iterdir() if one.is_dir()] == [path]
    assert collect_ownerless(tmp_path / "none") == ()
