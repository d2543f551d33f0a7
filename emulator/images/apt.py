"""Finds and fetches Debian packages with a private apt: own sources, own lists, no system state.

apt checks the signature of InRelease, the hash of the index that it vouches for, and the hash of each
package in the index. This module checks each package's hash again, so that the store relies on nobody else.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.errors import ImageError, MissingPrerequisite
from emulator.images.catalog import CatalogEntry
from emulator.images.image import Package, Progress, hash_file
from emulator.images.loader import LOADER_PACKAGES

_APT_BOUND_S = 600.0
# The host's network settings are kept; its sources, preferences and hooks are not.
_INHERITED = re.compile(r"^Acquire::(https?|Check-Valid-Until|Check-Date|ForceIPv[46]|Retries)\b")
_SETTINGS = """\
Dir::State "@HERE@";
Dir::State::lists "@HERE@/lists";
Dir::State::status "@HERE@/status";
Dir::Cache "@HERE@/cache";
Dir::Etc::sourcelist "@HERE@/ttylab.sources";
Dir::Etc::sourceparts "@HERE@/empty.d";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "@HERE@/empty.d";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "@HERE@/empty.d";
APT::Architecture "@ARCHITECTURE@";
APT::Architectures { "@ARCHITECTURE@"; };
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::GzipIndexes "true";
Acquire::Retries "2";
Acquire::http::Timeout "20";
"""
_WRONG_TIME = re.compile(r"is (expired|not valid yet) \(")
_WRONG_TIME_REMEDY = (
    "Either this host's clock is wrong, or the mirror lags behind. For one that is known to lag, put "
    'Acquire::Check-Valid-Until "false"; into a file in /etc/apt/apt.conf.d'
)
_PACKAGE_OF_KERNEL = re.compile(r"^linux-(image|binary|modules|base)-(.*-)?[a-z0-9]+$")


def fetch_packages(entry: CatalogEntry, pool: Path, progress: Progress) -> list[tuple[Package, Path]]:
    """Return the packages that `entry` is made from, and where they are in `pool`.

    Raises:
        ImageError: no network, no such kernel, or the archive's keys don't vouch for what was fetched.
        MissingPrerequisite: apt or the archive's keys are missing.
    """
    pool.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=pool, prefix=".apt-") as name:
        progress(f"reading the index of {entry.suite}", 0.0)
        suite = AptSuite(Path(name), entry)
        suite.update()
        packages = suite.resolve()
        debs: list[tuple[Package, Path]] = []
        for count, package in enumerate(packages):
            progress(f"fetching {package.name} {package.version}", 0.1 + 0.3 * count / len(packages))
            debs.append((package, suite.fetch(package, pool)))
    return debs


class AptSuite:
    """The suite of an image, with its mirror and keyring, seen through a private apt configuration."""

    def __init__(self, directory: Path, entry: CatalogEntry) -> None:
        if not entry.keyring.exists():
            raise MissingPrerequisite(str(entry.keyring), remedy="apt-get install debian-archive-keyring")
        self._entry = entry
        self._config = directory / "apt.conf"
        for name in ("lists/partial", "cache/archives/partial", "empty.d"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        (directory / "status").touch()
        (directory / "ttylab.sources").write_text(self._sources(), encoding="utf-8")
        settings = _SETTINGS.replace("@HERE@", str(directory)).replace("@ARCHITECTURE@", entry.architecture)
        dump = _output(("apt-config", "dump"), environment=dict(os.environ), cwd=None)
        inherited = (line for line in dump.splitlines(keepends=True) if _INHERITED.match(line))
        self._config.write_text("".join((*inherited, settings)), encoding="utf-8")

    def update(self) -> None:
        """Fetch the suite's index; raises ImageError without network, if it is too old or wrongly signed."""
        try:
            self._run("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")
        except ImageError as error:
            if _WRONG_TIME.search(str(error)) is None:
                raise
            raise ImageError(f"{error} {_WRONG_TIME_REMEDY}") from error

    def resolve(self) -> list[Package]:
        """Return the packages of kernel, busybox and, for a disk, GRUB, by name; raises ImageError."""
        found: dict[str, Package] = {}
        entry = self._entry
        root = entry.kernel_package + ("" if entry.kernel == "newest" else f"={entry.kernel}")
        waiting = [root, "busybox-static", *(LOADER_PACKAGES if entry.disk else ())]
        while waiting:
            stanzas = self._show(waiting)
            found |= {stanza["Package"]: _package(stanza) for stanza in stanzas}
            names = {name for stanza in stanzas for name in _kernel_depends(stanza)}
            waiting = sorted(names - found.keys())
        return [found[name] for name in sorted(found)]

    def find(self, names: Iterable[str]) -> list[Package]:
        """Return the packages called `names`, without what they depend on; raises ImageError for none."""
        return [_package(stanza) for stanza in self._show(names)]

    def fetch(self, package: Package, pool: Path) -> Path:
        """Return the path of the .deb in `pool`, fetched if it is not there; raises ImageError."""
        target = pool / package.file_name
        if target.exists() and hash_file(target) == package.sha256:
            return target
        with TemporaryDirectory(dir=pool, prefix=".fetch-") as name:
            self._run("apt-get", "-q", "download", f"{package.name}={package.version}", cwd=Path(name))
            files = list(Path(name).iterdir())
            if len(files) != 1 or hash_file(files[0]) != package.sha256:
                what = f"{package.name} {package.version}"
                raise ImageError(f"{what}: the download is not the package of the index")
            files[0].replace(target)
        return target

    def _show(self, names: Iterable[str]) -> list[dict[str, str]]:
        return parse_stanzas(self._run("apt-cache", "show", "--no-all-versions", *names))

    def _sources(self) -> str:
        entry = self._entry
        until = "" if entry.check_valid_until else "Check-Valid-Until: no\n"
        return (
            f"Types: deb\nURIs: {entry.mirror}\nSuites: {entry.suite}\nComponents: main\n"
            f"Signed-By: {entry.keyring}\n{until}"
        )

    def _run(self, *argv: str, cwd: Path | None = None) -> str:
        environment = os.environ | {"APT_CONFIG": str(self._config), "LC_ALL": "C"}
        return _output(argv, environment=environment, cwd=cwd)


