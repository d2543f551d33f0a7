"""Fixtures of the clients of others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.lab import CloudLab, open_cloud_lab


@pytest.fixture(scope="session", autouse=True)
def own_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the authority of the tests' services out of the user's directories."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TTYLAB_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[CloudLab]:
    """The demo cloud, with guests in memory."""
    with open_cloud_lab(tmp_path) as lab:
        yield lab
