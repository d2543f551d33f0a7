"""The manifest of a state that nobody saved."""

from emulator.snapshots.manifest import FileFacts, Method, SnapshotManifest

MANIFEST = SnapshotManifest(
    key="0123abcd",
    label="bookworm",
    stage="shell",
    method=Method.SHARED_RAM,
    qemu="7.2.22",
    accelerator="tcg",
    tsc_khz=2_596_100,
    made_utc="2026-11-28T18:00:00+00:00",
    boot_s=3.2,
    files={"ram": FileFacts(size=268_435_456, sha256="ab")},
)
