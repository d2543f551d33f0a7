"""Guest images: a catalog, a deterministic builder and a verified store.

Names are loaded when first used: who asks the catalog must not pay for the builder.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.images.catalog import Catalog, CatalogEntry, load_catalog
    from emulator.images.image import Image
    from emulator.images.package import Package, Progress
    from emulator.images.store import ImageStore, default_root, ensure_image

__all__ = [
    "Catalog",
    "CatalogEntry",
    "Image",
    "ImageStore",
    "Package",
    "Progress",
    "default_root",
    "ensure_image",
    "load_catalog",
]

_HOMES = {
    "catalog": ("Catalog", "CatalogEntry", "load_catalog"),
    "image": ("Image",),
    "package": ("Package", "Progress"),
    "store": ("ImageStore", "default_root", "ensure_image"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a public name from the module that defines it (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
