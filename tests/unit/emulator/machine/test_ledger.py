"""The ledger, and what is collected from it."""

import json
import os
import secrets
import stat
import subprocess
import sys
from dataclasses import replace

import pytest

from emulator.errors import LabError, SpecError
from emulator.machine.ledger import Corrupt, Entry, Ledger, collect_garbage, list_machines, read_entry
from emulator.machine.process import Identity
from emulator.machine.run_dir import make_temp_dir, remove_temp_dir, temp_dir_path
from harness.cli import main
from harness.commands.gc import gc


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    return Ledger()


def entry(**changes):
    me = Identity.of(os.getpid())
    base = Entry(
        id="0a1b2c",
        label="bookworm/q35",
        name="guest",
        owner_pid=me.pid,
        owner_start=me.start_ticks,
        boot_id=me.boot_id,
        run_dir="/run-dir",
        temp_dir="/nonexistent/ttylab-0a1b2c",
        started_utc="2026-01-01T00:00:00+00:00",
    )
    return replace(base, **changes)


def orphan(**changes):
    return entry(owner_start=1, **changes)


def test_ledger_gives_back_what_was_written(ledger):
    ledger.write(entry(pid=5, pid_start=6))
    assert ledger.read() == (entry(pid=5, pid_start=6),)
    ledger.write(entry())
    assert ledger.read() == (entry(),)


def test_ledger_is_private(ledger):
    ledger.write(entry())
    assert stat.S_IMODE(ledger.path("0a1b2c").stat().st_mode) == 0o600
    assert stat.S_IMODE(ledger.directory.stat().st_mode) == 0o700


def test_ledger_forgets_an_entry_once(ledger):
    ledger.write(entry())
    ledger.remove("0a1b2c")
    assert ledger.read() == ()
    ledger.remove("0a1b2c")  # no error: it is gone already


def test_ledger_lists_machines_of_living_owners_in_order_of_start(ledger):
    ledger.write(entry(id="bb", started_utc="2026-01-01T00:00:01+00:00"))
    ledger.write(entry(id="cc", started_utc="2026-01-01T00:00:00+00:00"))
    ledger.write(orphan(id="dd"))
    assert [one.id for one in list_machines()] == ["cc", "bb"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "not an entry of version 1"),
        ({"pid": "5"}, "'pid' has the value '5'"),
        ({"owner_pid": True}, "'owner_pid' has the value True"),
        ({"label": None}, "'label' has the value None"),
        ({"color": "red"}, "unknown key 'color'"),
    ],
)
def test_entry_refuses_what_is_no_entry(ledger, change, reason):
    ledger.write(entry())
    written = json.loads(ledger.path("0a1b2c").read_bytes())
    with pytest.raises(SpecError, match=reason):
        read_entry(json.dumps(written | change).encode())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"version": 1}'])
def test_corrupt_entry_is_reported_and_removed(ledger, content):
    ledger.write(entry(id="ok"))
    ledger.path("zz").write_bytes(content)
    good, bad = ledger.read()
    assert good.id == "ok"
    assert isinstance(bad, Corrupt)
    (collected,) = collect_garbage()
    assert collected.id == "zz.json"
    assert collected.problem.startswith("corrupt entry: ")
    assert [one.id for one in ledger.read()] == ["ok"]


def test_entry_under_another_name_is_corrupt(ledger):
    ledger.write(entry())
    ledger.path("0a1b2c").rename(ledger.path("other"))
    assert isinstance(ledger.read()[0], Corrupt)


def test_garbage_of_a_dead_owner_is_removed(ledger, tmp_path):
    temp = tmp_path / "ttylab-0a1b2c"
    make_temp_dir(temp)
    (temp / "console.sock").touch()
    ledger.write(orphan(temp_dir=str(temp)))
    (collected,) = collect_garbage()
    assert collected.acts == (f"remove {temp}", "remove the ledger entry")
    assert not temp.exists()
    assert ledger.read() == ()
    assert collect_garbage() == ()


def test_garbage_is_only_named_in_a_dry_run(ledger, tmp_path):
    temp = tmp_path / "ttylab-0a1b2c"
    make_temp_dir(temp)
    ledger.write(orphan(temp_dir=str(temp)))
    assert collect_garbage(dry_run=True)[0].acts == (f"remove {temp}", "remove the ledger entry")
    assert temp.exists()
    assert len(ledger.read()) == 1


def test_garbage_leaves_machines_of_living_owners_alone(ledger, tmp_path):
    temp = tmp_path / "ttylab-0a1b2c"
    make_temp_dir(temp)
    ledger.write(entry(temp_dir=str(temp)))
    assert collect_garbage() == ()
    assert temp.exists()


