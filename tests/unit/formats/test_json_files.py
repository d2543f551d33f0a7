"""JSON files that are read back: each says what it said, is written as it was, and is refused if damaged."""

import json

import pytest

from emulator.errors import ImageError, SnapshotError, SpecError
from emulator.images.image import read_image
from emulator.machine.ledger import Corrupt, Ledger, read_entry
from emulator.service.state.store import KINDS, dump_record, load_record
from emulator.snapshots.manifest import SnapshotManifest
from emulator.values import json_ready
from emulator.windows.registry import REGISTRY, WindowsRegistry
from harness.report.model import load_run, write_cell, write_run
from harness.run.cell_run import read_result
from harness.run.repro import recorded_spec
from harness.scenario.verdict import Reason
from tests.support.sample_files import GONE, SAMPLES, damages, records, sample, says_the_same

CELL = "bookworm.q35.ovmf.2.boot-login"
CELL_DEFAULTS = {
    "step": None, "evidence": [], "injections": [], "findings": [], "stages": [], "steps": [], "argv": [],
    "image": {}, "accelerator": "", "qemu": "", "seed": None, "target": "machine", "start": "booted",
    "shares": [], "time_scale": 1.0, "time_limit_s": 180.0, "slowdown": 1.0,
}  # fmt: skip
NO_ENTRY = [
    ("version", 2),
    ("version", GONE),
    ("console", GONE),
    ("pid", "5"),
    ("owner_pid", None),
    ("more", 1),
]
NO_RUN = [
    ("cells", GONE), ("version", 2), ("duration_s", "x"), ("more", 1), ("cells.0.cell.id", GONE),
    ("cells.0.status", "odd"), ("cells.0.tags", "boot"), ("cells.0.more", 1), ("cells.0.steps.0.end", GONE),
    ("cells.0.steps.0.outcome", "odd"), ("cells.0.evidence.0.start", 1.5),
]  # fmt: skip


def put(file, data):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def entry(data, place):
    return read_entry(data)


def entry_bytes(value, place):
    Ledger(place).write(value)
    assert Ledger(place).read() == (value,)
    return (place / "machines" / f"{value.id}.json").read_bytes()


def state(data, place):
    return SnapshotManifest.from_json(data, origin="here")


def image(data, place):
    put(place / "manifest.json", data)
    return read_image(place)


def spec(data, place):
    put(place / "cells" / CELL / "argv.json", b'{"argv": [], "spec": %s}' % data)
    return recorded_spec(place / "cells" / CELL)


def spec_bytes(value, place):
    return json.dumps(json_ready(value), sort_keys=True).encode()


def text_bytes(value, place):
    return value.to_json().encode()


def windows(data, place):
    put(place / REGISTRY, data)
    return [*WindowsRegistry(place).images().values()]


def windows_bytes(images, place):
    for one in reversed(images):
        WindowsRegistry(place / "new").add(one)
    return (place / "new" / REGISTRY).read_bytes()


def run(data, place):
    put(place / "run.json", data)
    return load_run(place)


def run_bytes(value, place):
    return write_run(value, place).read_bytes()


FILES = {
    "state.json": (state, text_bytes, SnapshotError, [
        ("files", GONE), ("format", 2), ("format", "x"), ("method", "ram"), ("boot_s", None), ("more", 1),
        ("files.ram.size", GONE),
    ]),
    "state-stream.json": (state, text_bytes, SnapshotError, [("tsc_khz", GONE), ("tsc_khz", "x")]),
    "ledger-0a1b2c.json": (entry, entry_bytes, SpecError, NO_ENTRY),
    "ledger-off.json": (entry, entry_bytes, SpecError, NO_ENTRY),
    "spec.json": (spec, spec_bytes, SpecError, [
        ("seed", GONE), ("more", 1), ("vcpus", "2"), ("vcpus", 99), ("machine", "isa"), ("kernel", "here"),
        ("devices", "i6300esb"), ("fw_cfg.0", ["opt/x"]), ("disks.0.bus", GONE), ("windows", {}),
    ]),
    "spec-windows.json": (spec, spec_bytes, SpecError, [("windows.tpm", GONE), ("windows.cdroms", "/x")]),
    "image.json": (image, text_bytes, ImageError, [
        ("recipe", GONE), ("format", GONE), ("format", "x"), ("modules", "spin"), ("more", 1),
        ("packages.0.architecture", GONE), ("sha256.vmlinux", 5),
    ]),
    "windows.json": (windows, windows_bytes, ImageError, [
        ("images", GONE), ("format", 2), ("format", GONE), ("more", 1), ("images.0.tpm", GONE),
        ("images.0.level", "odd"), ("images.0.path", None), ("images.0.release", "1999"),
        ("images.0.identity.size", "x"), ("images.0.more", 1),
    ]),
    "run.json": (run, run_bytes, SpecError, NO_RUN),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_file(tmp_path, name):
    read, write, error, changes = FILES[name]
    table, value = json.loads(sample(name)), read(sample(name), tmp_path)
    told = {key: one for key, one in table.items() if hasattr(value, key) or key not in {"version", "format"}}
    assert says_the_same(value, table["images"] if read is windows else told)
    assert write(value, tmp_path) == sample(name)
    for data in (*damages(sample(name), changes), b"[]", sample(name)[:-3], b""):
        with pytest.raises(error):
            read(data, tmp_path)


def test_damaged_entry_of_the_ledger_is_told(tmp_path):
    (tmp_path / "machines").mkdir()
    for data in (*damages(sample("ledger-off.json"), NO_ENTRY), b"", b"[]"):
        Ledger(tmp_path).path("off").write_bytes(data)
        assert [type(one) for one in Ledger(tmp_path).read()] == [Corrupt]


def test_result_of_a_cell(tmp_path):
    run = load_run(SAMPLES / "run.json")
    assert {cell.reason for cell in run.cells} == set(Reason)
    for result in run.cells:
        (tmp_path / result.directory).mkdir(parents=True)
        written = write_cell(result, tmp_path).read_text().replace("\n", "\n  ").rstrip()
        assert f"\n  {written}" in sample("run.json").decode()
        assert read_result(tmp_path, result.cell.id) == result
    whole = json.loads(sample("run.json"))["cells"][0]
    little = {key: one for key, one in whole.items() if key not in CELL_DEFAULTS}
    (tmp_path / whole["directory"] / "result.json").write_text(json.dumps(little))
    assert says_the_same(read_result(tmp_path, whole["cell"]["id"]), whole | CELL_DEFAULTS)
    for data in damages(
        json.dumps(whole), [(key[8:], to) for key, to in NO_RUN if key.startswith("cells.0")]
    ):
        (tmp_path / whole["directory"] / "result.json").write_bytes(data)
        assert read_result(tmp_path, whole["cell"]["id"]) is None


def test_record_of_the_service():
    assert {kind for kind, _, _ in records()} == set(KINDS)
    for kind, key, data in records():
        record = load_record(kind, data)
        assert says_the_same(record, json.loads(data))
        assert (record.key.lower(), dump_record(record)) == (key, data)
        first = next(iter(json.loads(data)))
        wrong = damages(data, [(first, GONE), (first, [5])])
        for name, damaged in ((kind, wrong[0]), (kind, wrong[1]), (kind, data[:-1]), (f"{kind}s", data)):
            with pytest.raises(SpecError):
                load_record(name, damaged)
