"""What ttylab brings along besides its modules: the matrices, and the templates for CI in `ci/`."""

from __future__ import annotations

from pathlib import Path

DEFAULT_MATRIX = Path("ci/push.toml")
"""What `ttylab run` plays where nothing else is named."""


def shipped(name: str = "") -> Path:
    """Return a file of ttylab's `ci/`, to read: in a checkout that folder, else the copy in the wheel."""
    checkout = Path(__file__).parents[2]
    packed = Path(__file__).parents[1] / "data"
    return (packed if packed.is_dir() else checkout) / "ci" / name


def find_matrix(given: Path) -> Path:
    """Return the matrix file that `given` means.

    That is the file of that path; where there is none, the matrix that ttylab ships under that name: "push",
    "nightly.toml" and "ci/service.toml" are names too. Whatever else is given is returned as it is.
    """
    if given.exists() or given.parent not in {Path(), Path("ci")} or given.suffix not in {"", ".toml"}:
        return given
    own = shipped(f"{given.stem}.toml")
    return own if own.is_file() else given
