"""A note beside a state that says which of its files were found whole: one check serves all processes.

A run has many workers, and each would read all bytes of each state that it goes on from.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from emulator.clock import utc_now
from emulator.errors import LabError
from emulator.machine.procfs import boot_id
from emulator.machine.run_dir import write_json

NOTE = "checked.json"
TRUSTED_S = 3600.0
"""How long a check is relied on: it sees what was written to a file, and not what decays under it."""


class _Note(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    host_boot: str  # files that were whole in the page cache may be cut after a crash of the host
    at: float
    files: dict[str, tuple[int, ...]]


def note_check(directory: Path, identities: Mapping[str, tuple[int, ...]]) -> None:
    """Note that the files of the state in `directory` were read and found whole as `identities` has them.

    A note that can't be written is none: the next process reads the files itself.
    """
    note = _Note(host_boot=boot_id(), at=utc_now().timestamp(), files=dict(identities))
    with suppress(LabError):
        write_json(directory / NOTE, note.model_dump())


def was_checked(directory: Path, identities: Mapping[str, tuple[int, ...]]) -> bool:
    """Tell whether these very files were found whole on this boot of the host, in the last `TRUSTED_S`."""
    try:
        note = _Note.model_validate_json((directory / NOTE).read_bytes())
    except (OSError, ValidationError):
        return False
    age_s = utc_now().timestamp() - note.at
    return note.host_boot == boot_id() and 0 <= age_s < TRUSTED_S and note.files == dict(identities)