def parse_stanzas(text: str) -> list[dict[str, str]]:
    """Return the paragraphs of a Debian control file; continuation lines are dropped."""
    paragraphs = (paragraph.splitlines() for paragraph in text.split("\n\n") if paragraph.strip())
    tables = ([line.partition(":") for line in lines] for lines in paragraphs)
    return [
        {key: value.strip() for key, colon, value in table if colon and key[:1].strip()} for table in tables
    ]


def _kernel_depends(stanza: dict[str, str]) -> list[str]:
    """Return those dependencies that are parts of the kernel, as arguments for apt-cache."""
    names = [relation.split()[0] for relation in stanza.get("Depends", "").split(",") if relation.strip()]
    return [name for name in names if _PACKAGE_OF_KERNEL.match(name)]


def _package(stanza: dict[str, str]) -> Package:
    return Package(
        name=stanza["Package"],
        version=stanza["Version"],
        sha256=stanza["SHA256"],
        architecture=stanza["Architecture"],
    )


def _output(argv: tuple[str, ...], *, environment: dict[str, str], cwd: Path | None) -> str:
    try:
        done = subprocess.run(
            argv, env=environment, cwd=cwd, capture_output=True, timeout=_APT_BOUND_S, check=False
        )
    except FileNotFoundError as error:
        remedy = "images are built on Debian or Ubuntu, which have it"
        raise MissingPrerequisite(argv[0], remedy=remedy) from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"{argv[0]} {argv[-1]}: no end after {_APT_BOUND_S:.0f} s") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").splitlines()
        errors = [line[2:].strip() for line in lines if line.startswith("E:")]
        raise ImageError(f"{argv[0]} {argv[-1]} failed: {(errors or lines or ['no message'])[0]}")
    return done.stdout.decode("utf-8", "replace")
