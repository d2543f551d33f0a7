"""The state directory on a real file system: what is kept, who is kept out, and what a full disk does."""

import asyncio
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.clock import utc_now
from emulator.cloud.config import demo_config
from emulator.cloud.config_records import build_records
from emulator.cloud.guest_plan import DEFAULT_IMAGE
from emulator.cloud.records import (
    Cloud,
    PowerState,
    ProvisioningState,
    Record,
    ResourceGroup,
    RoleDefinition,
    ScaleSet,
    VirtualMachine,
)
from emulator.cloud.roles import BUILT_IN_ROLES
from emulator.errors import CloudError, SpecError, StateError
from emulator.service.running_service import ServiceOptions, first_records, settle
from emulator.service.state import store as store_module
from emulator.service.state.store import Store, dump_record, hold_state_directory, load_record, open_store

WAIT_S = 20.0


def demo_records() -> list[Record]:
    return build_records(demo_config(), now=utc_now(), known_images=frozenset({DEFAULT_IMAGE}), origin="demo")


def group(number: int = 0, size: int = 0) -> ResourceGroup:
    return ResourceGroup(subscription="s", name=f"g{number}", location="eastus", tags={"pad": "x" * size})


def save(path: Path, change: Callable[[Cloud], None], *, records: list[Record] | None = None) -> None:
    """Open a store over a cloud with `records`, let `change` act, and close it."""

    async def run() -> None:
        cloud = Cloud(records or [])
        async with open_store(Store(path), cloud):
            change(cloud)

    asyncio.run(run())


def test_what_a_cloud_begins_with_is_saved_before_anybody_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"

    async def run() -> list[Record]:
        store = Store(path)
        options = ServiceOptions(config=demo_config(), origin="demo")
        async with open_store(store, Cloud(first_records(options, store))):
            return Store(path).load()

    assert len(asyncio.run(run())) > 10


def load(path: Path) -> list[Record]:
    async def run() -> list[Record]:
        return Store(path).load()

    return asyncio.run(run())


@pytest.mark.parametrize("record", demo_records(), ids=lambda one: f"{type(one).__name__}-{one.key[-12:]}")
def test_record_comes_back_as_it_was(record: Record) -> None:
    assert load_record(type(record).__name__, dump_record(record)) == record


@pytest.mark.parametrize(
    ("kind", "data"), [("Nothing", b"{}"), ("ResourceGroup", b"{}"), ("Principal", b"{")]
)
def test_record_that_is_damaged_is_refused(kind: str, data: bytes) -> None:
    with pytest.raises(SpecError, match=r"damaged|no records of kind"):
        load_record(kind, data)


