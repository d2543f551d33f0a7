"""The state directory of `--state DIR`: records in SQLite, with keys and the authority beside them.

DIR/lock        held by the one server that uses the directory, for as long as it lives
DIR/cloud.db    records, one row each
DIR/token.key   signs access tokens;  DIR/blob.key signs blob URLs;  DIR/ca/ see tls
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias, get_args

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from emulator.cloud.records import ActivityEvent, Cloud, Record, RoleDefinition
from emulator.cloud.refusals import refusal
from emulator.errors import LabError, SpecError, StateError
from emulator.files import PRIVATE, make_private_directory, write_whole
from emulator.service.parts.saving import Saving
from emulator.service.parts.tokens import TokenKey

KINDS: Mapping[str, type[Any]] = {kind.__name__: kind for kind in get_args(Record)}


def dump_record(record: Record) -> bytes:
    """Return `record` as JSON."""
    return _adapter(type(record).__name__).dump_json(record)


def load_record(kind: str, data: bytes) -> Record:
    """Return the record that `dump_record` wrote; raises SpecError if it is damaged or of an unknown kind."""
    if kind not in KINDS:
        raise SpecError(f"there are no records of kind {kind!r}")
    try:
        record: Record = _adapter(kind).validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SpecError(f"a {kind} is damaged: {where}: {first['msg']}") from error
    return record


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(KINDS[kind])


SCHEMA = 1
RETRY_S = 2.0
CLOSE_S = 5.0
_TABLE = (
    "CREATE TABLE records (position INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL,"
    " json BLOB NOT NULL, UNIQUE (kind, key))"
)
_PUT = (
    "INSERT INTO records (kind, key, json) VALUES (?, ?, ?)"
    " ON CONFLICT (kind, key) DO UPDATE SET json = excluded.json"
)
_DROP = "DELETE FROM records WHERE kind = ? AND key = ?"
_LOG = logging.getLogger(__name__)

Changes: TypeAlias = dict[tuple[str, str], Record | None]
"""Changed records by kind and key; None for a removed one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateDirectory:
    """A state directory that only this process uses."""

    path: Path

    @property
    def database(self) -> Path:
        """Where the records are."""
        return self.path / "cloud.db"

    @property
    def authority(self) -> Path:
        """Where the authority is."""
        return self.path / "ca"

    def token_key(self) -> TokenKey:
        """Return the key that signs tokens, new if there is none; raises SpecError for a damaged file."""
        path = self.path / "token.key"
        if not path.exists():
            write_whole(path, TokenKey.generate().to_pem(), private=True, durable=True)
        try:
            return TokenKey.from_pem(path.read_bytes())
        except (ValueError, TypeError) as error:
            raise SpecError(f"{path} is damaged; remove it, and everyone must sign in again") from error

    def blob_key(self) -> bytes:
        """Return the key that signs blob URLs, new if there is none; raises SpecError for a damaged file."""
        path = self.path / "blob.key"
        if not path.exists():
            write_whole(path, secrets.token_bytes(32), private=True, durable=True)
        key = path.read_bytes()
        if len(key) != 32:
            raise SpecError(f"{path} is damaged; remove it, and URLs signed before stop working")
        return key


@contextmanager
def hold_state_directory(path: Path) -> Iterator[StateDirectory]:
    """Make `path` (0700) if needed, and reserve it for this server until the block ends.

    Raises StateError if another server uses it, LabError if it can't be made.
    """
    directory = make_private_directory(path)
    lock = FileLock(directory / "lock", timeout=0, mode=PRIVATE)
    try:
        lock.acquire()
    except Timeout as error:
        raise StateError(f"state directory {directory} is used by another ttylab server") from error
    try:
        yield StateDirectory(path=directory)
    finally:
        lock.release()


