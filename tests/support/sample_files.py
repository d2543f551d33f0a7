"""Files as ttylab writes them, kept from before a change: reading and writing must go on as they were."""

import json
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
GONE = object()


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def damaged(data: bytes, *keys: str | int, to: object) -> bytes:
    """Return JSON in which the value at `keys` is another, or `GONE`."""
    whole = table = json.loads(data)
    for key in keys[:-1]:
        table = table[key]
    table[keys[-1]] = to
    if to is GONE:
        del table[keys[-1]]
    return json.dumps(whole).encode()


def says_the_same(value: object, table: object) -> bool:
    """Tell whether `value` has, under the names of the JSON `table`, its values and their types."""
    if isinstance(table, dict):
        parts = value if isinstance(value, dict) else {key: getattr(value, key) for key in table}
        return parts.keys() == table.keys() and all(says_the_same(parts[key], table[key]) for key in table)
    if isinstance(table, list):
        return len(value) == len(table) and all(map(says_the_same, value, table))
    return value == table and isinstance(value, type(table))
