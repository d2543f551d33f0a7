"""Recordings on the user's disk: read them, and write their copies, for the user's own eyes."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import cache
from heapq import merge
from pathlib import Path

from emulator.console.marks import Chunk
from emulator.console.transcript import (
    CONSOLE_FILE,
    TIMELINE_FILE,
    DirectorySink,
    Transcript,
    load_transcript,
    mark_line,
)
from emulator.errors import SpecError
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import load_profile
from harness.recording.sanitise import Recording, Sanitised, sanitise


def make_private_directory(directory: Path) -> None:
    """Make a new directory that only its owner may enter.

    Raises:
        SpecError: it is there already and holds something, or can't be made.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise SpecError(f"{directory} is not empty; a recording needs a directory of its own")
        directory.chmod(0o700)
    except OSError as error:
        raise SpecError(f"{directory}: can't be made: {error.strerror}") from error


@contextmanager
def open_private_directory(directory: Path) -> Iterator[None]:
    """Make a directory to record into; after a failure before the first byte nothing of it is left.

    Raises:
        SpecError: as `make_private_directory`.
    """
    made = [one for one in (directory, directory.parent) if not one.exists()]
    make_private_directory(directory)
    try:
        yield
    except BaseException:
        console = directory / CONSOLE_FILE
        if not console.exists() or not console.stat().st_size:
            for name in (CONSOLE_FILE, TIMELINE_FILE):
                (directory / name).unlink(missing_ok=True)
            with suppress(OSError):  # QEMU's words are there, which say why
                for one in made:
                    one.rmdir()
        raise


def read_recording(directory: Path) -> tuple[Recording, Transcript]:
    """Return what a directory holds, and the transcript that it was read from.

    Raises:
        SpecError: it holds no transcript, or one whose bytes and stamps do not agree.
    """
    transcript = load_transcript(directory)
    chunks = transcript.chunks
    if (chunks[-1].end if chunks else 0) != len(transcript) or any(
        one.start != before for one, before in zip(chunks, (0, *(c.end for c in chunks)), strict=False)
    ):
        raise SpecError(f"{directory}: {transcript.truncated}")
    return (
        Recording(output=transcript.read(), chunks=chunks, typed=transcript.typed, marks=transcript.marks),
        transcript,
    )


def write_recording(directory: Path, recording: Recording, *, console: str, closed: str) -> None:
    """Write a recording into a new directory, in the form of a transcript.

    Raises:
        SpecError: the directory is not empty, or can't be made.
        OSError: the disk is full.
    """
    make_private_directory(directory)
    with closing(DirectorySink(directory, console=console)) as sink:
        last = 0.0
        for at, line in _lines(recording):
            last = at
            if isinstance(line, Chunk):
                sink.output(recording.output[line.start : line.end], line)
            else:
                sink.record(line)
        sink.record({"t": last, "closed": closed})


_Line = Chunk | Mapping[str, object]


def _lines(recording: Recording) -> Iterator[tuple[float, _Line]]:
    """Give chunks and the lines of the others, in order of time; at one moment output comes first."""
    chunks: list[tuple[float, int, _Line]] = [(one.at, 0, one) for one in recording.chunks]
    typed: list[tuple[float, int, _Line]] = [
        (one.at, 1, {"t": one.at, "at": one.offset, "in": base64.b64encode(one.data).decode()})
        for one in recording.typed
    ]
    marks: list[tuple[float, int, _Line]] = [(one.at, 2, mark_line(one)) for one in recording.marks]
    for at, _, line in merge(chunks, typed, marks, key=lambda one: one[:2]):
        yield at, line


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
