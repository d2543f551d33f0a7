"""Ask a QEMU how it can keep RAM."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from emulator.clock import Deadline
from emulator.machine.bounded import run_bounded
from emulator.machine.qemu_binary import QemuBinary
from emulator.states.file_facts import identity
from emulator.states.manifest import Method

BOUND_S = 10.0
_ASK = b'{"execute":"qmp_capabilities"}{"execute":"query-migrate-capabilities"}{"execute":"quit"}\n'


def choose_method(qemu: QemuBinary) -> Method:
    """Return the best way in which `qemu` can keep RAM; asked once in a process for each program.

    A QEMU that does not answer gets the way that needs nothing of it.
    """
    return _asked(qemu.path, identity(qemu.path))


@lru_cache(maxsize=8)
def _asked(program: Path, _identity: tuple[int, ...]) -> Method:
    words = (str(program), "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none")
    answer = run_bounded([*words, "-qmp", "stdio"], deadline=Deadline.after(BOUND_S), feed=_ASK)
    return Method.SHARED_RAM if b'"x-ignore-shared"' in answer.stdout else Method.STREAM
