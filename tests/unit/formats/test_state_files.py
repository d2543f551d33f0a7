"""Formats of a saved state: its manifest, and the note that it was found whole."""

import json
import re

import pytest

from emulator.clock import utc_now
from emulator.errors import SavedStateError
from emulator.machine.procfs import boot_id
from emulator.states.checked import NOTE, note_check, was_checked
from emulator.states.manifest import FileFacts, Method, StateManifest
from tests.support.sample_files import GONE, damaged, sample

MANIFEST = StateManifest(
    key="0123456789abcdef0123456789abcdef",
    label="bookworm \u00fc",
    stage="shell",
    method=Method.SHARED_RAM,
    qemu="7.2.22",
    accelerator="tcg",
    tsc_khz=2_596_100,
    made_utc="2026-11-28T18:00:00+00:00",
    boot_s=3.0,
    files={
        "vm.state": FileFacts(size=1_048_576, sha256="ab" * 32),
        "ram": FileFacts(size=268_435_456, sha256="cd" * 32),
    },
)
STREAMED = StateManifest(
    key="f" * 32,
    label="sac",
    stage="cmd",
    method=Method.STREAM,
    qemu="9.0.0",
    accelerator="kvm",
    tsc_khz=None,
    made_utc="2026-11-28T18:00:01+00:00",
    boot_s=1e-05,
    files={},
)
FILES = {"vm.state": (4, 5, 6), "ram": (1, 2, 1_700_000_000_123_456_789)}


@pytest.mark.parametrize(("name", "value"), [("state.json", MANIFEST), ("state-stream.json", STREAMED)])
def test_manifest_of_a_state_is_as_it_was(name, value):
    assert StateManifest.from_json(sample(name), origin="here") == value
    assert value.to_json().encode() == sample(name)


@pytest.mark.parametrize(
    ("key", "to"),
    [("files", GONE), ("format", 2), ("format", "x"), ("method", "ram"), ("boot_s", None), ("more", 1)],
)
def test_manifest_of_a_state_says_no(key, to):
    with pytest.raises(SavedStateError):
        StateManifest.from_json(damaged(sample("state.json"), key, to=to), origin="here")


def test_manifest_without_its_format_has_the_present_one():
    assert (
        StateManifest.from_json(damaged(sample("state.json"), "format", to=GONE), origin="here") == MANIFEST
    )


def test_note_of_a_check_is_as_it_was(tmp_path):
    note_check(tmp_path, FILES)
    written = (tmp_path / NOTE).read_bytes()
    written = re.sub(rb'"at": \d+\.\d+', b'"at": 1700000000.25', written)
    assert written.replace(boot_id().encode(), b"BOOT") == sample("checked.json")


@pytest.mark.parametrize(
    ("key", "to", "believed"),
    [
        ("host_boot", None, True),
        ("host_boot", "another", False),
        ("host_boot", 5, False),
        ("at", GONE, False),
        ("at", "x", False),
        ("files", {"ram": "x"}, False),
        ("more", 1, False),
    ],
)
def test_note_of_a_check_is_believed_if_whole(tmp_path, key, to, believed):
    note = json.loads(sample("checked.json")) | {"host_boot": boot_id(), "at": utc_now().timestamp()}
    whole = json.dumps(note).encode()
    (tmp_path / NOTE).write_bytes(whole if to is None else damaged(whole, key, to=to))
    assert was_checked(tmp_path, FILES) is believed
