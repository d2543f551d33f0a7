"""What `ttylab` says where something that it needs is missing: one line, with what mends it."""

from pathlib import Path

import pytest

from harness import cli
from harness.scenario import exit_codes

MATRIX = str(Path(__file__).parents[2] / "ci/push.toml")


@pytest.fixture(autouse=True)
def nothing_is_run(tmp_path, monkeypatch):
    def refuse(arguments, **_):
        pytest.fail(f"it went on to pytest: {arguments}")

    monkeypatch.setattr("harness.plugin.process.become_pytest", refuse)
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("TTYLAB_QEMU", raising=False)
    monkeypatch.chdir(tmp_path)


def broken(capfd):
    """Return the one line that `ttylab run` says before it gives up."""
    assert cli.main(["run", MATRIX]) == exit_codes.EXIT_BROKEN
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


def test_run_names_the_package_when_there_is_no_qemu(capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert broken(capfd).startswith(
        "ttylab: error: qemu-system-x86_64 is missing; apt-get install qemu-system-x86"
    )


def test_run_names_the_variable_when_it_points_nowhere(capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_QEMU", str(tmp_path / "nowhere"))
    assert f"{tmp_path / 'nowhere'} is missing; apt-get install qemu-system-x86" in broken(capfd)


def test_run_names_both_versions_when_qemu_is_too_old(capfd, tmp_path, monkeypatch):
    old = tmp_path / "qemu"
    old.write_text("#!/bin/sh\necho 'QEMU emulator version 5.2.0'\n", encoding="ascii")
    old.chmod(0o755)
    monkeypatch.setenv("TTYLAB_QEMU", str(old))
    assert f"QEMU 7.2.0 or newer ({old} is 5.2.0) is missing; apt-get install qemu-system-x86" in broken(
        capfd
    )
    assert not (tmp_path / "results").exists()
