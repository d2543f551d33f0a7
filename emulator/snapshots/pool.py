"""A pool of machines that are loaded and paused, so that taking one needs no waiting for a start."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from emulator.clock import Deadline
from emulator.errors import DeadlineExceeded, LabError, MachineGone, SpecError, StateError
from emulator.machine.bench import Teardown
from emulator.machine.machine import START_S, Machine, open_machine
from emulator.machine.probe import Choice
from emulator.machine.qemu_binary import QemuBinary
from emulator.snapshots.snapshot import Snapshot

SIZE_MOST = 16
"""How many machines may wait in a pool; a waiting Linux fork takes about 20 MiB of memory of its own."""
JOIN_S = 60.0
"""Seconds that opening a machine may take; after that the pool can't be closed cleanly."""


@contextmanager
def open_fork(
    snapshot: Snapshot, *, run_dir: Path, qemu: QemuBinary, accelerator: Choice
) -> Iterator[Machine]:
    """Open a fork of `snapshot`, loaded and paused, to fill pools with; raises as `open_machine`."""
    spec, origin = snapshot.fork(name=f"{snapshot.manifest.label}-fork", seed=None)
    with open_machine(
        spec, run_dir=run_dir, qemu=qemu, accelerator=accelerator, start=False, origin=origin
    ) as machine:
        machine.power_on(Deadline.after(START_S), runs=False)
        yield machine


@contextmanager
def open_pool(
    open_one: Callable[[], AbstractContextManager[Machine]], *, size: int = 2
) -> Iterator[MachinePool]:
    """Open a pool for the time of the `with`; at the end all its machines have ended, taken or not.

    Args:
        open_one: opens a machine that is loaded and paused (`open_fork`). It is called and entered on a
            thread of the pool, one call at a time, and must give up by itself if it takes too long.
        size: how many machines wait, 1 to 16.

    Raises:
        SpecError: `size` is out of range.
        LabError: at the end, a machine could not be ended.
    """
    if not 1 <= size <= SIZE_MOST:
        raise SpecError(f"size of a pool is {size}; allowed: 1 to {SIZE_MOST}")
    with Teardown("closing the pool") as teardown:
        pool = MachinePool(open_one, size=size)
        teardown.push(pool.close)
        pool.start()
        yield pool


class _Held:
    """A machine of a pool; only the first call of `end` ends it."""

    def __init__(self, opened: AbstractContextManager[Machine]) -> None:
        self._opened = opened
        self._ending = threading.Lock()
        self._ended = False
        self.machine = opened.__enter__()

    def end(self) -> None:
        with self._ending:
            if not self._ended:
                self._ended = True
                self._opened.__exit__(None, None, None)


class MachinePool:
    """Waiting machines; made by `open_pool`. Any thread may take one."""

    def __init__(self, open_one: Callable[[], AbstractContextManager[Machine]], *, size: int) -> None:
        self._open_one = open_one
        self._size = size
        self._changed = threading.Condition()
        self._waiting: deque[_Held] = deque()
        self._taken: set[_Held] = set()
        self._failure: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._refill, name="pool", daemon=False)

    @contextmanager
    def take(self, deadline: Deadline) -> Iterator[Machine]:
        """Yield a running machine for the time of the `with`; it ends with the `with`, or with the pool.

        Raises:
            StateError: the pool is closed, or gets closed meanwhile.
            MachineGone: the machine ended while it waited.
            DeadlineExceeded: none was ready by then.
            Exception: what opening a machine raised; the pool then tries again for the next call.
        """
        with Teardown("ending a machine of the pool") as teardown:
            held = self._next(deadline)
            teardown.push(lambda: self._give_back(held))
            if (ended := held.machine.exit) is not None:
                reason = f"a machine of the pool ended while it waited: {ended.reason}"
                raise MachineGone(reason, exit_code=ended.code)
            held.machine.resume(deadline)
            yield held.machine

    def start(self) -> None:
        """Begin to fill the pool."""
        self._thread.start()

    def close(self) -> None:
        """Stop refilling and end every machine, or raise LabError; waiting calls of `take` raise."""
        with Teardown("ending the machines of a pool") as teardown:
            with self._changed:
                self._closed = True
                for held in (*self._waiting, *self._taken):
                    teardown.push(held.end)
                self._waiting.clear()
                self._changed.notify_all()
            teardown.push(self._join)  # runs first, so that no further machine is opened

    def _next(self, deadline: Deadline) -> _Held:
        with self._changed:
            while not self._waiting:
                if self._closed:
                    raise StateError("the pool is closed")
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    self._changed.notify_all()
                    raise failure
                if (remaining := deadline.remaining()) <= 0:
                    raise DeadlineExceeded("no machine of the pool was ready in time")
                self._changed.wait(remaining)
            held = self._waiting.popleft()
            self._taken.add(held)
            self._changed.notify_all()
            return held

    def _give_back(self, held: _Held) -> None:
        with self._changed:
            self._taken.discard(held)
        held.end()

    def _refill(self) -> None:
        """Keep the pool full; after a failure only once a caller of `take` has got it."""
        while True:
            with self._changed:
                while not self._closed and (len(self._waiting) >= self._size or self._failure is not None):
                    self._changed.wait()
                if self._closed:
                    return
            try:
                held = _Held(self._open_one())
            except BaseException as failure:  # noqa: BLE001  # `take` raises it
                with self._changed:
                    self._failure = failure
                    self._changed.notify_all()
                continue
            if not self._keep(held):
                held.end()

    def _keep(self, held: _Held) -> bool:
        with self._changed:
            if not self._closed:
                self._waiting.append(held)
                self._changed.notify_all()
            return not self._closed

    def _join(self) -> None:
        if self._thread.ident is None:
            return  # it was never started
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            raise LabError(f"a machine of the pool was not opened within {JOIN_S} s; it is left behind")
