"""How an exit is judged, and what /proc says of a process."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.errors import LaunchError, MissingPrerequisite
from emulator.machine.process import (
    Identity,
    Launch,
    QemuProcess,
    describe_state,
    find_marked,
    judge_exit,
    parse_stat,
    read_stat,
    stderr_tail,
)

GUEST = {"guest": True, "reason": "guest-shutdown"}
HOST = {"guest": False, "reason": "host-qmp-quit"}
SIGNAL = {"guest": False, "reason": "host-signal"}


@pytest.mark.parametrize(
    ("code", "shutdown", "asked", "reason", "expected"),
    [
        (0, GUEST, False, "guest-shutdown", True),
        (0, HOST, True, "host-qmp-quit", True),
        (0, SIGNAL, False, "host-signal", False),
        (0, SIGNAL, True, "host-signal", True),
        (-9, None, False, "killed by signal 9", False),
        (-9, GUEST, False, "killed by signal 9", False),
        (-9, None, True, "killed by signal 9", True),
        (1, None, False, "exit code 1", False),
        (1, HOST, True, "exit code 1", False),
        (0, None, False, "exit code 0", False),
        (0, None, True, "exit code 0", True),
    ],
)
def test_exit_is_judged_from_code_event_and_request(code, shutdown, asked, reason, expected):
    how = judge_exit(code, shutdown=shutdown, asked=asked)
    assert (how.code, how.reason, how.expected) == (code, reason, expected)
    assert how.signal == (-code if code < 0 else None)


def test_stat_is_read_when_the_name_holds_blanks_and_parentheses():
    line = b"7 (a) R (b) T 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 998877 1000 2"
    stat = parse_stat(line)
    assert (stat.state, stat.start_ticks, stat.alive) == ("T", 998877, True)


def test_stat_is_none_for_a_process_that_does_not_exist():
    assert read_stat(2**22 + 1) is None
    assert describe_state(2**22 + 1) == "gone"


def test_identity_is_alive_only_for_the_very_process():
    me = Identity.of(os.getpid())
    assert me is not None
    assert me.alive()
    assert not Identity(pid=me.pid, start_ticks=me.start_ticks + 1, boot_id=me.boot_id).alive()
    assert not Identity(pid=me.pid, start_ticks=me.start_ticks, boot_id="another boot").alive()


def test_identity_is_dead_while_the_process_is_a_zombie():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        who = Identity.of(child.pid)
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not who.alive()
        assert describe_state(child.pid) == "a zombie (state Z)"


def spawn(words, tmp_path, marker="m", **more):
    stderr_path = tmp_path / "stderr"
    launch = Launch(argv=tuple(words), pass_fds=(), stderr_path=stderr_path, marker=marker, **more)
    return QemuProcess.spawn(launch)


def test_process_keeps_the_end_of_stderr_and_the_exit_code(tmp_path):
    process = spawn(["sh", "-c", "echo gone wrong >&2; exit 3"], tmp_path)
    assert process.reap() == 3
    assert process.exit_code == 3
    assert process.stderr == b"gone wrong\n"


def test_process_is_found_by_its_marker_and_dumps_no_core(tmp_path):
    unique = secrets.token_hex(6)  # others may run this test on the same host
    process = spawn(["sh", "-c", "kill -STOP $$"], tmp_path, marker=unique)
    try:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)  # before that, /proc shows a process in mid-exec
        assert find_marked("TTYLAB_MACHINE", unique) == process.pid
        limits = Path(f"/proc/{process.pid}/limits").read_text(encoding="ascii").splitlines()
        (line,) = [line for line in limits if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"]
    finally:
        process.send_signal(9)
        assert process.reap() == -9
    assert find_marked("TTYLAB_MACHINE", unique) is None


@pytest.mark.parametrize(("huge_pages", "said"), [(True, b"1"), (False, b"0")])
def test_process_has_huge_pages_only_where_it_may(tmp_path, huge_pages, said):
    words = ["sh", "-c", "grep THP_enabled /proc/self/status >&2"]
    process = spawn(words, tmp_path, huge_pages=huge_pages)
    assert process.reap() == 0
    assert process.stderr.split()[-1] == said


def test_process_says_so_when_the_program_is_missing(tmp_path):
    process = spawn([str(tmp_path / "nothing")], tmp_path)
    assert process.reap() == 127
    assert b"nothing" in process.stderr


def test_spawn_refuses_when_stderr_can_not_be_opened(tmp_path):
    (tmp_path / "stderr").mkdir()
    with pytest.raises(LaunchError, match="could not be started") as caught:
        spawn(["true"], tmp_path)
    assert caught.value.argv == ("true",)


def test_spawn_names_setpriv_when_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPrerequisite, match="setpriv is missing"):
        spawn(["true"], tmp_path)


def test_stderr_tail_is_empty_without_a_file_and_short_with_a_long_one(tmp_path):
    assert stderr_tail(tmp_path / "none") == b""
    (tmp_path / "long").write_bytes(b"a" * 5000 + b"end")
    assert stderr_tail(tmp_path / "long") == b"a" * 1997 + b"end"
