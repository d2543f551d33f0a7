"""Fixtures of the clients of others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.lab import CloudLab, open_cloud_lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CloudLab]:
    """The demo cloud, with guests in memory."""
    with open_cloud_lab(tmp_path) as lab:
        yield lab
