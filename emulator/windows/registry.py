"""Where a user's Windows images are registered: one JSON file outside any checkout, for its owner only.

Only paths are kept. Base images that ttylab installed lie beside it in `bases/`; forgetting one deletes it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emulator import places
from emulator.errors import FileError, ImageError, LockHeld, SpecError
from emulator.files import hold_lock, read_whole, write_whole
from emulator.machine.disk_files import require_own_disk
from emulator.program import called
from emulator.values import json_ready, load_json
from emulator.windows.image import FileIdentity, Level, WindowsImage

FORMAT: Literal[1] = 1
REGISTRY = "images.json"
BASES = "bases"
_END = 1 << 20
_REGISTRY_MOST = 16 << 20
_LOCK_BOUND_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _RegistryFile:
    format: Literal[1] = FORMAT
    images: tuple[WindowsImage, ...]


class WindowsRegistry:
    """The registered images, in a directory (`places.windows()`) that is made for the first of them."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or places.windows()).absolute()
        self.bases = self.root / BASES

    def images(self) -> Mapping[str, WindowsImage]:
        """Return what is registered, by name; the files are not looked at. Raises ImageError."""
        path = self.root / REGISTRY
        try:
            text = read_whole(path, most=_REGISTRY_MOST)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ImageError(f"{path}: can't be read: {error}") from error
        try:
            found = load_json(text, _RegistryFile, origin=str(path), whole=True).images
        except SpecError as error:
            remedy = "repair or remove it, and register the images again"
            raise ImageError(f"{path}: damaged; {remedy}: {error}") from None
        return {image.name: image for image in found}

    def open(self, name: str) -> WindowsImage:
        """Return an image; raises SpecError if there is none, or its file is not as it was registered."""
        image = _find(self.images(), name)
        again = f"register it again, after: {called('images', 'remove-windows', name)}"
        try:
            now = image.path.stat()
        except OSError as error:
            raise SpecError(f"image {name}: {image.path}: {error.strerror}; {again}") from error
        if (now.st_size, now.st_mtime_ns) != (image.identity.size, image.identity.mtime_ns):
            raise SpecError(f"image {name}: {image.path} was changed since it was registered; {again}")
        if image.disk_format is not None:
            require_own_disk(image.path, image.disk_format)
        return image

    def add(self, image: WindowsImage) -> None:
        """Register an image; raises SpecError if the name is taken; after a FileError all is as before."""
        with self._locked():
            images = dict(self.images())
            if image.name in images:
                raise SpecError(f"image {image.name} is registered already: {images[image.name].path}")
            self._write(images | {image.name: image})

    def remove(self, name: str) -> Path | None:
        """Forget an image, and return its file if that was deleted: only base images of ttylab's own are.

        Raises SpecError for an unknown one, else as `add`; ImageError also if the file can't be deleted.
        """
        with self._locked():
            images = dict(self.images())
            image = _find(images, name)
            del images[name]
            self._write(images)
            if image.level is not Level.INSTALLED or image.path.parent != self.bases:
                return None
            try:
                image.path.unlink(missing_ok=True)
            except OSError as error:
                raise ImageError(f"{image.path}: can't be deleted: {error.strerror}") from error
        return image.path

    def _write(self, images: Mapping[str, WindowsImage]) -> None:
        table = json_ready(_RegistryFile(images=tuple(images[name] for name in sorted(images))))
        write_whole(self.root / REGISTRY, json.dumps(table, indent=1).encode(), private=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with hold_lock(self.root / ".lock", wait_s=_LOCK_BOUND_S):
                yield
        except LockHeld as error:
            raise ImageError(f"{self.root}: another ttylab holds its lock") from error
        except FileError as error:
            raise ImageError(f"{self.root}: can't be written: {error}") from error


def _find(images: Mapping[str, WindowsImage], name: str) -> WindowsImage:
    if name not in images:
        there = ", ".join(sorted(images)) or "none"
        raise SpecError(f"no Windows image {name!r} is registered; there are: {there}")
    return images[name]


def identify(path: Path) -> FileIdentity:
    """Return what identifies the file at `path`; raises OSError if it can't be read."""
    with path.open("rb") as file:
        facts = os.fstat(file.fileno())
        digest = hashlib.sha256(file.read(_END))
        file.seek(max(0, facts.st_size - _END))
        digest.update(file.read(_END))
    return FileIdentity(size=facts.st_size, mtime_ns=facts.st_mtime_ns, ends_sha256=digest.hexdigest())
