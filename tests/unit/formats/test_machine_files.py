"""Formats about machines: an entry of the ledger, the spec in argv.json, a remembered probe."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.machine.ledger import Corrupt, Entry, Ledger
from emulator.machine.probe_cache import HostIdentity, ProbeVerdict, cache_key, recall, remember
from emulator.machine.procfs import Identity
from emulator.machine.spec import (
    Accelerator,
    Device,
    Disk,
    DiskBus,
    DiskFormat,
    Firmware,
    MachineSpec,
    MachineType,
    WatchdogAction,
)
from emulator.machine.windows_parts import WindowsParts
from harness.cells.cell import parse_cell_id
from harness.cli import main
from harness.keyboard.repro import recorded_spec
from tests.support.sample_files import GONE, damaged, sample

ENTRY = Entry(
    id="0a1b2c",
    label="bookworm/q35 \u00fc",
    name="guest",
    pid=4711,
    pid_start=815,
    owner_pid=4710,
    owner_start=814,
    boot_id="00000000-1111-2222-3333-444444444444",
    run_dir="/run-dir",
    temp_dir="/temp/ttylab-0a1b2c",
    console="/temp/ttylab-0a1b2c/ttyS0",
    console_socket="/temp/ttylab-0a1b2c/console.sock",
    control_socket="/temp/ttylab-0a1b2c/control.sock",
    argv_sha256="ab" * 32,
    started_utc="2026-01-01T00:00:00+00:00",
)
OFF = Entry(
    id="off",
    label="",
    name="guest",
    owner_pid=4710,
    owner_start=814,
    boot_id="",
    run_dir="/run-dir",
    temp_dir="/temp",
    started_utc="2026-01-01T00:00:00+00:00",
)
LINUX = MachineSpec(
    name="bookworm",
    machine=MachineType.Q35,
    firmware=Firmware.OVMF,
    vcpus=2,
    accelerator=Accelerator.TCG,
    kernel=Path("/images/bzimage"),
    initrd=Path("/images/initrd"),
    command_line=("console=ttyS0,115200", "panic=1"),
    devices=frozenset(Device),
    disks=(Disk(path=Path("/images/disk.img"), read_only=True),),
    watchdog_action=WatchdogAction.INJECT_NMI,
    bulk_console=True,
    fw_cfg=(("opt/ttylab/knobs", "x=\u00fc"),),
    smbios=(("uuid", "00000000-1111-2222-3333-444444444444"),),
    generation_id=True,
    seed=7,
)
WINDOWS = MachineSpec(
    name="ws",
    machine=MachineType.PC,
    memory_mib=4096,
    disks=(
        Disk(path=Path("/disks/ws.qcow2"), format=DiskFormat.QCOW2, bus=DiskBus.SATA, discard_writes=True),
    ),
    windows=WindowsParts(cdroms=(Path("/disks/ws.iso"),), acpi_tables=(Path("/spcr.bin"),), tpm=True),
    icount_shift=3,
)
VERDICT = ProbeVerdict(usable=False, stages="ab", reason="no guest code ran: \u00fc", seconds=2.0)
HOST = HostIdentity(boot_id="00000000-1111-2222-3333-444444444444", cpu_flags="flags\t\t: fpu vmx")
KEY = "4a5a38861359a8d994486715b5f28b56"


@pytest.mark.parametrize("entry", [ENTRY, OFF], ids=lambda entry: entry.id)
def test_entry_of_the_ledger_is_as_it_was(tmp_path, entry):
    kept = sample(f"ledger-{entry.id}.json")
    ledger = Ledger(tmp_path)
    ledger.write(entry)
    assert ledger.path(entry.id) == tmp_path / "machines" / f"{entry.id}.json"
    assert ledger.path(entry.id).read_bytes() == kept
    assert Entry.from_dict(json.loads(kept)) == entry
    assert ledger.read() == (entry,)


@pytest.mark.parametrize(
    ("key", "to"),
    [("version", 2), ("version", GONE), ("console", GONE), ("pid", "5"), ("owner_pid", None), ("more", 1)],
)
def test_entry_of_the_ledger_says_no(tmp_path, key, to):
    data = damaged(sample("ledger-off.json"), key, to=to)
    with pytest.raises(SpecError):
        Entry.from_dict(json.loads(data))
    ledger = Ledger(tmp_path)
    ledger.directory.mkdir()
    ledger.path("off").write_bytes(data)
    assert [type(one) for one in ledger.read()] == [Corrupt]


@pytest.mark.parametrize(("name", "spec"), [("spec.json", LINUX), ("spec-windows.json", WINDOWS)])
def test_spec_is_as_it_was(tmp_path, name, spec):
    kept = sample(name)
    assert spec.to_json().encode() + b"\n" == kept
    assert MachineSpec.from_json(kept.decode()) == spec
    cell = parse_cell_id("bookworm.q35.ovmf.2.boot-login")
    (tmp_path / "cells" / cell.id).mkdir(parents=True)
    (tmp_path / "cells" / cell.id / "argv.json").write_bytes(b'{"argv": [], "spec": %s}' % kept)
    assert recorded_spec(tmp_path, cell) == spec


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (["seed"], GONE),
        (["more"], 1),
        (["vcpus"], "2"),
        (["vcpus"], 9),
        (["machine"], "isa"),
        (["kernel"], "relative"),
        (["devices"], "i6300esb"),
        (["fw_cfg", 0], ["opt/x"]),
        (["disks", 0, "bus"], GONE),
        (["windows"], {}),
    ],
)
def test_spec_says_no(keys, to):
    with pytest.raises(SpecError):
        MachineSpec.from_json(damaged(sample("spec.json"), *keys, to=to).decode())


def test_verdict_of_a_probe_is_as_it_was(tmp_path):
    key = cache_key(HOST, machine=MachineType.Q35, qemu="7.2.22", rom=b"rom")
    assert key[:32] == KEY
    remember(tmp_path, VERDICT, key=key)
    (file,) = tmp_path.iterdir()
    assert (file.name, file.read_bytes()) == (f"probe-{KEY}.json", sample("probe.json"))
    assert recall(tmp_path, key=key) == VERDICT


@pytest.mark.parametrize(
    ("key", "to"), [("usable", 0), ("stages", GONE), ("reason", None), ("seconds", 2), ("seconds", "2")]
)
def test_damaged_verdict_of_a_probe_is_none(tmp_path, key, to):
    (tmp_path / f"probe-{KEY}.json").write_bytes(damaged(sample("probe.json"), key, to=to))
    assert recall(tmp_path, key=KEY) is None


def test_listed_machine_is_as_it_was(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path))
    me = Identity.of(os.getpid())
    living = replace(ENTRY, owner_pid=me.pid, owner_start=me.start_ticks, boot_id=me.boot_id)
    Ledger().write(living)
    assert main(["attach", "--list", "--json"]) == 0
    (listed,) = json.loads(capfd.readouterr().out)
    assert listed["owner_pid"] == me.pid
    listed |= {key: getattr(ENTRY, key) for key in ("owner_pid", "owner_start", "boot_id")}
    assert json.dumps([listed], indent=1).encode() + b"\n" == sample("attach-list.json")
