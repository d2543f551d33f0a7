"""What a killed installation left goes with the next one, or with `ttylab gc`; what runs is left alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.files import collect_ownerless
from emulator.windows.install import INSTALLING
from harness.cli import main

PROGRAM = """
import sys, time
from pathlib import Path
from emulator.windows import install
with install._workshop(Path(sys.argv[1])) as directory:
    (directory / "disk.qcow2").write_bytes(b"half")
    print(directory, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def installer(tmp_path):
    words = [sys.executable, "-c", PROGRAM, str(tmp_path / "windows")]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.directory = Path(os.fsdecode(child.stdout.readline().rstrip()))
    yield child
    child.kill()
    child.communicate()


def test_killed_installation_is_removed_and_a_running_one_is_not(tmp_path, installer, monkeypatch, capsys):
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path))
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    root = tmp_path / "windows"
    assert collect_ownerless(root, prefix=INSTALLING) == ()
    assert installer.directory.is_dir()
    bare = root / f"{INSTALLING}bare"  # killed before it had a lock
    bare.mkdir()
    installer.send_signal(signal.SIGKILL)
    installer.wait(30)
    assert set(collect_ownerless(root, prefix=INSTALLING, dry_run=True)) == {installer.directory, bare}
    assert bare.is_dir()
    assert main(["gc"]) == 0
    assert f"remove {installer.directory}" in capsys.readouterr().out
    assert not list(root.glob(f"{INSTALLING}*"))
    assert main(["gc"]) == 0
    assert capsys.readouterr().out == "Nothing is left behind.\n"


def test_nothing_is_made_where_there_was_no_installation(tmp_path):
    assert collect_ownerless(tmp_path / "none", prefix=INSTALLING) == ()
    assert not (tmp_path / "none").exists()
