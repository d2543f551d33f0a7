"""The store of built images: a directory per image and recipe, verified on every open.

    <root>/<image>/<recipe key>/   bzimage vmlinux initrd manifest.json stamp.json
    <root>/pool/                   the .deb files that they were made from
    <root>/apt/<suite>/            apt's own configuration and lists

A directory appears by one rename, complete, and is never written again; so a running guest, a second
checkout with another recipe, and an interrupted build can't disturb each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from emulator.errors import ImageError
from emulator.images.apt import AptSuite, Package
from emulator.images.build import Progress, build_image
from emulator.images.catalog import Catalog, CatalogEntry, load_catalog
from emulator.images.image import FILES, Image, Manifest, image_of
from emulator.images.recipe import Recipe, load_recipe

_LOCK_BOUND_S = 900.0
_KEY_LENGTH = 16


class ImageStore:
    """Built images on disk.

    Args:
        root: directory of the store; made when something is built. Default: `images` in the cache
            directory of the user, or of the environment variable TTYLAB_CACHE.
        catalog: which images there are; default the shipped catalog.
        recipe: what they hold; default the shipped recipe.
    """

    def __init__(
        self, root: Path | None = None, *, catalog: Catalog | None = None, recipe: Recipe | None = None
    ) -> None:
        self.root = (root or default_root()).absolute()
        self.catalog = catalog or load_catalog()
        self._recipe = recipe or load_recipe()

    def ensure(self, name: str, progress: Progress | None = None) -> Image:
        """Return the image, built first if it is not there; needs no network once it is built.

        `progress` hears the stage and the fraction done, 0 to 1.

        Raises:
            SpecError: no such image in the catalog.
            ImageError: it can't be fetched or built, or is damaged; the store is as before.
            MissingPrerequisite: a program or the archive's keys are missing.
        """
        entry = self.catalog.entry(name)
        report = progress or _silent
        if not self.directory(name).is_dir():
            with self._lock():
                if not self.directory(name).is_dir():
                    self._build(entry, report)
        image = self.open(name)
        report("ready", 1.0)
        return image

    def open(self, name: str) -> Image:
        """Return the image; a changed file is refused.

        Raises:
            SpecError: no such image in the catalog.
            ImageError: not built, or a file is not what was built; the text says what to do.
        """
        directory = self.directory(name)
        if not directory.is_dir():
            raise ImageError(f"image {name} is not built; run: ttylab images build {name}")
        manifest = _read_manifest(directory)
        if _stamp(directory) != _read_stamp(directory):
            problems = _wrong_files(manifest, directory)
            if problems:
                remedy = f"run: ttylab images prune {name} && ttylab images build {name}"
                raise ImageError(f"image {name} is damaged: {problems[0]}; {remedy}")
            _write_stamp(directory)
        return image_of(manifest, directory)

    def verify(self, name: str) -> list[str]:
        """Return what is wrong with the image, every byte read again; empty when all is well.

        Raises:
            SpecError: no such image in the catalog.
        """
        directory = self.directory(name)
        if not directory.is_dir():
            return [f"{name}: not built"]
        try:
            manifest = _read_manifest(directory)
        except ImageError as error:
            return [f"{name}: {error}"]
        problems = _wrong_files(manifest, directory)
        pool = self.root / "pool"
        present = [package for package in manifest.packages if (pool / package.file_name).exists()]
        problems += [
            f"{item.file_name}: wrong hash" for item in present if _hash(pool / item.file_name) != item.sha256
        ]
        return [f"{name}: {problem}" for problem in problems]

    def list(self) -> list[Image]:
        """Return the built images of the catalog, in the order of their names, without checking their bytes."""
        directories = [self.directory(name) for name in self.catalog.names]
        return [
            image_of(_read_manifest(path), path) for path in directories if (path / "manifest.json").is_file()
        ]

    def prune(self, *, keep: Iterable[str] | None = None) -> list[Path]:
        """Remove what no image in `keep` needs, and return what was removed.

        Older builds, packages, half-made directories and apt's lists go. `keep` is every image of the
        catalog by default.

        Raises:
            SpecError: no such image in the catalog.
        """
        kept = [self.directory(name) for name in (self.catalog.names if keep is None else keep)]
        if not self.root.is_dir():
            return []
        with self._lock():
            manifests = [_read_manifest(path) for path in kept if (path / "manifest.json").is_file()]
            needed = {
                self.root / "pool" / item.file_name for manifest in manifests for item in manifest.packages
            }
            doomed = [
                path for path in sorted(self.root.glob("*/*")) if path not in needed and path not in kept
            ]
            for path in doomed:
                _remove(path)
        return doomed

    def directory(self, name: str) -> Path:
        """Return where the image is, or would be once built.

        Raises:
            SpecError: no such image in the catalog.
        """
        entry = self.catalog.entry(name)
        return self.root / name / self._recipe.digest(entry)[:_KEY_LENGTH]

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.root / ".lock", timeout=_LOCK_BOUND_S):
                yield
        except Timeout as error:
            raise ImageError(f"another build holds {self.root} for over {_LOCK_BOUND_S:.0f} s") from error

    def _build(self, entry: CatalogEntry, progress: Progress) -> None:
        target = self.directory(entry.name)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            debs = self._packages(entry, progress)
            with TemporaryDirectory(dir=target.parent, prefix=".build-") as name:
                made = Path(name) / "image"
                made.mkdir()
                build_image(entry, self._recipe, debs=debs, directory=made, progress=progress)
                _write_stamp(made)
                made.rename(target)
        except OSError as error:
            raise ImageError(
                f"image {entry.name} can't be built: {error.strerror}: {error.filename}"
            ) from error

    def _packages(self, entry: CatalogEntry, progress: Progress) -> list[tuple[Package, Path]]:
        pool = self.root / "pool"
        known = self._known_packages(entry)
        if known:
            return [(package, pool / package.file_name) for package in known]
        progress(f"reading the index of {entry.suite}", 0.0)
        apt = AptSuite(self.root / "apt" / entry.suite, entry)
        apt.update()
        packages = apt.resolve()
        debs: list[tuple[Package, Path]] = []
        for count, package in enumerate(packages):
            progress(f"fetching {package.name} {package.version}", 0.1 + 0.3 * count / len(packages))
            debs.append((package, apt.fetch(package, pool)))
        return debs

    def _known_packages(self, entry: CatalogEntry) -> tuple[Package, ...]:
        """Return the packages of an earlier build of this image, if all of them are still in the pool.

        So a changed recipe neither needs the network nor moves to a newer kernel by itself.
        """
        for path in sorted((self.root / entry.name).glob("*/manifest.json")):
            manifest = _read_manifest(path.parent)
            same = (manifest.suite, manifest.flavour, manifest.kernel_request)
            if same == (entry.suite, entry.flavour, entry.kernel) and self._in_pool(manifest.packages):
                return manifest.packages
        return ()

    def _in_pool(self, packages: Iterable[Package]) -> bool:
        files = [(self.root / "pool" / package.file_name, package.sha256) for package in packages]
        return all(path.is_file() and _hash(path) == digest for path, digest in files)


def default_root() -> Path:
    """Return the store's directory when none is given."""
    cache = os.environ.get("TTYLAB_CACHE")
    return (Path(cache) if cache else user_cache_path("ttylab", appauthor=False)) / "images"


