"""Formats of the service: records as JSON, their database, and the ready file."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.cloud.cloud import Cloud
from emulator.cloud.records import VirtualMachine
from emulator.errors import SpecError
from emulator.machine.spec import Device
from emulator.service.state.record_json import KINDS, dump_record, load_record
from emulator.service.state.store import Store, open_store
from harness.azure.address import ServiceAddress, address_of_ready
from harness.serving.access import ServiceAccess
from tests.support.sample_files import GONE, damaged, sample, says_the_same

ROWS = [tuple(line.split(b"\t")) for line in sample("store-records.tsv").splitlines()]
RECORDS = [load_record(kind.decode(), data) for kind, _, data in ROWS]
SCHEMA = sample("store-schema.sql").decode()
READY = ServiceAccess(
    endpoint="https://localhost:8443", ca=Path("/state/ca/ca.pem"), tenant="t", subscription="s",
    credentials={"app": {"client_id": "a", "client_secret": "x"}, "dev": {"username": "d", "password": "p"}},
)  # fmt: skip


def load(path):
    async def run():
        return Store(path).load()

    return asyncio.run(run())


def make_database(path, *, schema=SCHEMA, rows=ROWS):
    with closing(sqlite3.connect(path)) as base:
        base.executescript(schema)
        words = ((kind.decode(), key.decode(), data) for kind, key, data in rows)
        base.executemany("INSERT INTO records (kind, key, json) VALUES (?, ?, ?)", words)
        base.commit()


def test_records_are_as_they_were():
    assert {kind.decode() for kind, _, _ in ROWS} == set(KINDS)
    for (_, key, data), record in zip(ROWS, RECORDS, strict=True):
        table = json.loads(data)
        times = {name: getattr(record, name) for name in table if name in {"created", "changed", "at"}}
        written = {name: one and one.isoformat().replace("+00:00", "Z") for name, one in times.items()}
        assert table | written == table
        assert says_the_same(record, {name: one for name, one in table.items() if name not in times})
        assert (record.key.lower().encode(), dump_record(record)) == (key, data)


def test_record_with_several_devices_is_read_in_any_order():
    machine = next(one for one in RECORDS if isinstance(one, VirtualMachine) and one.guest.devices)
    several = replace(machine, guest=replace(machine.guest, devices=frozenset(Device)))
    table = json.loads(dump_record(several))
    assert sorted(table["guest"]["devices"]) == sorted(Device)
    table["guest"]["devices"].reverse()
    assert load_record("VirtualMachine", json.dumps(table).encode()) == several


@pytest.mark.parametrize(
    "number", range(len(ROWS)), ids=lambda number: f"{number}-{ROWS[number][0].decode()}"
)
def test_damaged_record_is_refused(tmp_path, number):
    kind, key, data = ROWS[number]
    first = next(iter(json.loads(data)))
    for wrong in (damaged(data, first, to=GONE), damaged(data, first, to=[5]), data[:-1], b"[]"):
        with pytest.raises(SpecError):
            load_record(kind.decode(), wrong)
    with pytest.raises(SpecError):
        load_record(f"{kind.decode()}s", data)
    make_database(tmp_path / "cloud.db", rows=[(kind, key, damaged(data, first, to=GONE))])
    with pytest.raises(SpecError):
        load(tmp_path / "cloud.db")


def test_database_is_as_it_was(tmp_path):
    make_database(tmp_path / "old.db")
    assert load(tmp_path / "old.db") == RECORDS

    async def save():
        cloud = Cloud([])
        async with open_store(Store(tmp_path / "new.db"), cloud):
            for record in RECORDS:
                cloud.put(record)

    assert load(tmp_path / "new.db") == []
    asyncio.run(save())
    with closing(sqlite3.connect(tmp_path / "new.db")) as base:
        (table,) = base.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchone()
        (version,) = base.execute("PRAGMA user_version").fetchone()
        rows = base.execute("SELECT kind, key, json FROM records ORDER BY position").fetchall()
    assert f"{table};\nPRAGMA user_version = {version};\n" == SCHEMA
    assert [(kind.encode(), key.encode(), data) for kind, key, data in rows] == ROWS


@pytest.mark.parametrize("version", [0, 2])
def test_database_of_another_version_is_refused(tmp_path, version):
    make_database(tmp_path / "cloud.db", schema=SCHEMA.replace("= 1", f"= {version}"))
    with pytest.raises(SpecError):
        load(tmp_path / "cloud.db")


def test_ready_file_is_as_it_was():
    assert READY.to_json().encode() == sample("ready.json")
    assert address_of_ready(json.loads(sample("ready.json")), name="here", principal="dev") == ServiceAddress(
        endpoint=READY.endpoint, ca=READY.ca, tenant="t", subscription="s", principal="d", secret="p"
    )
    for key in ("endpoint", "credentials"):
        for to in (GONE, 5):
            with pytest.raises(SpecError):
                address_of_ready(json.loads(damaged(sample("ready.json"), key, to=to)), name="here")
