"""Busy processes beside a repetition, gone with it whatever happens."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from emulator.errors import LaunchError
from emulator.machine.process import parent_death_words

_BUSY = '[ "$PPID" = "$1" ] || exit; while :; do :; done'
"""Whose parent died before the kernel was told to kill it has another one by now, and ends."""


@contextmanager
def host_load(count: int) -> Iterator[tuple[int, ...]]:
    """Keep `count` processes busy, of ordinary niceness; yield their pids.

    They die with the thread that calls this, as QEMU does.

    Raises:
        MissingPrerequisite: setpriv is not installed.
        LaunchError: the kernel refused; none is left.
    """
    words = (*parent_death_words(), *busy_words(os.getpid())) if count else ()
    with ExitStack() as stack:
        pids = []
        for _ in range(count):
            child = _spawn(words)
            stack.callback(child.wait)
            stack.callback(child.kill)
            pids.append(child.pid)
        yield tuple(pids)


def busy_words(parent: int) -> tuple[str, ...]:
    """Return a program that is busy for ever, if it is a child of the process `parent`."""
    return ("sh", "-c", _BUSY, "ttylab-load", str(parent))


def _spawn(words: tuple[str, ...]) -> subprocess.Popen[bytes]:
    try:
        # In a group of its own: Ctrl-C at our terminal is for us alone.
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, process_group=0, env={}
        )
    except OSError as error:
        raise LaunchError(
            f"a busy process could not be started: {error.strerror}", argv=words, exit_code=None, stderr=b""
        ) from error
