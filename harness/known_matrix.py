"""A matrix file against what there is: the catalog's images and the shipped scenarios."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from emulator.images import ImageStore
from harness.matrix import Matrix, load_matrix
from harness.scenarios import LIBRARY


def image_features() -> Mapping[str, frozenset[str]]:
    """Return what each image of the catalog offers.

    Raises:
        ImageError: one is not built; what it offers is known from then on.
    """
    store = ImageStore()
    return {name: store.open(name).modules for name in store.catalog.names}


def read_matrix(path: Path) -> Matrix:
    """Return the matrix in `path`.

    Raises:
        SpecError: as `load_matrix`.
        ImageError: as `image_features`.
    """
    return load_matrix(path, images=image_features(), scenarios=LIBRARY)
