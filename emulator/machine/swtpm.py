"""A TPM 2.0 for a machine: one swtpm per power cycle, on a socket pair, with lasting state.

swtpm ends when QEMU's end of the pair closes (`--terminate`), so it outlives neither QEMU nor us.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emulator.errors import ControlError, LabError, MissingPrerequisite

PROGRAM = "swtpm"
STATE_DIRECTORY = "tpm"
LOG_FILE = "swtpm.log"
_END_S = 5.0


class Tpm:
    """The TPM of one machine, whose state and log are in `directory`; made by `open_tpm`."""

    def __init__(self, directory: Path, *, program: str) -> None:
        self.directory = directory
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of swtpm, None while there is none."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def plug(self) -> socket.socket:
        """Start swtpm, and return QEMU's end of its control channel, which the caller closes.

        Raises LabError if it can't be started, ControlError if the last cycle's can't be ended.
        """
        self.unplug()
        ours, theirs = socket.socketpair()
        with theirs:
            argv = (
                *(self._program, "socket", "--tpm2", "--terminate"),
                *("--tpmstate", f"dir={self.directory}"),
                *("--ctrl", f"type=unixio,clientfd={theirs.fileno()}"),
                *("--log", f"file={self.directory / LOG_FILE},level=1"),
            )
            try:
                self._process = subprocess.Popen(
                    argv,
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            except OSError as error:
                ours.close()
                raise LabError(f"{self._program} can't be started: {error.strerror}") from error
        return ours

    def unplug(self) -> None:
        """End swtpm if it runs; its state stays. Raises ControlError if it survived SIGKILL."""
        process, self._process = self._process, None
        if process is None:
            return
        for end in (process.terminate, process.kill):
            if process.poll() is None:
                end()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                continue
            return
        raise ControlError(f"{self._program} ({process.pid}) survived SIGKILL for {_END_S} s")


@contextmanager
def open_tpm(directory: Path) -> Iterator[Tpm]:
    """Open a TPM with its state below `directory` until the end; raises LabError, MissingPrerequisite."""
    program = find_swtpm()
    state = directory / STATE_DIRECTORY
    try:
        state.mkdir(mode=0o700)
    except OSError as error:
        raise LabError(f"{state}: {error.strerror}") from error
    tpm = Tpm(state, program=program)
    try:
        yield tpm
    finally:
        try:
            tpm.unplug()
        finally:
            shutil.rmtree(state, ignore_errors=True)


def find_swtpm() -> str:
    """Return the path of swtpm; raises MissingPrerequisite if it is not installed."""
    path = shutil.which(PROGRAM, path=os.environ.get("PATH"))
    if path is None:
        raise MissingPrerequisite(PROGRAM, remedy="apt-get install swtpm")
    return path
