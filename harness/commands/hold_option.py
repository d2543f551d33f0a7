"""The option with which a command keeps the guest of a cell that failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from typer import Option
from typer.core import TyperCommand

OPTION = "--hold-on-failure"
HOLD_MINUTES = "15"
"""How long a guest is held where the option says nothing else."""
Hold = Annotated[
    str,
    Option(OPTION, metavar="[=MINUTES]", help="Keep a failed guest for those who join it; default: 15."),
]


def with_minutes(args: Iterable[str]) -> list[str]:
    """Return `args` with the usual minutes for an option that says none; what follows is no value of it."""
    return [f"{OPTION}={HOLD_MINUTES}" if word == OPTION else word for word in args]


class HoldCommand(TyperCommand):
    """A command with this option, whose value may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Fill in the usual value."""
        return super().parse_args(ctx, with_minutes(args))
