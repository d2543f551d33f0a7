"""swtpm's life: it starts with each power cycle, ends with it, and leaves nothing; real in tests/qemu."""

import os
from contextlib import closing

import pytest

from emulator.errors import LabError, MissingPrerequisite
from emulator.machine import swtpm
from emulator.machine.process import read_stat
from emulator.machine.swtpm import find_swtpm, open_tpm

OBEYS = "#!/bin/sh\nexec sleep 600\n"
IGNORES_SIGTERM = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 600; done\n"


@pytest.fixture
def program(tmp_path, monkeypatch):
    def put(text):
        (tmp_path / "bin").mkdir(exist_ok=True)
        file = tmp_path / "bin/swtpm"
        file.write_text(text)
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    return put


def test_tpm_starts_anew_with_each_power_cycle_and_leaves_nothing(tmp_path, program):
    program(OBEYS)
    with open_tpm(tmp_path) as tpm:
        assert tpm.pid is None
        (tpm.directory / "state").write_bytes(b"kept")
        pids = []
        for _ in range(2):
            with closing(tpm.plug()) as end:
                assert end.fileno() >= 0
            pids.append(tpm.pid)
        assert pids[0] != pids[1]
        assert read_stat(pids[0]) is None
        assert (tpm.directory / "state").read_bytes() == b"kept"
    assert read_stat(pids[1]) is None
    assert not (tmp_path / "tpm").exists()


def test_tpm_that_ignores_sigterm_is_killed(tmp_path, program, monkeypatch):
    monkeypatch.setattr(swtpm, "_END_S", 0.2)
    program(IGNORES_SIGTERM)
    with open_tpm(tmp_path) as tpm:
        tpm.plug().close()
        pid = tpm.pid
    assert read_stat(pid) is None


def test_tpm_that_can_not_be_started_is_told(tmp_path, program):
    program("no program at all")
    with open_tpm(tmp_path) as tpm, pytest.raises(LabError, match="swtpm can't be started"):
        tpm.plug()
    assert not (tmp_path / "tpm").exists()


def test_missing_program_is_told_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPrerequisite, match="swtpm is missing; apt-get install swtpm"):
        find_swtpm()


def test_state_that_can_not_be_kept_is_told(tmp_path, program):
    program(OBEYS)
    with pytest.raises(LabError), open_tpm(tmp_path / "nowhere"):
        pass
