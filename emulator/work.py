"""Work that takes long, as a download or a build, is told here; the command line listens and shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Listener: TypeAlias = Callable[[str, str, float], None]
"""Is told of what is made, its stage, and the fraction that is done: 1 when it has ended, well or not."""

_listeners: list[Listener] = []


def tell_work(what: str, stage: str, fraction: float) -> None:
    """Tell how far the making of `what` has come; nobody need listen."""
    for listener in _listeners[-1:]:
        listener(what, stage, fraction)


@contextmanager
def working(what: str, stage: str, *, done: str = "ready") -> Iterator[list[str]]:
    """Tell that `what` is being made and how it ended: `done`, or what is added to the list yielded."""
    tell_work(what, stage, 0.0)
    said, ends = "failed", [done]
    try:
        yield ends
        said = ends[-1]
    finally:
        tell_work(what, said, 1.0)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have `listener`, and no other, told of all work in this process for the time of the `with`."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
