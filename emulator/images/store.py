"""The store of built images: a directory per image and recipe, verified on every open.

    <root>/<image>/<recipe key>/   bzimage vmlinux initrd [disk.img] manifest.json seal.json
    <root>/pool/                   the .deb files that they were made from

A directory appears complete, by one rename, and is never written again, so a running guest, a second
checkout with another recipe, and an interrupted build can't disturb each other.

What only a build needs (apt, packages, the lock) is imported when one starts, so listing images stays fast.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from emulator import places
from emulator.errors import FileError, ImageError, LockHeld
from emulator.files import hold_lock, staged_tree
from emulator.images.catalog import Catalog, CatalogEntry, load_catalog
from emulator.images.image import (
    DISK,
    Image,
    Package,
    Progress,
    find_wrong_files,
    hash_file,
    is_sealed,
    read_image,
    seal,
)
from emulator.images.recipe import Recipe, load_recipe
from emulator.program import called
from emulator.work import tell_work, working

_LOCK_BOUND_S = 900.0
_KEY_LENGTH = 16
POOL = "pool"


Fetch = Callable[[CatalogEntry, Path, Progress], Sequence[tuple[Package, Path]]]
"""Returns the packages of a catalog entry and where they are in the pool, which is the second argument."""


class ImageStore:
    """Built images on disk.

    Args:
        root: directory of the store; made when something is built. Default: `places.images()`.
        catalog: which images there are; default: the shipped catalog.
        recipe: what they contain; default: the shipped recipe.
        fetch: where packages come from; default: the Debian archive.
    """

    def __init__(
        self,
        root: Path | None = None,
        *,
        catalog: Catalog | None = None,
        recipe: Recipe | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        self.root = (root or places.images()).absolute()
        self.catalog = catalog or load_catalog()
        self._recipe = recipe or load_recipe()
        self._fetch = fetch or _fetch_from_debian

    def ensure(self, name: str, progress: Progress | None = None, *, rebuild: bool = False) -> Image:
        """Return the image; it is built first if it is not there, or if its manifest is damaged.

        Once built, no network is needed. A build is told as work (`emulator.work`).

        Args:
            name: of an image in the catalog.
            progress: is told the stage and the fraction done, 0 to 1, instead.
            rebuild: whether to build even if it is there, from the packages that it was built from.

        Raises:
            SpecError: no such image in the catalog.
            ImageError: it can't be fetched or built, or is damaged; the store is as before.
            MissingPrerequisite: a program or the archive's keys are missing.
        """
        entry = self.catalog.entry(name)
        if rebuild or not self._is_built(name):
            what = f"image {name}"
            with working(what, "building"), self._lock():
                # Another process may have built it while this one waited for the lock.
                if rebuild or not self._is_built(name):
                    self._build(entry, progress or partial(tell_work, what))
        image = self.open(name)
        if progress:
            progress("ready", 1.0)
        return image

    def open(self, name: str) -> Image:
        """Return the image; ImageError, which says what to do: it is not built, or a file was changed."""
        directory = self.directory(name)
        if not directory.is_dir():
            raise ImageError(f"image {name} is not built; run: {called('images', 'build', name)}")
        remedy = f"run: {called('images', 'build', '--rebuild', name)}"
        if problem := self.damaged().get(name):
            raise ImageError(f"image {name}: {problem}; {remedy}")
        try:
            image = read_image(directory)
            if not is_sealed(directory):
                problems = find_wrong_files(image)
                if problems:
                    raise ImageError(f"image {name} is damaged: {problems[0]}; {remedy}")
                with suppress(FileError):  # a store that is shared read-only is hashed on every open
                    seal(directory)
        except OSError as error:
            raise ImageError(f"image {name}: {error.filename}: {error.strerror}; {remedy}") from error
        return image

    def verify(self, name: str) -> list[str]:
        """Read every byte again, and return what is wrong; raises SpecError for an unknown image."""
        directory = self.directory(name)
        if not directory.is_dir():
            return [f"{name}: not built"]
        try:
            image = read_image(directory)
        except ImageError as error:
            return [f"{name}: {error}"]
        debs = [(self._deb(package), package.sha256) for package in image.packages]
        changed = [path for path, digest in debs if path.is_file() and hash_file(path) != digest]
        problems = find_wrong_files(image) + [f"{path} is not the package" for path in changed]
        return [f"{name}: {problem}" for problem in problems]

    def list(self) -> tuple[Image, ...]:
        """Return the built images of the catalog, sorted by name, without checking their content."""
        return tuple(_readable(self.directory(name) for name in self.catalog.names))

    def damaged(self) -> Mapping[str, str]:
        """Return why the manifest of an image that was built can't be read, with its path, by name."""
        found: dict[str, str] = {}
        for name in self.catalog.names:
            try:
                if self.directory(name).is_dir():
                    read_image(self.directory(name))
            except (ImageError, OSError) as error:
                found[name] = str(error).splitlines()[0]
        return found

    def prune(self, *, keep: Iterable[str] | None = None) -> tuple[Path, ...]:
        """Remove what no image in `keep` needs, and return what was removed.

        This removes older builds, packages and unfinished directories. The default for `keep` is every image
        of the catalog.

        Raises:
            SpecError: no such image in the catalog.
        """
        kept = [self.directory(name) for name in (self.catalog.names if keep is None else keep)]
        if not self.root.is_dir():
            return ()
        with self._lock():
            needed = {self._deb(package) for image in _readable(kept) for package in image.packages}
            needed |= {path for path in kept if path.is_dir()}
            doomed = tuple(path for path in sorted(self.root.glob("*/*")) if path not in needed)
            for path in doomed:
                _remove(path)
            for path in self.root.iterdir():
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()
        return doomed

    def directory(self, name: str) -> Path:
        """Return where the image is, or will be once built; raises SpecError if the catalog has none."""
        entry = self.catalog.entry(name)
        return self.root / name / self._recipe.digest(entry)[:_KEY_LENGTH]

    def collect(self, *, dry_run: bool = False) -> tuple[Path, ...]:
        """Remove and return what killed builds left; nothing while a build runs. Raises ImageError."""
        if not self._leftovers():
            return ()
        try:
            with hold_lock(self.root / ".lock", wait_s=0), _as_image_error("leftovers"):
                found = self._leftovers()
                for path in () if dry_run else found:
                    _remove(path)
                return found
        except LockHeld:
            return ()
        except FileError as error:
            raise ImageError(str(error)) from error

    def _leftovers(self) -> tuple[Path, ...]:
        """Return unfinished files of builds; those that still run have them too, unless the lock is held."""
        directories = [self.root / name for name in (*self.catalog.names, POOL)]
        return tuple(path for directory in directories for path in sorted(directory.glob(".*")))

    def _is_built(self, name: str) -> bool:
        try:
            return self.directory(name).is_dir() and name not in self.damaged()
        except OSError as error:  # a directory of another user's
            raise ImageError(f"image {name}: {error.filename}: {error.strerror}") from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with hold_lock(self.root / ".lock", wait_s=_LOCK_BOUND_S):
                yield
        except LockHeld as error:
            raise ImageError(f"another build has held {self.root} for over {_LOCK_BOUND_S:.0f} s") from error
        except FileError as error:
            raise ImageError(str(error)) from error
        except OSError as error:
            raise ImageError(f"{self.root}: can't be written: {error.strerror}") from error

    def _build(self, entry: CatalogEntry, progress: Progress) -> None:
        from emulator.images.build import build_image  # noqa: PLC0415

        target = self.directory(entry.name)
        with _as_image_error(entry.name):
            for leftover in self._leftovers():  # of builds that were killed: we hold the lock
                _remove(leftover)
            debs: Sequence[tuple[Package, Path]] = [
                (one, self._deb(one)) for one in self._known_packages(entry)
            ]
            debs = debs or self._fetch(entry, self.root / POOL, progress)
        with staged_tree(target) as made, _as_image_error(entry.name):
            build_image(entry, self._recipe, debs=debs, directory=made, progress=progress)
            seal(made)

    def _known_packages(self, entry: CatalogEntry) -> tuple[Package, ...]:
        """Return the packages of an earlier build of this image, if all of them are still in the pool.

        So a changed recipe needs no network, and does not by itself move to a newer kernel.
        """
        wanted = (entry.suite, entry.flavour, entry.architecture, entry.kernel, entry.disk)
        for image in _readable(sorted((self.root / entry.name).glob("*"))):
            kernel = (image.architecture.debian, image.kernel_request)
            built = (image.suite, image.flavour, *kernel, DISK in image.files)
            files = ((self._deb(package), package.sha256) for package in image.packages)
            if built == wanted and all(path.is_file() and hash_file(path) == one for path, one in files):
                return image.packages
        return ()

    def _deb(self, package: Package) -> Path:
        return self.root / POOL / package.file_name


def _fetch_from_debian(entry: CatalogEntry, pool: Path, progress: Progress) -> Sequence[tuple[Package, Path]]:
    from emulator.images.apt import fetch_packages  # noqa: PLC0415

    return fetch_packages(entry, pool, progress)


@contextmanager
def _as_image_error(image: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        raise ImageError(f"image {image} can't be built: {what}") from error


def _readable(directories: Iterable[Path]) -> Iterator[Image]:
    """Yield the images in those directories that hold one; damaged ones are left out."""
    for directory in directories:
        with suppress(ImageError):
            yield read_image(directory)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
