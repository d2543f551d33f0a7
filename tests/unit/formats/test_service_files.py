"""Formats of the service: records as JSON, their database, and the ready file."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from emulator.cloud.cloud import Cloud
from emulator.errors import SpecError
from emulator.machine.spec import Device
from emulator.service.state.record_json import KINDS, dump_record, load_record
from emulator.service.state.store import Store, open_store
from harness.azure.address import ServiceAddress, address_of_ready
from harness.serving.access import ServiceAccess
from tests.support.sample_files import GONE, damages, sample, says_the_same

LINES = [line.split("\t") for line in sample("store-records.tsv").decode().split("\n")[:-1]]
ROWS = [(kind, key, data.encode()) for kind, key, data in LINES]
SCHEMA = sample("store-schema.sql").decode()
NO_READY = [(key, to) for key in ("endpoint", "credentials") for to in (GONE, 5)]


def make_database(path, *, schema=SCHEMA, rows=ROWS):
    with closing(sqlite3.connect(path)) as base:
        base.executescript(schema)
        base.executemany("INSERT INTO records (kind, key, json) VALUES (?, ?, ?)", rows)
        base.commit()
    return path


async def load(path):
    return Store(path).load()


def test_records():
    assert {kind for kind, _, _ in ROWS} == set(KINDS)
    for kind, key, data in ROWS:
        record = load_record(kind, data)
        assert says_the_same(record, json.loads(data))
        assert (record.key.lower(), dump_record(record)) == (key, data)
        first = next(iter(json.loads(data)))
        wrong = damages(data, [(first, GONE), (first, [5])])
        for name, damaged in ((kind, wrong[0]), (kind, wrong[1]), (kind, data[:-1]), (f"{kind}s", data)):
            with pytest.raises(SpecError):
                load_record(name, damaged)


def test_devices_of_a_machine_have_no_order():
    data = next(data for _, _, data in ROWS if b"i6300esb" in data)
    for devices in (["i6300esb", "pvpanic"], ["pvpanic", "i6300esb"]):
        record = load_record("VirtualMachine", damages(data, [("guest.devices", devices)])[0])
        assert record.guest.devices == frozenset(Device)
        assert sorted(json.loads(dump_record(record))["guest"]["devices"]) == sorted(Device)


def test_database(tmp_path):
    records = asyncio.run(load(make_database(tmp_path / "old.db")))
    assert [dump_record(one) for one in records] == [data for _, _, data in ROWS]

    async def save():
        cloud, store = Cloud([]), Store(tmp_path / "new.db")
        assert store.load() == []
        async with open_store(store, cloud):
            for record in records:
                cloud.put(record)

    asyncio.run(save())
    with closing(sqlite3.connect(tmp_path / "new.db")) as base:
        (table,) = base.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchone()
        (version,) = base.execute("PRAGMA user_version").fetchone()
        rows = base.execute("SELECT kind, key, json FROM records ORDER BY position").fetchall()
    assert f"{table};\nPRAGMA user_version = {version};\n" == SCHEMA
    assert rows == ROWS


def test_database_of_another_version_or_with_a_damaged_record_is_refused(tmp_path):
    for version in (0, 2):
        path = make_database(tmp_path / f"{version}.db", schema=SCHEMA.replace("= 1", f"= {version}"))
        with pytest.raises(SpecError):
            asyncio.run(load(path))
    with pytest.raises(SpecError):
        asyncio.run(load(make_database(tmp_path / "bad.db", rows=[("Principal", "x", b"{}")])))


def test_ready_file():
    table = json.loads(sample("ready.json"))
    ready = ServiceAccess(**table | {"ca": Path(table["ca"])})
    assert ready.to_json().encode() == sample("ready.json")
    assert address_of_ready(table, name="here", principal="dev") == ServiceAddress(
        endpoint=ready.endpoint, ca=ready.ca, tenant="t", subscription="s", principal="d", secret="p"
    )
    for data in damages(sample("ready.json"), NO_READY):
        with pytest.raises(SpecError):
            address_of_ready(json.loads(data), name="here")