def test_store_keeps_records_in_the_order_of_their_making(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    assert load(path) == []

    def change(cloud: Cloud) -> None:
        for number in range(5):
            cloud.put(group(number))
        cloud.put(replace(group(1), location="westeurope"))
        cloud.remove(group(3))

    save(path, change)
    assert [(one.name, one.location) for one in load(path)] == [
        ("g0", "eastus"),
        ("g1", "westeurope"),
        ("g2", "eastus"),
        ("g4", "eastus"),
    ]


def test_store_keeps_no_roles_of_the_program(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    assert load(path) == []
    records = demo_records()
    save(path, lambda cloud: [cloud.put(one) for one in records])
    kept = load(path)
    assert kept == [one for one in records if not isinstance(one, RoleDefinition)]


def test_store_is_private(tmp_path: Path) -> None:
    with hold_state_directory(tmp_path / "state") as state:
        load(state.database)
        state.token_key()
        state.blob_key()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.path.iterdir()}
    assert set(modes.values()) == {0o600}
    assert set(modes) == {"lock", "cloud.db", "token.key", "blob.key"}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_keys_are_the_same_at_the_next_start(tmp_path: Path) -> None:
    with hold_state_directory(tmp_path) as state:
        first = (state.token_key().id, state.blob_key())
    with hold_state_directory(tmp_path) as state:
        assert (state.token_key().id, state.blob_key()) == first


@pytest.mark.parametrize("name", ["token.key", "blob.key"])
def test_damaged_key_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nonsense")
    with hold_state_directory(tmp_path) as state, pytest.raises(SpecError, match=rf"{name} is damaged"):
        (state.token_key if name == "token.key" else state.blob_key)()


def test_second_server_on_a_directory_is_refused(tmp_path: Path) -> None:
    with hold_state_directory(tmp_path), pytest.raises(StateError, match="used by another ttylab server"):
        hold_state_directory(tmp_path).__enter__()
    with hold_state_directory(tmp_path):
        pass


def test_database_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    load(path)
    save(path, lambda cloud: [cloud.put(group(number, 500)) for number in range(200)])
    raw = bytearray(path.read_bytes())
    raw[4096:12288] = b"\x5a" * 8192
    path.write_bytes(raw)
    with pytest.raises(SpecError, match=r"cloud\.db can't be used: .*; move it away"):
        load(path)


def test_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    path.write_bytes(b"this is no database at all, but long enough" * 10)
    with pytest.raises(SpecError, match=r"cloud\.db can't be used"):
        load(path)


def test_database_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    load(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SpecError, match="schema is version 99; this ttylab knows 1"):
        load(path)


def test_record_in_the_database_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    load(path)
    save(path, lambda cloud: cloud.put(group()))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE records SET json = '{}'")
    with pytest.raises(SpecError, match=r"cloud\.db can't be used: a ResourceGroup is damaged"):
        load(path)


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no database grow: SQLite then says what it says on a full disk."""
    connect = store_module._connect

    def connect_full(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA max_page_count = 1")  # it takes the present size instead
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "_connect", connect_full)
        yield


async def wait_until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not true():  # noqa: ASYNC110  # what is awaited has no event
            await asyncio.sleep(0.01)


def test_full_disk_is_said_and_what_was_not_saved_is_saved_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "RETRY_S", 0.05)
    path = tmp_path / "cloud.db"
    load(path)
    save(path, lambda cloud: cloud.put(group()))

    async def run() -> list[Record]:
        cloud = Cloud()
        async with open_store(Store(path), cloud) as store:
            with full_disk():
                for number in range(1, 50):
                    cloud.put(group(number, 1000))
                await wait_until(lambda: store.trouble is not None)
                trouble = store.trouble
                with pytest.raises(CloudError, match=r"made but not saved yet: .*disk is full"):
                    await store.saved()
                untouched = read_rows(path)
            await wait_until(lambda: store.trouble is None)
            cloud.put(group(50))
            await store.saved()
            assert group(50) in read_rows(path)
        assert trouble == f"state can't be saved in {path}: database or disk is full"
        return untouched

    assert asyncio.run(run()) == [group()]
    assert len(load(path)) == 51


def read_rows(path: Path) -> list[Record]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT kind, json FROM records ORDER BY position").fetchall()
    return [load_record(kind, data) for kind, data in rows]


def options(**more) -> ServiceOptions:
    return ServiceOptions(config=demo_config(), origin="demo.toml", **more)


def test_saved_cloud_wins_over_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"

    async def first() -> list[Record]:
        store = Store(path)
        cloud = Cloud(first_records(options(), store))
        async with open_store(store, cloud):
            cloud.remove(next(iter(cloud.all(VirtualMachine))))
        return cloud.records()

    async def second() -> list[Record]:
        return Cloud(first_records(options(), Store(path))).records()

    left = asyncio.run(first())
    assert {one.key: one for one in asyncio.run(second())} == {one.key: one for one in left}


@pytest.mark.parametrize(
    ("power", "settled"),
    [
        (PowerState.RUNNING, PowerState.RUNNING),
        (PowerState.STARTING, PowerState.RUNNING),
        (PowerState.STOPPING, PowerState.STOPPED),
        (PowerState.DEALLOCATING, PowerState.DEALLOCATED),
    ],
)
def test_what_was_under_way_when_a_server_was_killed_is_settled(
    power: PowerState, settled: PowerState
) -> None:
    vm = next(one for one in demo_records() if isinstance(one, VirtualMachine))
    found = settle(replace(vm, power=power, provisioning=ProvisioningState.UPDATING))
    assert found == replace(vm, power=settled)
    restarting = replace(vm, power=power, goal=PowerState.RUNNING, provisioning=ProvisioningState.UPDATING)
    assert settle(restarting) == replace(vm, power=PowerState.RUNNING)


@pytest.mark.parametrize("doomed", ["linux1", "ss1", "rg1"])
def test_deletion_that_was_accepted_before_a_kill_is_done_at_the_next_start(
    tmp_path: Path, doomed: str
) -> None:
    async def start(change: Callable[[Record], Record]) -> set[str]:
        store = Store(tmp_path / "cloud.db")
        cloud = Cloud(first_records(options(), store))
        async with open_store(store, cloud):
            for one in cloud.records():
                cloud.put(change(one))
            return {one.key for one in cloud.records()}

    def begin(one: Record) -> Record:
        if isinstance(one, ResourceGroup) and one.name == doomed:
            return replace(one, deleting=True)
        if isinstance(one, VirtualMachine | ScaleSet) and one.id.name == doomed:
            return replace(one, provisioning=ProvisioningState.DELETING)
        return one

    before, after = asyncio.run(start(begin)), asyncio.run(start(lambda one: one))
    goes = {key for key in before if doomed in key and (doomed == "rg1" or "|" not in key)}  # | is a role's
    assert before - after == goes
    assert {one.key for one in load(tmp_path / "cloud.db")} == after - {one.key for one in BUILT_IN_ROLES}
