"""Formats about machines: an entry of the ledger, the spec in argv.json, a remembered probe."""

import json
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.machine.ledger import Corrupt, Entry, Ledger
from emulator.machine.probe_cache import HostIdentity, ProbeVerdict, cache_key, recall, remember
from emulator.machine.spec import Disk, DiskBus, DiskFormat, MachineSpec, MachineType
from emulator.machine.windows_parts import WindowsParts
from harness.cells.cell import parse_cell_id
from harness.keyboard.repro import recorded_spec
from tests.support.sample_files import GONE, damages, sample, says_the_same

NO_ENTRY = (
    ("version", 2), ("version", GONE), ("console", GONE), ("pid", "5"), ("owner_pid", None), ("more", 1)
)  # fmt: skip
NO_SPEC = (
    ("seed", GONE), ("more", 1), ("vcpus", "2"), ("vcpus", 9), ("machine", "isa"), ("kernel", "relative"),
    ("devices", "i6300esb"), ("fw_cfg.0", ["opt/x"]), ("disks.0.bus", GONE), ("windows", {}),
)  # fmt: skip
NO_VERDICT = (("usable", 0), ("stages", GONE), ("reason", None), ("seconds", 2), ("seconds", "2"))
DISK = Disk(path=Path("/disks/ws.qcow2"), format=DiskFormat.QCOW2, bus=DiskBus.SATA, discard_writes=True)
WINDOWS = MachineSpec(
    name="ws", machine=MachineType.PC, memory_mib=4096, disks=(DISK,), icount_shift=3,
    windows=WindowsParts(cdroms=(Path("/disks/ws.iso"),), acpi_tables=(Path("/spcr.bin"),), tpm=True),
)  # fmt: skip
VERDICT = ProbeVerdict(usable=False, stages="ab", reason="no guest code ran: \u00fc", seconds=2.0)
HOST = HostIdentity(boot_id="00000000-1111-2222-3333-444444444444", cpu_flags="flags\t\t: fpu vmx")
KEY = "4a5a38861359a8d994486715b5f28b56"


@pytest.mark.parametrize("name", ["0a1b2c", "off"])
def test_entry_of_the_ledger(tmp_path, name):
    table = json.loads(sample(f"ledger-{name}.json"))
    entry, ledger = Entry.from_dict(table), Ledger(tmp_path)
    assert says_the_same(entry, {key: one for key, one in table.items() if key != "version"})
    ledger.write(entry)
    assert (tmp_path / f"machines/{name}.json").read_bytes() == sample(f"ledger-{name}.json")
    assert ledger.read() == (entry,)
    for data in damages(sample(f"ledger-{name}.json"), NO_ENTRY):
        with pytest.raises(SpecError):
            Entry.from_dict(json.loads(data))
        ledger.path(name).write_bytes(data)
        assert [type(one) for one in ledger.read()] == [Corrupt]


@pytest.mark.parametrize("name", ["spec.json", "spec-windows.json"])
def test_spec(tmp_path, name):
    spec = MachineSpec.from_json(sample(name).decode())
    assert says_the_same(spec, json.loads(sample(name)))
    assert (spec == WINDOWS) is ("windows" in name)
    assert (type(spec.devices), type(spec.fw_cfg)) == (frozenset, tuple)
    assert spec.to_json().encode() + b"\n" == sample(name)
    cell = parse_cell_id("bookworm.q35.ovmf.2.boot-login")
    (tmp_path / "cells" / cell.id).mkdir(parents=True)
    (tmp_path / "cells" / cell.id / "argv.json").write_bytes(b'{"argv": [], "spec": %s}' % sample(name))
    assert recorded_spec(tmp_path, cell) == spec


def test_spec_says_no():
    for data in damages(sample("spec.json"), NO_SPEC):
        with pytest.raises(SpecError):
            MachineSpec.from_json(data.decode())


def test_verdict_of_a_probe(tmp_path):
    key = cache_key(HOST, machine=MachineType.Q35, qemu="7.2.22", rom=b"rom")
    file = tmp_path / f"probe-{KEY}.json"
    remember(tmp_path, VERDICT, key=key)
    assert file.read_bytes() == sample("probe.json")
    assert recall(tmp_path, key=key) == VERDICT
    for data in damages(sample("probe.json"), NO_VERDICT):
        file.write_bytes(data)
        assert recall(tmp_path, key=key) is None