def test_garbage_stays_known_when_it_can_not_be_removed(ledger, tmp_path):
    (tmp_path / "precious").mkdir()
    ledger.write(orphan(temp_dir=str(tmp_path / "precious")))
    (collected,) = collect_garbage()
    assert "not a temp directory of ttylab" in collected.errors[0]
    assert (tmp_path / "precious").exists()
    assert len(ledger.read()) == 1


@pytest.fixture
def sleeper():
    def start(**environment):
        words = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
        child = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **environment}
        )
        child.stdout.readline()
        children.append(child)
        return child

    children = []
    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_garbage_ends_the_very_process_of_the_entry(ledger, sleeper):
    child = sleeper()
    who = Identity.of(child.pid)
    ledger.write(orphan(pid=child.pid, pid_start=who.start_ticks))
    assert collect_garbage()[0].acts == (f"kill QEMU {child.pid}", "remove the ledger entry")
    assert child.wait() == -9


def test_garbage_spares_a_process_that_only_has_the_pid(ledger, sleeper):
    child = sleeper()
    ledger.write(orphan(pid=child.pid, pid_start=Identity.of(child.pid).start_ticks - 1))
    assert collect_garbage()[0].acts == ("remove the ledger entry",)
    assert child.poll() is None


def test_garbage_finds_a_process_that_was_not_entered_yet(ledger, sleeper):
    unique = secrets.token_hex(6)  # others may run this test on the same host
    child = sleeper(TTYLAB_MACHINE=unique)
    ledger.write(orphan(id=unique))
    assert collect_garbage()[0].acts == (f"kill QEMU {child.pid}", "remove the ledger entry")
    assert child.wait() == -9


def test_garbage_removes_half_written_files_of_dead_writers(ledger):
    ledger.directory.mkdir(parents=True)
    dead, alive = (ledger.directory / f".x.json.{pid}.partial" for pid in (2**22 + 1, os.getpid()))
    dead.touch()
    alive.touch()
    assert [one.id for one in collect_garbage()] == [dead.name]
    assert not dead.exists()
    assert alive.exists()


def test_gc_command_says_what_it_did(ledger, tmp_path, capsys):
    temp = tmp_path / "ttylab-0a1b2c"
    make_temp_dir(temp)
    ledger.write(orphan(temp_dir=str(temp)))
    assert main(["gc", "--dry-run"]) == 0
    assert f"would remove {temp}" in capsys.readouterr().out
    assert main(["gc", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["acts"] == [f"remove {temp}", "remove the ledger entry"]
    assert main(["gc"]) == 0
    assert capsys.readouterr().out == "Nothing is left behind.\n"


def test_gc_command_breaks_when_something_stays(ledger, tmp_path, capsys):
    (tmp_path / "precious").mkdir()
    ledger.write(orphan(temp_dir=str(tmp_path / "precious")))
    with pytest.raises(LabError, match="1 things could not be removed"):
        gc()
    assert "failed: remove " in capsys.readouterr().out


def test_temp_dir_avoids_bases_too_long_for_a_socket(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    chosen = temp_dir_path("0a1b2c")
    assert chosen.parent != deep
    assert chosen.name == "ttylab-0a1b2c"
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(deep))
    assert chosen.parent.is_dir()


def test_temp_dir_refuses_a_name_that_is_taken(tmp_path):
    make_temp_dir(tmp_path / "ttylab-x")
    with pytest.raises(LabError, match="File exists"):
        make_temp_dir(tmp_path / "ttylab-x")


def test_temp_dir_removal_refuses_links_and_strangers(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "ttylab-link").symlink_to(tmp_path / "target")
    with pytest.raises(LabError, match="left alone"):
        remove_temp_dir(tmp_path / "ttylab-link")
    remove_temp_dir(tmp_path / "ttylab-none")
    assert (tmp_path / "target").exists()


def test_whatever_is_in_place_of_an_entry_is_named_and_goes(ledger, monkeypatch, tmp_path):
    ledger.write(entry())
    (ledger.directory / "tree.json").mkdir()
    (ledger.directory / "tree.json" / "file").touch()
    os.mkfifo(ledger.directory / "fifo.json")
    for name, text in {
        "cut": b'{"version": 1',
        "deep": b"[" * 99_999,
        "huge": bytes(2 << 20),
        "none": b"",
    }.items():
        (ledger.directory / f"{name}.json").write_bytes(text)
    corrupt = [one for one in ledger.read() if isinstance(one, Corrupt)]
    assert [one.path.stem for one in corrupt] == ["cut", "deep", "fifo", "huge", "none", "tree"]
    assert not any("\n" in one.reason for one in corrupt)
    assert [one.errors for one in collect_garbage()] == [()] * 6
    assert ledger.read() == (entry(),)


def test_entry_without_a_temp_dir_does_not_mean_the_working_directory(ledger, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    ledger.write(orphan(temp_dir=""))
    (collected,) = collect_garbage()
    assert (collected.acts, collected.errors) == (("remove the ledger entry",), ())
