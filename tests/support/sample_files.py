"""Files as ttylab wrote them before a change: reading and writing must go on as they were."""

import json
from datetime import datetime
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
GONE = object()


def sample(name):
    return (SAMPLES / name).read_bytes()


def records():
    """Return the records of the service's store: kind, key and JSON of each."""
    lines = [line.split("\t") for line in sample("store-records.tsv").decode().split("\n")[:-1]]
    return [(kind, key, data.encode()) for kind, key, data in lines]


def damages(data, changes):
    """Return JSON texts in each of which one value, at a place like "cells.0.id", is another or `GONE`."""
    return [_damaged(json.loads(data), place.split("."), to) for place, to in changes]


def _damaged(whole, keys, to):
    table = whole
    for key in keys[:-1]:
        table = table[int(key) if isinstance(table, list) else key]
    last = int(keys[-1]) if isinstance(table, list) else keys[-1]
    table[last] = to
    if to is GONE:
        del table[last]
    return json.dumps(whole).encode()


def says_the_same(value, table):
    """Tell whether `value` has, under the names of the JSON `table`, its values and their types."""
    if isinstance(table, dict):
        parts = value if isinstance(value, dict) else {key: getattr(value, key) for key in table}
        return parts.keys() == table.keys() and all(says_the_same(parts[key], table[key]) for key in table)
    if isinstance(table, list):
        parts = sorted(value) if isinstance(value, frozenset) else value
        return len(parts) == len(table) and all(map(says_the_same, parts, table))
    if isinstance(value, Path | datetime):
        value = str(value) if isinstance(value, Path) else value.isoformat().replace("+00:00", "Z")
    return value == table and isinstance(value, type(table))
