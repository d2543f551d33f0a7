"""How this process was called: the commands that are printed for people run as they are printed."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

PROGRAM = "TTYLAB_PROGRAM"
"""Variable by which workers know how the command that started them was called, in a shell's words."""
CALLED = "TTYLAB_CALLED"
"""Variable of the launcher: its pid, which its exec keeps, and the name by which it was called."""


def called(*words: str) -> str:
    """Return the command line that calls this program with `words`."""
    name = os.environ.get(PROGRAM) or name_of(sys.argv[:1])
    return f"{name} {shlex.join(words)}" if words else name


def note_call() -> None:
    """Note for this process and what it starts how it was called."""
    pid, _, launcher = os.environ.pop(CALLED, "").partition(" ")
    os.environ[PROGRAM] = name_of(
        [launcher] if pid in {str(os.getpid()), str(os.getppid())} else sys.argv[:1]
    )


def name_of(argv: Sequence[str]) -> str:
    """Return what to type for the program that was started as `argv`: `ttylab` if PATH leads there.

    Otherwise it is the file as it was called, relative to the working directory; `python -m harness` and
    pytest have no file of their own, and Python is named.
    """
    found = shutil.which("ttylab")
    file = Path(argv[0]) if argv and argv[0] else None
    if file is not None and file.name == "ttylab" and file.exists():
        if found is not None and Path(found).samefile(file):
            return "ttylab"
        return shlex.quote(str(file) if "/" in str(file) else f"./{file}")
    if found is not None and (file is None or file.name != "__main__.py"):
        return "ttylab"
    return f"{_python()} -m harness"


def _python() -> str:
    """Return Python as one types it: by name if that is the same environment's, else by path."""
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found is not None and Path(found).parent == Path(sys.executable).parent:
            return name
    return shlex.quote(sys.executable)
