"""Notes of ttylab to itself, which are none if damaged: a checked state, an image's seal, a probe."""

import json
import re

from emulator.clock import utc_now
from emulator.images.image import FILES, is_sealed, seal
from emulator.machine.probe import HostIdentity, ProbeVerdict, cache_key, recall, remember
from emulator.machine.process import boot_id
from emulator.machine.spec import MachineType
from emulator.snapshots.files import NOTE, note_check, was_checked
from tests.support.sample_files import GONE, damages, sample

IDENTITIES = {"vm.state": (4, 5, 6), "ram": (1, 2, 1_700_000_000_123_456_789)}
NO_NOTE = [("host_boot", "x"), ("host_boot", 5), ("at", GONE), ("at", "x"), ("files.ram", "x"), ("more", 1)]
NO_VERDICT = [("usable", 0), ("stages", GONE), ("reason", None), ("seconds", 2), ("seconds", "2")]
VERDICT = ProbeVerdict(usable=False, stages="ab", reason="no guest code ran: \u00fc", seconds=2.0)
HOST = HostIdentity(boot_id="00000000-1111-2222-3333-444444444444", cpu_flags="flags\t\t: fpu vmx")


def test_note_of_a_check(tmp_path):
    note_check(tmp_path, IDENTITIES)
    written = re.sub(rb'"at": \d+\.\d+', b'"at": 1700000000.25', (tmp_path / NOTE).read_bytes())
    assert written.replace(boot_id().encode(), b"BOOT") == sample("checked.json")
    here = {"host_boot": boot_id(), "at": utc_now().timestamp()}
    whole = json.dumps(json.loads(sample("checked.json")) | here).encode()
    for data in (whole, *damages(whole, NO_NOTE)):
        (tmp_path / NOTE).write_bytes(data)
        assert was_checked(tmp_path, IDENTITIES) is (data == whole)


def test_seal_of_an_image(tmp_path):
    for size, name in enumerate((*FILES, "manifest.json")):
        (tmp_path / name).write_bytes(bytes(size))
    seal(tmp_path)
    assert is_sealed(tmp_path)
    written = (tmp_path / "seal.json").read_bytes()
    facts = [(tmp_path / name).stat() for name in json.loads(written)]
    expected = [[one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino] for one in facts]
    assert [*json.loads(written).values()] == expected
    assert re.sub(rb", \d+, \d+, \d+\]", b", 1, 2, 3]", written) == sample("seal.json")
    for wrong in (sample("seal.json"), b"{}", b"", *damages(written, [("vmlinux", GONE)])):
        (tmp_path / "seal.json").write_bytes(wrong)
        assert not is_sealed(tmp_path)


def test_verdict_of_a_probe(tmp_path):
    key = cache_key(HOST, machine=MachineType.Q35, qemu="7.2.22", rom=b"rom")
    remember(tmp_path, VERDICT, key=key)
    file = tmp_path / "probe-4a5a38861359a8d994486715b5f28b56.json"
    assert file.read_bytes() == sample("probe.json")
    assert recall(tmp_path, key=key) == VERDICT
    for data in damages(sample("probe.json"), NO_VERDICT):
        file.write_bytes(data)
        assert recall(tmp_path, key=key) is None
