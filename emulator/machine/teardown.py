"""Undoing things in reverse order, each step whether or not the others succeed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")


class Teardown:
    """A stack of steps to be done on leaving the `with`.

    One failure is raised as it is, several as an ExceptionGroup. An exception that left the `with`
    is never replaced: failures of steps become notes on it.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._steps: list[Callable[[], object]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failures = self._undo()
        if error is not None:
            for failure in failures:
                error.add_note(f"{self._what} also failed: {type(failure).__name__}: {failure}")
        elif len(failures) == 1:
            raise failures[0]
        elif failures:
            raise BaseExceptionGroup(f"{self._what} failed in {len(failures)} steps", failures)

    def push(self, step: Callable[[], object]) -> None:
        """Do `step` on leaving, before all that were pushed earlier."""
        self._steps.append(step)

    def enter(self, manager: AbstractContextManager[T]) -> T:
        """Enter `manager` now and leave it on leaving."""
        value = manager.__enter__()
        self.push(lambda: manager.__exit__(None, None, None))
        return value

    def _undo(self) -> list[BaseException]:
        failures: list[BaseException] = []
        while self._steps:
            try:
                self._steps.pop()()
            except BaseException as failure:  # noqa: BLE001  # a second Ctrl-C must not skip the other steps
                failures.append(failure)
        return failures
