"""The cloud that `ttylab serve` has without a file: issue part 1's demo, shipped as the TOML to copy."""

from __future__ import annotations

import tomllib
from importlib import resources

from emulator.cloud.config import CloudConfig
from emulator.toml_file import parse_table

DEMO_FILE = "demo.toml"


def demo_text() -> str:
    """Return the demo's cloud.toml as it is shipped."""
    return resources.files("emulator.cloud").joinpath(DEMO_FILE).read_text(encoding="utf-8")


def demo_config() -> CloudConfig:
    """Return the demo's tables."""
    return parse_table(tomllib.loads(demo_text()), CloudConfig, origin=DEMO_FILE)
