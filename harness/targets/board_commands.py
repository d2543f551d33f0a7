"""The commands that act on a board: bounded, in a process group of their own, and what they said is kept."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, TypeAlias

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline
from emulator.errors import ControlError
from emulator.guest_text.printable import visible
from emulator.lab_file.boards import LabBoard
from emulator.machine.process import parent_death_words

LOG_FILE = "commands.log"
"""In a cell's directory: each command, how it ended, and what it wrote."""
Key: TypeAlias = Literal["power_on", "power_off", "reset", "nmi"]
_SAID_MOST = 16_384
_LEAVE_S = 1.0
"""Seconds that a command has to leave by itself, once it was asked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardCommands:
    """A board's commands.

    Attributes:
        board: the board.
        directory: where the log of them is kept; None keeps none.
        clock: of the time that they take.
    """

    board: LabBoard
    directory: Path | None = None
    clock: Clock = SYSTEM_CLOCK

    def words(self, key: Key) -> tuple[str, ...] | None:
        """Return a command's words; None if there is none."""
        found: tuple[str, ...] | None = getattr(self.board.table, key)
        return found

    def run(self, key: Key, deadline: Deadline) -> None:
        """Run a command and wait for its end; what it left running in the background stays, if it succeeded.

        Raises:
            ControlError: there is none, its program is missing, it failed, or took too long. The text names
                the board, the key and the command; nothing of its process group is left.
            MissingPrerequisite: setpriv is not installed.
        """
        words = self.words(key)
        if words is None:
            raise ControlError(f"board {self.board.name} has no {key}")
        if shutil.which(words[0]) is None:
            raise self._failed(key, f"{words[0]} is not there, or can't be executed")
        bound_s = min(self.board.table.command_s, max(deadline.remaining(), 0.0))
        began = self.clock.monotonic()
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            code = self._run(key, words, bound_s=bound_s, output=output, errors=errors)
            took_s = self.clock.monotonic() - began
            over = f"did not end within {round(bound_s, 1):g} s"
            ended = over if code is None else f"ended with {_told(code)}"
            said, complaint = _read(output), _read(errors)
        self._log(f"{key}: {shlex.join(words)}: {ended}, {took_s:.1f} s", said + complaint)
        if code != 0:
            why = _first_line(complaint)
            raise self._failed(key, f"{ended}: {why}" if why else ended)

    def _run(
        self, key: Key, words: tuple[str, ...], *, bound_s: float, output: IO[bytes], errors: IO[bytes]
    ) -> int | None:
        """Return the exit code, None for a command that was ended since its time was over."""
        argv = (*parent_death_words(), *words)
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,  # files: a pipe would stay open as long as what was started in the background
                stderr=errors,
                cwd=self.board.directory,
                process_group=0,
            )
        except OSError as error:
            raise self._failed(key, f"could not be started: {error.strerror}") from error
        code = None
        try:
            with suppress(subprocess.TimeoutExpired):
                code = child.wait(bound_s)
        finally:
            if code != 0:
                _end_group(child)
        return code

    def _log(self, head: str, said: bytes) -> None:
        if self.directory is not None:
            path = self.directory / LOG_FILE
            with open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600)) as log:
                log.write(f"$ {visible(head)}\n".encode() + said + b"\n" * (said[-1:] not in {b"", b"\n"}))

    def _failed(self, key: Key, how: str) -> ControlError:
        shown = visible(shlex.join(self.words(key) or ()))
        return ControlError(f"board {self.board.name}: {key} ({shown}) {visible(how)}")


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End a command and all that it has started in its group: politely, then by force."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_LEAVE_S)
    child.wait()


def _told(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _first_line(complaint: bytes) -> str:
    """Return the first line that says something; of Python's tracebacks that is the last."""
    lines = [line.strip() for line in complaint.decode("utf-8", "replace").splitlines() if line.strip()]
    return "" if not lines else lines[-1] if lines[0].startswith("Traceback") else lines[0]


def _read(file: IO[bytes]) -> bytes:
    """Return what was written last, at most `_SAID_MOST` bytes of it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _SAID_MOST))
    return file.read()
