"""A matrix file against what there is: the catalog's images, the user's Windows, the shipped scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emulator.images import load_catalog
from emulator.images.sac.image import SAC_IMAGES, sac_features
from emulator.images.windows.registry import WindowsRegistry
from harness.cells.matrix import Matrix, load_matrix
from harness.scenarios import LIBRARY


def shipped_features() -> Mapping[str, frozenset[str]]:
    """Return what each image that ttylab ships offers, Linux and SAC guests; nothing need be built."""
    linux = {name: entry.offers for name, entry in load_catalog().entries.items()}
    return linux | {name: sac_features(name) for name in SAC_IMAGES}


def image_features() -> Mapping[str, frozenset[str]]:
    """Return what each image offers, those of the user's Windows included.

    Raises:
        ImageError: the registry of the user's images is damaged.
    """
    windows = {name: image.features for name, image in WindowsRegistry().images().items()}
    return windows | dict(shipped_features())


def read_matrix(path: Path) -> Matrix:
    """Return the matrix in `path`.

    Raises:
        SpecError: as `load_matrix`.
    """
    return load_matrix(path, images=image_features(), scenarios=LIBRARY)
