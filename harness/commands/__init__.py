"""One module for each command of `ttylab`, and how they print tables."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from emulator.guest_text.printable import visible


def say(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print `text` for people; no terminal obeys what a guest or a file's name put into it."""
    import typer  # noqa: PLC0415 - not every command prints

    typer.echo(visible(text, keep="\n\t"), err=err, nl=nl)


def spaced(examples: str) -> str:
    """Return help with a blank line before each indented line, without which they would be joined."""
    return re.sub(r"\n(?=  )", "\n\n", examples)


def with_options(name: str, kind: type[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what puts the fields of a dataclass in place of a command's keyword parameter `name`."""
    options = inspect.signature(kind, eval_str=True).parameters

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(command, eval_str=True)

        @functools.wraps(command)
        def run(**given: Any) -> Any:
            chosen = kind(**{one: given.pop(one) for one in options})
            return command(**given, **{name: chosen})

        own = [one for one in signature.parameters.values() if one.name != name]
        run.__signature__ = signature.replace(parameters=[*own, *options.values()])  # type: ignore[attr-defined]
        return run

    return decorate


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table without borders; long words in its last column are folded, not cut."""
    from rich.console import Console  # noqa: PLC0415 - takes as long to import as a whole command
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(*columns, box=None, pad_edge=False)
    table.columns[-1].overflow = "fold"
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    Console().print(table)
