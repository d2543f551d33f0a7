"""Files as ttylab writes them, kept from before a change: reading and writing must go on as they were."""

import json
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
GONE = object()


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def damaged(data: bytes, *keys: str | int, to: object) -> bytes:
    """Return JSON in which the value at `keys` is another, or `GONE`."""
    whole = json.loads(data)
    table = whole
    for key in keys[:-1]:
        table = table[key]
    if to is GONE:
        del table[keys[-1]]
    else:
        table[keys[-1]] = to
    return json.dumps(whole).encode()


def says_the_same(value: object, table: object) -> bool:
    """Tell whether `value` has, under the names of the JSON `table`, its values and their types."""
    if isinstance(table, dict) and not isinstance(value, dict):
        return all(says_the_same(getattr(value, key), one) for key, one in table.items())
    if isinstance(table, list):
        return len(value) == len(table) and all(map(says_the_same, value, table))
    return value == table and isinstance(value, type(table))
