"""A console that is a real shell of this host on a real terminal: a guest's shell without a guest."""

import os
import pty
import select
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory

from emulator.clock import Deadline
from emulator.console.transcript import Transcript
from emulator.errors import ConsoleClosed

_RAW_BYTES = 4095  # what a terminal takes at once


class LocalShell:
    """A channel whose far end is a child of ours; see `emulator.console.channel.Channel`."""

    def __init__(self, transcript: Transcript, descriptor: int) -> None:
        self.transcript = transcript
        self.descriptor = descriptor

    def write(self, data: bytes, deadline: Deadline) -> None:
        self.transcript.append_typed(data)
        while data:
            if not select.select([], [self.descriptor], [], deadline.remaining())[1]:
                raise ConsoleClosed(f"{self.transcript.name}: the shell reads no more")
            data = data[os.write(self.descriptor, data[:_RAW_BYTES]) :]

    def pump(self) -> None:
        """Read until the far end is gone."""
        with suppress(OSError):  # a terminal's end shows as EIO
            while data := os.read(self.descriptor, 65536):
                self.transcript.append(data)
        self.transcript.close("the shell has ended")


@contextmanager
def open_local_shell(
    argv: Sequence[str], *, environment: Mapping[str, str] | None = None, columns: int = 80
) -> Iterator[LocalShell]:
    """Run `argv` on a terminal of `columns` columns, with `environment` beside PATH, TERM and a HOME."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as home:  # a shell that is killed may write yet
        settings = {"PATH": os.environ["PATH"], "TERM": "vt220", "HOME": home, "LC_ALL": "C.UTF-8"}
        with _open_shell(argv, settings | dict(environment or {}), columns=columns) as shell:
            yield shell


@contextmanager
def _open_shell(argv: Sequence[str], environment: dict[str, str], *, columns: int) -> Iterator[LocalShell]:
    child, descriptor = pty.fork()
    if child == 0:  # pragma: no cover  # another process
        termios.tcsetwinsize(0, (24, columns))
        os.execvpe(argv[0], argv, environment)
    transcript = Transcript(name=argv[0])
    shell = LocalShell(transcript, descriptor)
    thread = threading.Thread(target=shell.pump)
    thread.start()
    try:
        yield shell
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, 9)
        os.waitpid(child, 0)
        thread.join()
        os.close(descriptor)
