"""The manifest of a snapshot: written, read, and refused where it is none."""

import json

import pytest

from emulator.errors import SnapshotError
from emulator.snapshots.manifest import FORMAT, SnapshotManifest
from tests.support.sample_manifest import MANIFEST


def test_manifest_is_read_as_it_was_written() -> None:
    assert SnapshotManifest.from_json(MANIFEST.to_json().encode(), origin="here") == MANIFEST


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"format": 1}', b"\xff"])
def test_manifest_refuses_what_is_none(text: bytes) -> None:
    with pytest.raises(SnapshotError, match=r"^here: not a manifest of a snapshot: "):
        SnapshotManifest.from_json(text, origin="here")


def test_manifest_refuses_another_format_and_unknown_words() -> None:
    table = json.loads(MANIFEST.to_json())
    with pytest.raises(SnapshotError, match=f"format 99; this ttylab reads {FORMAT}"):
        SnapshotManifest.from_json(json.dumps(table | {"format": 99}).encode(), origin="here")
    with pytest.raises(SnapshotError, match="not a manifest"):
        SnapshotManifest.from_json(json.dumps(table | {"more": 1}).encode(), origin="here")
    with pytest.raises(SnapshotError, match="not a manifest"):
        SnapshotManifest.from_json(json.dumps(table | {"method": "guess"}).encode(), origin="here")
