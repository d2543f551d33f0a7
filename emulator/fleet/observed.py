"""The observed effect of a stimulus; clients of a service need this of a fleet and nothing more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The observed effect of a stimulus (docs/facts/qemu.md 4).

    Attributes:
        seen: whether the expected effect came before the timeout; None if a service does not say.
        evidence: the guest's own words or QEMU's event, escaped; "" if there is none.
        refused: whether the evidence is the guest's refusal; then no effect was seen.
    """

    seen: bool | None
    evidence: str = ""
    refused: bool = False

    @property
    def unseen(self) -> str:
        """What to call it if no effect was seen."""
        return "the guest refused" if self.refused else "no effect seen"
