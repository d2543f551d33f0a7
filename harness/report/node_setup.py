"""The npm packages of the reports; `python -m harness.report.node_setup` installs them."""

from __future__ import annotations

import sys
from pathlib import Path

from emulator.node_packages import NodePackages

PACKAGES = NodePackages(
    sources=Path(__file__).parent / "node",
    what="the report's npm packages",
    module="harness.report.node_setup",
)


def node_modules() -> Path | None:
    """Return the directory of the installed packages, or None; never installs anything."""
    return PACKAGES.find()


def main() -> int:
    """Install the packages; return an exit code."""
    return PACKAGES.set_up()


if __name__ == "__main__":
    sys.exit(main())
