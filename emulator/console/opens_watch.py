"""Learn when somebody opens or closes a file, without asking again and again (inotify(7))."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

_OPEN = 0x20  # IN_OPEN
_CLOSE = 0x18  # IN_CLOSE_WRITE | IN_CLOSE_NOWRITE
_EVENT = struct.Struct("iIII")  # struct inotify_event without its name; a watched file has none


class OpensWatch:
    """An inotify descriptor on one file; not thread-safe."""

    def __init__(self, path: Path) -> None:
        """Begin to watch `path`.

        Raises:
            OSError: the kernel has no inotify for it, or none left.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        if libc.inotify_add_watch(self._descriptor, os.fsencode(path), _OPEN | _CLOSE) < 0:
            os.close(self._descriptor)
            raise OSError(ctypes.get_errno(), "inotify_add_watch", str(path))

    def fileno(self) -> int:
        """Return the descriptor, readable when something happened."""
        return self._descriptor

    def read(self) -> list[int]:
        """Return +1 for openings and -1 for closings since the last call; equal neighbours may be one."""
        try:
            data = os.read(self._descriptor, 65536)
        except BlockingIOError:
            return []
        changes, position = [], 0
        while position < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, position)
            position += _EVENT.size + length
            if mask & (_OPEN | _CLOSE):
                changes.append(1 if mask & _OPEN else -1)
        return changes

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)