class Store(Saving):
    """The records of a cloud on disk; changes are written in batches, on a thread.

    What `saved` has returned for survives a kill of the process, and a loss of power as far as the disk keeps
    what it was told to sync. If changes can't be written (disk full), they are kept and written later; until
    then `trouble` says why, and the database is unchanged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._changes: Changes = {}
        self._noted = self._written = 0
        self._flushed = asyncio.Event()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self.trouble: str | None = None

    def load(self) -> list[Record]:
        """Return the records in the order in which they were made; none if there is no database yet.

        Raises:
            SpecError: the database, which the message names, is damaged or of another version.
            LabError: it can't be read or made.
        """
        try:
            with closing(_connect(self._path)) as connection:
                _prepare(connection)
                rows = connection.execute("SELECT kind, json FROM records ORDER BY position").fetchall()
        except sqlite3.OperationalError as error:
            raise LabError(f"{self._path}: {error}") from error
        except (sqlite3.DatabaseError, SpecError) as error:
            raise self._damaged(error) from error
        try:
            return [load_record(kind, data) for kind, data in rows]
        except SpecError as error:
            raise self._damaged(error) from error

    def observe(self, record: Record, present: bool) -> None:  # noqa: FBT001  # the shape of an Observer
        """Note a change; `run` writes it."""
        if isinstance(record, RoleDefinition) and record.built_in:
            return  # they are part of the program
        self._changes[type(record).__name__, record.key.lower()] = record if present else None
        self._noted += not isinstance(record, ActivityEvent)  # which tells of what was done and does nothing
        self._wake.set()

    def noted(self) -> int:
        """See `Saving`."""
        return self._noted

    async def saved(self) -> None:
        """See `Saving`; `run` must be running."""
        wanted = self._noted
        while self._written < wanted:
            await self._flushed.wait()
            if self.trouble is not None and self._written < wanted:
                raise refusal("ServiceUnavailable", trouble=self.trouble)

    async def run(self) -> None:
        """Write changes until `close`."""
        while not self._closing.is_set():
            await self._wake.wait()
            self._wake.clear()
            if not await self.flush():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), RETRY_S)
                self._wake.set()
        await self.flush()

    def close(self) -> None:
        """Let `run` write the remaining changes and return."""
        self._closing.set()
        self._wake.set()

    async def flush(self) -> bool:
        """Write the noted changes; return False if that failed, and keep them all."""
        if not self._changes:
            return True
        changes, self._changes = self._changes, {}
        noted = self._noted
        try:
            await asyncio.to_thread(self._write, changes)
        except (sqlite3.Error, OSError, ValueError) as error:  # pydantic's are ValueErrors
            self._changes = changes | self._changes  # changes since then are newer
            self.disconnect()
            trouble = f"state can't be saved in {self._path}: {error}"
            if trouble != self.trouble:
                _LOG.error("%s", trouble)  # it says all
            self.trouble = trouble
            return False
        else:
            self._written = noted
            if self.trouble is not None:
                _LOG.warning("state is saved again in %s", self._path)
            self.trouble = None
            return True
        finally:
            self._flushed.set()  # wakes those who wait now, and nobody later
            self._flushed = asyncio.Event()

    def disconnect(self) -> None:
        """Close the database until the next flush."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self, changes: Changes) -> None:
        """Write all of `changes` or nothing; runs on a thread."""
        if self._connection is None:  # it stays open: closing the last one would copy the journal each time
            self._connection = _connect(self._path)
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            for (kind, key), record in changes.items():
                if record is None:
                    connection.execute(_DROP, (kind, key))
                else:
                    connection.execute(_PUT, (kind, key, dump_record(record)))

    def _damaged(self, error: Exception) -> SpecError:
        return SpecError(f"{self._path} can't be used: {error}; move it away to start with a new one")


@asynccontextmanager
async def open_store(store: Store, cloud: Cloud) -> AsyncIterator[Store]:
    """Write every change of `cloud` until the block ends, and the remaining ones then.

    The first records are written before the block: clients of a server that is killed may know their ids.
    """
    await store.flush()
    leave = cloud.watch(store.observe)
    task = asyncio.create_task(store.run())
    try:
        yield store
    finally:
        leave()
        store.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(task, CLOSE_S)
        store.disconnect()


def _connect(path: Path) -> sqlite3.Connection:
    path.touch(mode=PRIVATE, exist_ok=True)  # SQLite gives its journals the mode of the database
    # One thread at a time uses it, but not always the same.
    connection = sqlite3.connect(path, isolation_level=None, timeout=2.0, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the table of a new database, or check an old one.

    Raises SpecError if it is of another version, sqlite3.DatabaseError if it is damaged.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version == 0 and tables == 0:
        connection.executescript(f"BEGIN; {_TABLE}; PRAGMA user_version = {SCHEMA}; COMMIT")
    elif version != SCHEMA:
        raise SpecError(f"its schema is version {version}; this ttylab knows {SCHEMA}")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise SpecError(str(verdict).splitlines()[-1])
