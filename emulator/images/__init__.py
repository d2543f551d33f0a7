"""Guest images: a catalog, a deterministic builder and a verified store."""

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
