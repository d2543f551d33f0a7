"""Progress on standard error, where the reader may have left (`ttylab … 2>&1 | head`) or the disk be full."""

from __future__ import annotations

from typing import Any

from rich.console import Console


class ProgressOutput(Console):
    """Standard error for progress: once it can't be written there is no more, and the work goes on."""

    def __init__(self) -> None:
        super().__init__(stderr=True, highlight=False)

    def on_broken_pipe(self) -> None:
        """Say nothing more."""
        self.quiet = True

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `Console.print`, if anything still can be printed."""
        try:
            super().print(*objects, **options)
        except OSError:
            self.quiet = True
