"""A snapshot on disk: its files, checked against its manifest, and the machines that continue from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from emulator.console.marks import MarkKind
from emulator.console.transcript import Transcript, load_transcript
from emulator.errors import SnapshotError, SpecError
from emulator.files import identity, read_whole
from emulator.machine.host import measure_tsc_khz
from emulator.machine.power import Origin
from emulator.machine.spec import MachineSpec
from emulator.snapshots.files import (
    MANIFEST_MOST,
    disk_names,
    fork_disks,
    note_check,
    read_facts,
    was_checked,
)
from emulator.snapshots.manifest import FileFacts, SnapshotManifest, SnapshotRequest
from emulator.snapshots.pages import PAGES_FILE, unpack_ram
from emulator.snapshots.room import RAM_FILE, USED, Use


def shared_facts(spec: MachineSpec, *, made_utc: str) -> tuple[str, ...]:
    """Return what forks of a snapshot share, unlike separate machines; `made_utc` is when it was saved."""
    numbers = "the same state in each fork until the guest reseeds them"
    if spec.generation_id:
        numbers = "vmgenid tells the guest to reseed them, which Linux 5.18 and newer does"
    return (
        f"clock: the guest's clock and uptime continue from {made_utc}",
        f"random numbers: {numbers}",
        "boot id and machine id: those of the saved boot, until the guest boots again",
        "MAC addresses: none, the machine has no network",
    )


SAVED = "saved"
"""The mark in the transcript after which nothing belongs to the snapshot."""


def load_past(directory: Path) -> Transcript:
    """Return the transcript up to the moment of saving; raises SnapshotError if it is cut or has none."""
    try:
        transcript = load_transcript(directory)
    except SpecError as error:
        raise SnapshotError(str(error)) from error
    mark = next((m for m in transcript.marks if m.kind is MarkKind.LAB and m.name == SAVED), None)
    if transcript.truncated is not None or mark is None:
        raise SnapshotError(f"{directory}: {transcript.truncated or 'it was never saved'}")
    return transcript.until(mark)


MANIFEST = "manifest.json"
VM_STATE = "vm.state"
VARS_FILE = "vars.fd"
CONSOLE = "console"
CONSOLE_FILES = (f"{CONSOLE}/console.bin", f"{CONSOLE}/timeline.jsonl")
_TSC_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot whose files were checked.

    Attributes:
        directory: where they are.
        manifest: what describes them.
        request: what was asked for.
        past: what its guest's console had shown.
        identities: what identified its files when they were checked, by name.
        use: keeps its unpacked RAM where it is.
    """

    directory: Path
    manifest: SnapshotManifest
    request: SnapshotRequest
    past: Transcript
    identities: dict[str, tuple[int, ...]]
    use: Use = field(compare=False, repr=False)

    @classmethod
    def open(cls, directory: Path, request: SnapshotRequest) -> Snapshot:
        """Return the snapshot in `directory` with every byte checked, now or recently by another process.

        Raises:
            SnapshotError: a file is missing, truncated or altered; the text says which.
            FileError: its RAM can't be unpacked.
            OSError: it is gone.
        """
        use = Use(directory)
        manifest = read_manifest(directory)
        wanted = {*snapshot_files(request, shares_ram=RAM_FILE in manifest.files)}
        if wanted != set(manifest.files):
            raise SnapshotError(f"{directory}: has {sorted(manifest.files)[:9]}, need {sorted(wanted)}")
        if RAM_FILE in wanted and not (directory / RAM_FILE).exists() and (directory / PAGES_FILE).exists():
            unpack_ram(directory / PAGES_FILE, directory / RAM_FILE)
        identities = {name: identity(directory / name) for name in sorted(manifest.files)}
        if not was_checked(directory, identities):
            for name, wanted_facts in manifest.files.items():
                _require_intact(directory / name, wanted_facts)
            note_check(directory, identities)
        _require_tsc(manifest, directory)
        past = load_past(directory / CONSOLE)
        return cls(
            directory=directory, manifest=manifest, request=request, past=past, identities=identities, use=use
        )

    def is_intact(self) -> bool:
        """Tell whether its files are still those that were checked."""
        return all(identity(self.directory / name) == known for name, known in self.identities.items())

    def fork(self, *, name: str, seed: int | None, own: Path | None = None) -> tuple[MachineSpec, Origin]:
        """Return what `open_machine` needs to go on from here, with disks for the host copied to `own`.

        Raises SnapshotError if they can't be copied, or the snapshot is gone.
        """
        try:
            (self.directory / USED).touch()
        except OSError as error:
            raise SnapshotError(f"{self.directory}: {error.strerror}") from error
        asked = replace(self.request.spec, name=name, seed=seed)
        files = self.manifest.files
        return fork_disks(asked, self.directory, own), Origin(
            spec=asked,
            key=self.manifest.key,
            stage=self.manifest.stage,
            vm_state=self.directory / VM_STATE,
            ram=self.directory / RAM_FILE if RAM_FILE in files else None,
            vars_file=self.directory / VARS_FILE if VARS_FILE in files else None,
            past=self.past,
            shared=shared_facts(self.request.spec, made_utc=self.manifest.made_utc),
        )


def snapshot_files(request: SnapshotRequest, *, shares_ram: bool) -> tuple[str, ...]:
    """Return the names of the files that make up a snapshot of `request`."""
    ram = (RAM_FILE,) if shares_ram else ()
    variables = (VARS_FILE,) if request.spec.firmware.is_uefi else ()
    disks = disk_names(request.spec, plain=request.host_reads_disks)
    return (VM_STATE, *ram, *variables, *disks, *CONSOLE_FILES)


def read_manifest(directory: Path) -> SnapshotManifest:
    """Return a snapshot's manifest, without a look at its files; raises SnapshotError if it is invalid."""
    path = directory / MANIFEST
    try:
        return SnapshotManifest.from_json(read_whole(path, most=MANIFEST_MOST), origin=str(path))
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from error


def _require_tsc(manifest: SnapshotManifest, directory: Path) -> None:
    """Refuse a snapshot from a host with another TSC frequency, which its guest was told."""
    told = manifest.tsc_khz
    if told is None:
        return
    here = measure_tsc_khz()
    if here is None or abs(here - told) > told * _TSC_TOLERANCE:
        raise SnapshotError(f"{directory}: its guest was told a TSC of {told} kHz, here it is {here}")


def _require_intact(path: Path, wanted: FileFacts) -> None:
    try:
        facts = read_facts(path)
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from error
    if facts != wanted:
        cut = f"{facts.size} bytes, need {wanted.size}" if facts.size != wanted.size else "altered"
        raise SnapshotError(f"{path}: {cut}")
