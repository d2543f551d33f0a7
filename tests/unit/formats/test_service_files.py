"""The service's database, and the ready file."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from emulator.cloud.records import Cloud
from emulator.errors import SpecError
from emulator.machine.spec import Device
from emulator.service.state.store import Store, dump_record, load_record, open_store
from harness.azure.address import ServiceAddress, address_of_ready
from harness.serving.access import ServiceAccess
from tests.support.sample_files import GONE, damages, records, sample

SCHEMA = sample("store-schema.sql").decode()
NO_READY = [(key, to) for key in ("endpoint", "credentials") for to in (GONE, 5)]


def load(path, *, schema=SCHEMA, rows):
    """Make a database, and let the service read it."""
    with closing(sqlite3.connect(path)) as base:
        base.executescript(schema)
        base.executemany("INSERT INTO records (kind, key, json) VALUES (?, ?, ?)", rows)
        base.commit()

    async def run():
        return Store(path).load()

    return asyncio.run(run())


def test_database(tmp_path):
    made = load(tmp_path / "old.db", rows=records())
    assert [dump_record(one) for one in made] == [data for _, _, data in records()]

    async def save():
        cloud, store = Cloud([]), Store(tmp_path / "new.db")
        assert store.load() == []
        async with open_store(store, cloud):
            for record in made:
                cloud.put(record)

    asyncio.run(save())
    with closing(sqlite3.connect(tmp_path / "new.db")) as base:
        (table,) = base.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchone()
        (version,) = base.execute("PRAGMA user_version").fetchone()
        rows = base.execute("SELECT kind, key, json FROM records ORDER BY position").fetchall()
    assert f"{table};\nPRAGMA user_version = {version};\n" == SCHEMA
    assert rows == records()


@pytest.mark.parametrize("version", [0, 1, 2])
def test_database_says_no(tmp_path, version):
    rows = [("Principal", "x", b"{}")] if version == 1 else records()
    with pytest.raises(SpecError):
        load(tmp_path / "cloud.db", schema=SCHEMA.replace("= 1", f"= {version}"), rows=rows)


def test_devices_of_a_machine_have_no_order():
    data = next(data for _, _, data in records() if b"i6300esb" in data)
    for devices in (["i6300esb", "pvpanic"], ["pvpanic", "i6300esb"]):
        record = load_record("VirtualMachine", damages(data, [("guest.devices", devices)])[0])
        assert record.guest.devices == frozenset(Device)
        assert sorted(json.loads(dump_record(record))["guest"]["devices"]) == sorted(Device)


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
