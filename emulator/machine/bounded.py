"""Run a short program that may hang, crash or talk for ever, and be back by a deadline."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from emulator.clock import Deadline

_REAP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a program ended.

    Attributes:
        exit_code: exit code, negative for a signal, None if the deadline ended it.
        stdout: what it wrote.
        stderr: what it wrote.
    """

    exit_code: int | None
    stdout: bytes
    stderr: bytes


def run_bounded(argv: Sequence[str], *, deadline: Deadline, feed: bytes = b"") -> Finished:
    """Run `argv` with `feed` as its input until it ends or the deadline comes, then kill it and its children.

    It dies with the calling thread too (PDEATHSIG), so an interrupted test leaves nothing behind.

    Raises:
        OSError: `setpriv` can't be started; a missing program of yours is exit code 127.
    """
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(feed, timeout=deadline.remaining())
    except subprocess.TimeoutExpired:
        return _killed(process)
    except BaseException:
        _killed(process)
        raise
    return Finished(exit_code=process.returncode, stdout=stdout, stderr=stderr)


def _killed(process: subprocess.Popen[bytes]) -> Finished:
    # The whole session: a child that inherited the pipes would keep us reading.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        stdout, stderr = process.communicate(timeout=_REAP_S)
    except subprocess.TimeoutExpired as stuck:
        # In the kernel, for good: nothing can reap it now, and init will when we end.
        stdout, stderr = stuck.stdout or b"", stuck.stderr or b""
    return Finished(exit_code=None, stdout=stdout, stderr=stderr)
