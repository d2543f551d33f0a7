"""The slot of one machine: threads may start, stop and close it at the same time."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from pathlib import Path

from emulator.clock import Clock, Deadline
from emulator.console.transcript import Transcript
from emulator.errors import ConsoleClosed, StateError
from emulator.machine.machine import Machine, open_machine
from emulator.machine.power import LAST_WORDS_S, MachineState
from emulator.machine.spec import MachineSpec

START_S = 30.0
STOP_S = 5.0


class MachineSlot:
    """Holds no machine at first, then one until its spec changes; every call may block.

    Attributes:
        transcript: what the consoles of all its machines are written to.
        machine: the present or last machine; None before the first start.
    """

    def __init__(self, transcript: Transcript, *, run_dir: Path, clock: Clock, label: str) -> None:
        self.transcript = transcript
        self.machine: Machine | None = None
        self._run_dir = run_dir
        self._clock = clock
        self._label = label
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._closed = False

    @property
    def is_on(self) -> bool:
        """Whether a machine is running; never blocks."""
        machine = self.machine
        return machine is not None and machine.state is not MachineState.OFF

    def start(self, spec: MachineSpec) -> None:
        """Power on a machine of `spec`; one that is on is left alone.

        After a failure it is off, and the next call starts afresh.

        Raises:
            ConsoleClosed: the slot is closed.
            MissingPrerequisite: QEMU, its firmware or setpriv is not installed.
            LaunchError, MachineGone: QEMU did not start.
            LabError: a directory or the ledger can't be written.
        """
        with self._lock:
            if self._closed:
                raise ConsoleClosed(f"{self._label} is gone")
            if self.is_on:
                return
            machine = self._machine_of(spec)
            # A byte typed while the last QEMU was ending must not reach this one.
            machine.console.detach_far_end(Deadline.after(LAST_WORDS_S, self._clock))
            machine.power_on(Deadline.after(START_S, self._clock))

    def stop(self) -> None:
        """Cut the power if it is on; raises ControlError if the process survived even SIGKILL."""
        with self._lock:
            machine = self.machine
            if machine is not None and self.is_on:
                with suppress(StateError):  # it has just ended by itself
                    machine.power_off(Deadline.after(STOP_S, self._clock))

    def close(self) -> None:
        """End the machine for good, even one that is being started; calling it again does nothing.

        Raises:
            LabError, ExceptionGroup: a part of the machine could not be ended.
        """
        self._closed = True  # a start that is waiting for the lock gives up
        with self._lock:
            self._stack.close()

    def _machine_of(self, spec: MachineSpec) -> Machine:
        if self.machine is not None and self.machine.spec != spec:
            self.machine = None
            self._stack.close()
        if self.machine is None:
            self.machine = self._stack.enter_context(
                open_machine(
                    spec,
                    run_dir=self._run_dir,
                    clock=self._clock,
                    label=self._label,
                    transcript=self.transcript,
                    start=False,
                )
            )
        return self.machine
