"""The cache of saved states: each made once under a lock, and checked before it is used."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from emulator.clock import Deadline
from emulator.errors import SavedStateError
from emulator.images.store import default_root as images_root
from emulator.machine.machine import Machine
from emulator.machine.probe import Choice
from emulator.machine.qemu_binary import QemuBinary
from emulator.states.making import Making, make_maker, make_state
from emulator.states.pruning import list_states, remove_states, surplus
from emulator.states.request import StateRequest
from emulator.states.state import MANIFEST, SavedState

_PARTIAL = ".partial"


def default_root() -> Path:
    """Return the cache's directory when none is given: beside that of the images."""
    return images_root().parent / "states"


@dataclass
class StateStore:
    """A directory of states; any number of processes and threads may use it at once.

    Attributes:
        root: the directory.
        qemu: the program that makes and loads states.
        refused: why states that were found were made anew, by key; for reports.
    """

    root: Path
    qemu: QemuBinary
    refused: dict[str, str] = field(default_factory=dict)
    _open: dict[str, SavedState] = field(default_factory=dict)

    def ensure(
        self,
        request: StateRequest,
        choice: Choice,
        reach: Callable[[Machine, Deadline], None],
        deadline: Deadline,
    ) -> SavedState:
        """Return the state of `request`, made first if it is not there or not whole.

        Who comes second waits for who makes it.

        Args:
            request: the state.
            choice: who executes guest code.
            reach: brings a machine that was just powered on to the stage.
            deadline: when to give up waiting and making.

        Raises:
            SavedStateError: it can't be made: the text says why.
            MissingPrerequisite: something it takes is not installed.
            EmulatorError: what `reach` raises.
        """
        maker, key = make_maker(request, self.qemu, choice)
        found = self._find(key, request)
        if found is not None:
            return found
        with self._locked(key, deadline):
            found = self._find(key, request)
            if found is not None:
                return found
            self._clear(key)
            making = Making(request=request, key=key, maker=maker, qemu=self.qemu, choice=choice)
            partial = self.root / f".{key}.{os.getpid()}{_PARTIAL}"
            try:
                make_state(making, partial, reach, deadline)
                partial.rename(self.root / key)
            except OSError as error:
                raise SavedStateError(
                    f"state {key}: {error.filename or partial}: {error.strerror}"
                ) from error
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            state = self._opened(key, request)
        remove_states(self.root, surplus(list_states(self.root)))
        return state

    def _find(self, key: str, request: StateRequest) -> SavedState | None:
        known = self._open.get(key)
        if known is not None and known.is_whole():
            return known
        self._open.pop(key, None)
        if not (self.root / key / MANIFEST).is_file():
            return None
        try:
            return self._opened(key, request)
        except SavedStateError as error:
            self.refused[key] = str(error)
            return None

    def _opened(self, key: str, request: StateRequest) -> SavedState:
        state = SavedState.open(self.root / key, request)
        self._open[key] = state
        return state

    @contextmanager
    def _locked(self, key: str, deadline: Deadline) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(self.root / f"{key}.lock", timeout=deadline.remaining()):
                yield
        except Timeout as error:
            raise SavedStateError(
                f"state {key}: another process makes it, and did not end in time"
            ) from error

    def _clear(self, key: str) -> None:
        """Remove a state that is not whole, and what killed makers left; under the key's lock."""
        shutil.rmtree(self.root / key, ignore_errors=True)
        for left in self.root.glob(f".{key}.*{_PARTIAL}"):
            shutil.rmtree(left, ignore_errors=True)
