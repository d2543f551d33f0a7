"""Each directory is where its variable says, and has a place of its own without any."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator import places
from emulator.images.store import ImageStore
from emulator.machine import probe
from emulator.machine.ledger import Ledger
from emulator.machine.probe import HostIdentity, ProbeVerdict, probe_accelerator
from emulator.machine.qemu_binary import QemuBinary, QemuVersion
from emulator.machine.spec import MachineType
from emulator.windows.registry import WindowsRegistry

CACHED = {
    places.cache: "",
    places.images: "images",
    places.sac_guest: "images/sac",
    places.snapshots: "states",
    places.windows: "windows",
    places.probe_verdicts: "probe",
    places.node_packages: "node",
}
KEPT = {places.machines: "machines", places.served_guests: "serve"}


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No variable is set, and the user's home is empty."""
    for name in tuple(os.environ):
        if name.startswith(("TTYLAB_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def found(expected):
    return {place: place() for place in expected}


def below(root, expected):
    return {place: root / name for place, name in expected.items()}


def test_cache_is_the_users_and_xdg_moves_it(monkeypatch, tmp_path) -> None:
    assert found(CACHED) == below(tmp_path / "home/.cache/ttylab", CACHED)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert found(CACHED) == below(tmp_path / "xdg/ttylab", CACHED)


def test_ttylab_cache_moves_every_cache_and_nothing_else(monkeypatch, tmp_path) -> None:
    before = found(KEPT), places.authority()
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "here"))
    assert found(CACHED) == below(tmp_path / "here", CACHED)
    assert (found(KEPT), places.authority()) == before


def test_state_is_of_this_boot_if_there_is_a_place_for_it(monkeypatch, tmp_path) -> None:
    assert found(KEPT) == below(tmp_path / "home/.local/state/ttylab", KEPT)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    assert found(KEPT) == below(tmp_path / "state/ttylab", KEPT)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert found(KEPT) == below(tmp_path / "ttylab", KEPT)


def test_authority_outlives_a_boot(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert places.authority() == tmp_path / "home/.local/share/ttylab/ca"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert places.authority() == tmp_path / "data/ttylab/ca"


def test_ttylab_state_moves_all_state_and_no_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    before = found(CACHED)
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "here"))
    state = {**KEPT, places.authority: "ca"}
    assert found(state) == below(tmp_path / "here", state)
    assert found(CACHED) == before


def test_relative_place_is_made_absolute_and_an_empty_one_is_none(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TTYLAB_CACHE", "here")
    assert places.cache() == tmp_path / "here"
    monkeypatch.setenv("TTYLAB_CACHE", "")
    assert places.cache() == tmp_path / "home/.cache/ttylab"


def test_sockets_go_where_the_session_ends_or_to_tmpdir(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    assert places.socket_bases() == (tmp_path / "temp", Path("/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert places.socket_bases() == (tmp_path / "run", tmp_path / "temp", Path("/tmp"))


def test_users_of_a_place_are_there(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    assert ImageStore().root == tmp_path / "cache/images"
    assert WindowsRegistry().root == tmp_path / "cache/windows"
    assert Ledger().directory == tmp_path / "state/machines"


def test_verdict_of_a_probe_is_kept_in_the_chosen_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    verdict = ProbeVerdict(usable=False, stages="", reason="no guest code ran", seconds=0.5)
    monkeypatch.setattr(probe, "run_probe", lambda *_, **__: verdict)
    qemu = QemuBinary(path=Path("/nowhere/qemu"), version=QemuVersion(7, 2, 0))
    host = HostIdentity(boot_id="b", cpu_flags="")
    probe_accelerator(qemu, machine=MachineType.Q35, kvm_device=Path("/dev/null"), host=host)
    (kept,) = (tmp_path / "cache/probe").iterdir()
    assert kept.name.startswith("probe-")
    assert not (tmp_path / "home").exists()


def test_platformdirs_is_imported_by_who_needs_it() -> None:
    program = "import sys, emulator.places\nassert 'platformdirs' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
