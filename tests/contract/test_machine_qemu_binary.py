"""Programs that are, pretend to be, or fail to be QEMU."""

import hashlib
import os

import pytest

from emulator.clock import Deadline
from emulator.errors import MissingPrerequisite
from emulator.machine.architectures import ARM64, X86_64
from emulator.machine.argv import QemuVersion
from emulator.machine.process import run_bounded
from emulator.machine.qemu_binary import find_qemu, query_version
from tests.support.fake_clock import FakeClock

GOOD = "echo 'QEMU emulator version 9.1.3 (somebody)'"


@pytest.fixture
def program(tmp_path):
    def write(script, name="qemu"):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return write


def test_find_qemu_takes_the_path_it_is_given(program):
    path = program(GOOD)
    binary = find_qemu(str(path))
    assert (binary.path, binary.version) == (path, QemuVersion(9, 1, 3))
    assert binary.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_find_qemu_prefers_the_path_then_the_environment_then_path(program, tmp_path, monkeypatch):
    given, named = program(GOOD, "given"), program(GOOD, "named")
    on_path = program(GOOD, "qemu-system-x86_64")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv(X86_64.environment, raising=False)
    assert find_qemu().path == on_path
    monkeypatch.setenv(X86_64.environment, str(named))
    assert find_qemu().path == named
    assert find_qemu(str(given)).path == given


def test_find_qemu_of_another_architecture_has_names_of_its_own(program, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(X86_64.environment, str(program(GOOD, "named")))
    with pytest.raises(
        MissingPrerequisite, match="qemu-system-aarch64 is missing; apt-get install qemu-system-arm"
    ):
        find_qemu(architecture=ARM64)


def test_find_qemu_says_how_to_get_one_when_there_is_none(tmp_path):
    with pytest.raises(MissingPrerequisite, match="none is missing; apt-get install qemu-system-x86"):
        find_qemu(str(tmp_path / "none"))


def test_find_qemu_names_both_versions_when_it_is_too_old(program):
    path = program("echo 'QEMU emulator version 6.2.0'")
    with pytest.raises(MissingPrerequisite, match=r"QEMU 7\.2\.0 or newer \(.*qemu is 6\.2\.0\)"):
        find_qemu(str(path))


@pytest.mark.parametrize(
    ("script", "symptom"),
    [
        ("echo garbage", "without a version of QEMU"),
        (f"{GOOD}; exit 1", "ends with exit code 1"),
        ("kill -SEGV $$", "ends with exit code -11"),
        ("head -c 100000 /dev/zero", "without a version of QEMU"),
    ],
)
def test_find_qemu_says_what_is_wrong_when_it_does_not_answer(program, script, symptom):
    with pytest.raises(MissingPrerequisite, match=symptom):
        find_qemu(str(program(script)))


@pytest.mark.parametrize("script", ["exec sleep 60", "sleep 60 & wait", "sleep 60 & exit 0"])
def test_query_version_gives_up_at_its_deadline_when_the_program_hangs(program, script):
    with pytest.raises(MissingPrerequisite, match="does not answer --version"):
        query_version(program(script), deadline=Deadline(0.0, FakeClock(now=1.0)))


def test_find_qemu_asks_a_program_once_until_it_changes(program, tmp_path):
    path = program(f"echo asked >>{tmp_path}/asked; {GOOD}")
    find_qemu(str(path))
    find_qemu(str(path))
    assert (tmp_path / "asked").read_text() == "asked\n"
    program(f"{GOOD}; : another size").chmod(0o755)
    find_qemu(str(path))
    program("echo 'QEMU emulator version 9.2.0'")
    assert find_qemu(str(path)).version == QemuVersion(9, 2, 0)


def test_find_qemu_names_setpriv_when_it_is_missing(program, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPrerequisite, match=r"setpriv .*apt-get install util-linux"):
        find_qemu(str(program(GOOD)))


def test_run_bounded_keeps_streams_and_exit_code_apart():
    finished = run_bounded(["sh", "-c", "echo out; echo err >&2; exit 3"], deadline=Deadline.after(30))
    assert (finished.exit_code, finished.stdout, finished.stderr) == (3, b"out\n", b"err\n")


def test_run_bounded_says_127_when_the_program_is_missing(tmp_path):
    finished = run_bounded([str(tmp_path / "none")], deadline=Deadline.after(30))
    assert finished.exit_code == 127
    assert b"none" in finished.stderr
