"""Faults of the live service, injected on purpose and in a fixed order; off unless asked for."""

from __future__ import annotations

from emulator.cloud.settings import Fault, Settings


class Faults:
    """Decides, call by call, whether a fault strikes now."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._trusts = 0
        self._connects = 0

    def refuses_trust(self) -> bool:
        """Tell whether a good token is refused: every other one is (azure.md 3, F5)."""
        if Fault.REFUSED_TRUST not in self._settings.faults:
            return False
        self._trusts += 1
        return self._trusts % 2 == 1

    def conflicts(self) -> bool:
        """Tell whether a connect finds another in progress: every other one does."""
        if Fault.CONFLICT not in self._settings.faults:
            return False
        self._connects += 1
        return self._connects % 2 == 1

    def stays_silent(self) -> bool:
        """Tell whether a connect gets no answer in time (azure.md 8, text 14)."""
        return Fault.NO_RESPONSE in self._settings.faults

    def first_frame_delay_s(self) -> float:
        """Return how late a link's first frame is, seconds."""
        return self._settings.late_frame_s if Fault.LATE_FIRST_FRAME in self._settings.faults else 0.0

    def drops_after_s(self) -> float | None:
        """Return when a link is cut, seconds after trust, or None."""
        return self._settings.drop_after_s if Fault.DROPPED_LINK in self._settings.faults else None
