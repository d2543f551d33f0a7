"""Linux images as values, without files."""

from collections.abc import Mapping
from pathlib import Path

from emulator.images.image import Image


def linux_image(
    name: str = "bookworm", *, sha256: Mapping[str, str] | None = None, directory: Path | None = None
) -> Image:
    """Return an image whose files are nowhere, or in `directory`."""
    return Image(
        name=name,
        suite=name,
        flavour="cloud",
        kernel_request="newest",
        kernel_version="6.1.1-1",
        kernel_release="6.1.0-1-cloud-amd64",
        modules=(),
        packages=(),
        recipe="0" * 64,
        sha256=sha256 or {},
        directory=directory or Path("/nowhere") / name,
    )
