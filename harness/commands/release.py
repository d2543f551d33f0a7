"""`ttylab release`: let go of a machine that `--hold-on-failure` holds."""

from __future__ import annotations

from typing import Annotated

from typer import Argument

from harness.commands import say

EXAMPLES = """Examples:
  ttylab release nmi-panic        the held cell whose id contains it
  ttylab attach --list            what is running, and what is held
"""


def release(
    name: Annotated[str, Argument(help="The held cell's id or a part of it, or the machine's id.")] = "",
) -> None:
    """End a machine that a run holds since its cell failed."""
    from harness.terminal.by_hand import ask, find_machine  # noqa: PLC0415

    entry = find_machine(name)
    ask(entry, {"do": "release"})
    say(f"{entry.label} ({entry.id}) is released")
