"""Whether the host has what guests need: QEMU, OVMF, images, an accelerator."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from emulator.clock import Clock
from emulator.errors import EmulatorError
from emulator.images import ImageStore
from emulator.machine.firmware import find_ovmf
from emulator.machine.probe import choose_accelerator
from emulator.machine.qemu_binary import find_qemu
from emulator.machine.spec import Accelerator, MachineType

AGAIN_S = 5.0
"""How long an answer is taken for the present state, in seconds."""


class Readiness:
    """Looks for prerequisites; `find_problems` blocks, for 4 s where the accelerator is probed first."""

    def __init__(self, store: ImageStore, *, images: Iterable[str], clock: Clock) -> None:
        self._store = store
        self._images = tuple(sorted(images))
        self._clock = clock
        self._probed = False
        self._known: tuple[float, list[str]] | None = None

    def find_problems(self) -> list[str]:
        """Return what is missing, each with what mends it; remembered for AGAIN_S."""
        now = self._clock.monotonic()
        if self._known is None or now - self._known[0] > AGAIN_S:
            checks: list[Callable[[], object]] = [self._check_machine, find_ovmf]
            checks += [self._image_check(name) for name in self._images]
            self._known = (now, [text for check in checks if (text := _complaint(check))])
        return list(self._known[1])

    def _check_machine(self) -> None:
        qemu = find_qemu()
        if self._probed:
            return
        for machine in (MachineType.PC, MachineType.Q35):
            choose_accelerator(Accelerator.AUTO, qemu=qemu, machine=machine, clock=self._clock)
        self._probed = True

    def _image_check(self, name: str) -> Callable[[], object]:
        return lambda: self._store.open(name)


def _complaint(check: Callable[[], object]) -> str | None:
    try:
        check()
    except EmulatorError as error:
        return str(error)
    except OSError as error:
        return f"the accelerator can't be probed: {error.strerror}"
    return None
