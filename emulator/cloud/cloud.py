"""All records by kind and key; whoever watches is told of each change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

from emulator.cloud.records import Record

R = TypeVar("R", bound=Record)

Observer: TypeAlias = Callable[[Record, bool], None]
"""Called after a change with the record and whether it is still there."""


class Cloud:
    """The platform's memory; not thread-safe: the service's loop owns it."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._tables: dict[type[object], dict[str, Record]] = {}
        self._observers: list[Observer] = []
        for record in records:
            self.put(record)

    def find(self, kind: type[R], key: str) -> R | None:
        """Return the record of `kind` with `key` in any case, or None."""
        found = self._tables.get(kind, {}).get(key.lower())
        return found if isinstance(found, kind) else None

    def all(self, kind: type[R]) -> list[R]:
        """Return the records of `kind`, oldest first."""
        return [record for record in self._tables.get(kind, {}).values() if isinstance(record, kind)]

    def records(self) -> list[Record]:
        """Return all records, kind by kind."""
        return [record for table in self._tables.values() for record in table.values()]

    def put(self, record: Record) -> None:
        """Add `record`, or replace the one with its key."""
        self._tables.setdefault(type(record), {})[record.key.lower()] = record
        self._tell(record, present=True)

    def remove(self, record: Record) -> None:
        """Take `record` away; one that is not there stays so."""
        if self._tables.get(type(record), {}).pop(record.key.lower(), None) is not None:
            self._tell(record, present=False)

    def watch(self, observer: Observer) -> Callable[[], None]:
        """Tell `observer` of every change from now on; call what is returned to end it."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def _tell(self, record: Record, *, present: bool) -> None:
        for observer in tuple(self._observers):
            observer(record, present)