def ensure_image(name: str, progress: Progress | None = None) -> Image:
    """Return an image of the default store, built first if it is not there; see `ImageStore.ensure`."""
    return ImageStore().ensure(name, progress)


def _silent(_stage: str, _fraction: float) -> None:
    return


def _read_manifest(directory: Path) -> Manifest:
    path = directory / "manifest.json"
    try:
        return Manifest.from_json(path.read_text(encoding="utf-8"), origin=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{path}: can't be read: {error}") from error


def _wrong_files(manifest: Manifest, directory: Path) -> list[str]:
    problems: list[str] = []
    for name in FILES:
        path = directory / name
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif (found := _hash(path)) != manifest.sha256[name]:
            problems.append(f"{path} has sha256 {found[:16]}, built with {manifest.sha256[name][:16]}")
    return problems


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _stamp(directory: Path) -> dict[str, list[int]]:
    """Return size and change times of the files: a cheap sign that nobody wrote to them since the stamp."""
    stamp: dict[str, list[int]] = {}
    for name in (*FILES, "manifest.json"):
        path = directory / name
        facts = path.stat() if path.is_file() else None
        stamp[name] = [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino] if facts else []
    return stamp


def _read_stamp(directory: Path) -> object:
    try:
        return json.loads((directory / "stamp.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write_stamp(directory: Path) -> None:
    temporary = directory / f"stamp.json.{os.getpid()}"
    temporary.write_text(json.dumps(_stamp(directory)), encoding="utf-8")
    temporary.replace(directory / "stamp.json")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
