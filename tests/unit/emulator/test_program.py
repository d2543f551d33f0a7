"""Commands that are printed name ttylab as it was called."""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.program import CALLED, PROGRAM, called, name_of, note_call


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "my bin" / "ttylab"
    file.parent.mkdir()
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_on_path_the_plain_name_does(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(script.parent))
    assert name_of([str(script)]) == "ttylab"
    assert name_of(["/venv/bin/pytest"]) == "ttylab"


def test_elsewhere_it_is_the_file_as_it_was_called(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    assert shlex.split(name_of([str(script)])) == [str(script)]
    monkeypatch.chdir(script.parent)
    assert name_of(["./ttylab"]) == "./ttylab"
    assert name_of(["ttylab"]) == "./ttylab"


def test_another_ttylab_on_path_is_not_meant(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "ttylab"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shlex.split(name_of([str(script)])) == [str(script)]


def test_a_module_is_called_by_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert shlex.split(name_of(["/x/harness/__main__.py"])) == [sys.executable, "-m", "harness"]
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert name_of(["/x/harness/__main__.py"]) == "python -m harness"


@pytest.mark.parametrize("whose", [os.getpid, os.getppid], ids=["itself", "its-parent"])
def test_the_launcher_tells_its_own_name(
    whose: Callable[[], int], script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid, expected = whose(), "./ttylab"
    monkeypatch.chdir(script.parent)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv(CALLED, f"{pid} {expected}")
    monkeypatch.setenv(PROGRAM, "stale")
    note_call()
    assert called("repro", "a b") == f"{expected} repro 'a b'"
    assert CALLED not in os.environ


def test_what_another_launcher_left_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv(CALLED, "1 /elsewhere/ttylab")
    monkeypatch.setenv(PROGRAM, "stale")
    monkeypatch.setattr(sys, "argv", ["/x/harness/__main__.py"])
    note_call()
    assert called() == f"{shlex.quote(sys.executable)} -m harness"
