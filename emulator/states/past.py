"""What a state's guest had shown on its console when it was saved."""

from __future__ import annotations

from pathlib import Path

from emulator.console.marks import MarkKind
from emulator.console.transcript import Transcript, load_transcript
from emulator.errors import SavedStateError, SpecError

SAVED = "saved"
"""The mark in the transcript of a state's own machine behind which nothing belongs to the state."""


def load_past(directory: Path) -> Transcript:
    """Return what came before the moment of saving.

    Raises:
        SavedStateError: there is no whole transcript, or no such moment in it.
    """
    try:
        transcript = load_transcript(directory)
    except SpecError as error:
        raise SavedStateError(str(error)) from error
    mark = next((m for m in transcript.marks if m.kind is MarkKind.LAB and m.name == SAVED), None)
    if transcript.truncated is not None or mark is None:
        raise SavedStateError(f"{directory}: {transcript.truncated or 'it was never saved'}")
    return transcript.until(mark)
