"""Guests that stay when their cell has failed, for people to join, until released or time is over."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

from emulator.clock import SYSTEM_CLOCK, Clock, Deadline, utc_now
from emulator.console.marks import MarkKind
from emulator.console.transcript import DirectorySink
from emulator.errors import EmulatorError, SpecError
from emulator.files import make_missing
from emulator.machine.host import read_host_budget
from emulator.machine.ledger import Entry, list_machines
from emulator.machine.machine import Machine
from emulator.machine.power import MachineState
from emulator.program import called
from harness.snapshots.lab import CELL_MIB

HELD = "held"
"""Directory of a run in which its processes tell each other which guests are held."""
BY_HAND = "by-hand"
"""Directory within a cell's for the whole transcript of a held guest, with what people typed."""
MINUTES_MOST = 24 * 60.0
HELD_MOST = 4
"""Guests that one run holds at once; each costs memory, and a core where its kernel spins."""
_OVER = "over"
_LOOK_S = 0.2


def parse_minutes(text: str) -> float:
    """Return the minutes that an option says; raises SpecError if it says none."""
    with suppress(ValueError):
        if 0 < (minutes := float(text)) <= MINUTES_MOST:
            return minutes
    raise SpecError(
        f"--hold-on-failure={text}: need minutes, up to {MINUTES_MOST:g}, as --hold-on-failure=30"
    )


class Holding:
    """What one process holds of a run.

    Attributes:
        minutes: how long each guest is held.
        most: guests that the run holds at once.
        place: the directory in which all processes of the run tell each other what is held.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        minutes: float,
        is_worker: bool,
        most: int = HELD_MOST,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Hold guests of the run in `run_dir`; a worker lets go as soon as its parent has died."""
        self.minutes = minutes
        self.most = most
        self.place = run_dir / HELD
        self._parent = os.getppid() if is_worker else None
        self._clock = clock
        self._held: list[tuple[threading.Thread, threading.Event]] = []

    def hold(self, name: str, machine: Machine | None, directory: Path, stack: ExitStack) -> tuple[str, ...]:
        """Take an open machine over from `stack`, or leave it there; return how to join it, or why not.

        `name` is what people may call it, its label or a part of it, or its id. Its transcript in `directory`
        ends here.
        """
        if machine is None:
            port = called("attach", "--port")
            return (f"not held: only a machine of ttylab's own is; a port stays as it is: {port}",)
        if machine.state is MachineState.OFF:
            return ("not held: its machine is off",)
        try:
            if (slot := self._claim()) is None:
                return (f"not held: {self.most} of the run are held already, or memory is short",)
            sink = DirectorySink(directory / BY_HAND, console="ttyS0")
        except OSError as error:
            return (f"not held: {error}",)
        machine.transcript.keep_in(sink, HELD)
        machine.transcript.mark(MarkKind.LAB, HELD, {"minutes": self.minutes})
        guest, released = stack.pop_all(), threading.Event()
        guest.callback(shutil.rmtree, slot, ignore_errors=True)
        machine.on_release = released.set
        thread = threading.Thread(target=self._keep, args=(guest, released), name="held")
        thread.start()
        self._held.append((thread, released))
        return self._joins(name)

    def wait(self, interrupted: Callable[[], bool]) -> None:
        """Wait until nothing is held here any more, or let go of all once `interrupted()`, or by Ctrl-C."""
        while any(thread.is_alive() for thread, _ in self._held):
            try:
                if interrupted():
                    self.release()
                self._clock.sleep(_LOOK_S)
            except KeyboardInterrupt:
                self.release()

    def release(self) -> None:
        """Let go of all that the run holds, in every process, and hold nothing any more."""
        with suppress(OSError):
            make_missing(self.place)
            (self.place / _OVER).touch()
        for _, released in self._held:
            released.set()

    def close(self) -> None:
        """Let go of all that the run holds, and wait until what this process holds has ended."""
        self.release()
        self.wait(lambda: False)
        shutil.rmtree(self.place, ignore_errors=True)

    def entries(self) -> tuple[Entry, ...]:
        """Return the machines of the run that are held, by any of its processes."""
        cells = self.place.parent
        return tuple(one for one in list_machines() if Path(one.run_dir).is_relative_to(cells))

    def _claim(self) -> Path | None:
        """Return a directory that stands for one held guest; None where there are enough."""
        make_missing(self.place)
        if (self.place / _OVER).exists() or read_host_budget().memory_mib < 2 * CELL_MIB:
            return None
        for number in range(self.most):
            with suppress(FileExistsError):
                (self.place / str(number)).mkdir()
                return self.place / str(number)
        return None

    def _keep(self, stack: ExitStack, released: threading.Event) -> None:
        limit = Deadline.after(60 * self.minutes, self._clock)
        while not (limit.expired() or self._is_over()):
            if released.wait(_LOOK_S):
                break
        with suppress(EmulatorError):  # what can't be ended now `ttylab gc` ends
            stack.close()

    def _is_over(self) -> bool:
        orphaned = self._parent is not None and os.getppid() != self._parent
        return orphaned or (self.place / _OVER).exists()

    def _joins(self, name: str) -> tuple[str, ...]:
        until = utc_now() + timedelta(minutes=self.minutes)
        return (
            f"held until {until:%H:%M:%S} UTC ({self.minutes:g} min)",
            called("attach", name, "--write"),
            called("attach", name, "--gdb"),
            called("qmp", name, "query-status"),
            called("dump", name, "FILE"),
            called("release", name),
        )
