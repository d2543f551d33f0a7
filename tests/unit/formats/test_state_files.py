"""Formats of a saved state: its manifest, and the note that it was found whole."""

import json
import re

import pytest

from emulator.clock import utc_now
from emulator.errors import SavedStateError
from emulator.machine.procfs import boot_id
from emulator.states.checked import NOTE, note_check, was_checked
from emulator.states.manifest import Method, StateManifest
from tests.support.sample_files import GONE, damages, sample, says_the_same

FILES = {"vm.state": (4, 5, 6), "ram": (1, 2, 1_700_000_000_123_456_789)}
NO_STATE = (
    ("files", GONE), ("format", 2), ("format", "x"), ("method", "ram"), ("boot_s", None), ("more", 1),
    ("files.ram.size", GONE),
)  # fmt: skip
NO_NOTE = (
    ("host_boot", "another"), ("host_boot", 5), ("at", GONE), ("at", "x"), ("files", GONE), ("more", 1),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "method"), [("state.json", Method.SHARED_RAM), ("state-stream.json", Method.STREAM)]
)
def test_manifest_of_a_state(name, method):
    state = StateManifest.from_json(sample(name), origin="here")
    assert state.method is method
    assert says_the_same(state, json.loads(sample(name)))
    assert state.to_json().encode() == sample(name)


def test_manifest_of_a_state_says_no():
    for data in damages(sample("state.json"), NO_STATE):
        with pytest.raises(SavedStateError):
            StateManifest.from_json(data, origin="here")


def test_note_of_a_check(tmp_path):
    note_check(tmp_path, FILES)
    written = re.sub(rb'"at": \d+\.\d+', b'"at": 1700000000.25', (tmp_path / NOTE).read_bytes())
    assert written.replace(boot_id().encode(), b"BOOT") == sample("checked.json")
    here = (("host_boot", boot_id()), ("at", utc_now().timestamp()))
    (whole,) = damages(damages(sample("checked.json"), here[:1])[0], here[1:])
    for data in (whole, *damages(whole, NO_NOTE)):
        (tmp_path / NOTE).write_bytes(data)
        assert was_checked(tmp_path, FILES) is (data == whole)
