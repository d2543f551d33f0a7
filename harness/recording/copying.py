"""Write the sanitised copy of a recording that is kept on disk."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from emulator.console.transcript import CONSOLE_FILE, TIMELINE_FILE
from emulator.images.sac.profile import load_profile
from emulator.images.sac.releases import PROFILES
from harness.recording.kept import read_recording, write_recording
from harness.recording.sanitise import Sanitised, sanitise

RAW, SANITISED = "raw", "sanitised"
"""Directories inside a recording's: the user's own, and the one for others."""
_SHORTEST = 3


def sanitise_directory(directory: Path, *, words: Iterable[str] = ()) -> tuple[Path, Sanitised]:
    """Write the sanitised copy of what `directory` holds, in place of an earlier one; return where it is.

    Args:
        directory: a recording's, or any directory with a transcript (a cell's); the copy of such a one is
            written beside it.
        words: more that is to be hidden.

    Raises:
        SpecError: there is no recording, or it is not whole.
        LabError: a secret would survive; no copy is there then.
        OSError: the copy can't be written.
    """
    has_both = (directory / RAW).is_dir()
    source = directory / RAW if has_both else directory
    place = directory / SANITISED if has_both else directory.with_name(f"{directory.name}-{SANITISED}")
    recording, transcript = read_recording(source)
    for name in (CONSOLE_FILE, TIMELINE_FILE):
        (place / name).unlink(missing_ok=True)
    made = sanitise(recording, words=words, ordinary=ordinary_words())
    name = "console" if "/" in transcript.name else transcript.name  # a URL names hosts
    write_recording(place, made.recording, console=name, closed="the recording ended")
    return place, made


@cache
def ordinary_words() -> frozenset[str]:
    """Return the words of which Windows' own texts are made, in lower case."""
    texts = (text.text for name in PROFILES for text in load_profile(name).texts.values())
    found = (word for text in texts for word in re.findall(r"[A-Za-z]+", text))
    return frozenset(word.lower() for word in found if len(word) >= _SHORTEST)
