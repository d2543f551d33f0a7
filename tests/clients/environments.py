"""Where the clients of others are installed: one environment for each lock file, made once in the cache.

Two versions of a package can't be had in one environment, and none of them may meet ttylab's own
packages. A directory's name is the hash of its lock and interpreter, and it appears by one rename: nobody
sees a half-made one, and the second time needs no network.
"""

import hashlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock

from emulator import places
from emulator.node_packages import NodePackages

HERE = Path(__file__).parent
LOCKS = HERE / "locks"
INSTALL_BOUND_S = 600.0

NODE = NodePackages(sources=HERE / "node", what="the JavaScript clients", module="tests.clients.environments")


class InstallFailed(AssertionError):
    """An environment could not be made; a test that needs it has failed."""


def python_of(name: str) -> Path:
    """Return the interpreter of the environment that locks/`name`.txt describes, made if it is not there."""
    lock = LOCKS / f"{name}.txt"
    target = _cache() / f"{name}-{_fingerprint(lock)}"
    python = target / "bin" / "python"
    if not python.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / "lock", timeout=INSTALL_BOUND_S):
            if not python.is_file():
                _install(lock, target)
    return python


def _install(lock: Path, target: Path) -> None:
    """Make an environment beside its place and move it there; only `bin/python` of it is used."""
    with TemporaryDirectory(dir=target.parent, prefix=".install-") as folder:
        new = Path(folder) / "new"
        python = str(new / "bin" / "python")
        _uv("venv", "--quiet", "--no-project", "--python", sys.executable, str(new))
        _uv("pip", "install", "--quiet", "--require-hashes", "--python", python, "--requirement", str(lock))
        new.rename(target)


def _uv(*words: str) -> None:
    argv = [_uv_program(), *words]
    # An environment that is active, tox's, is not what is to be changed.
    plain = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=INSTALL_BOUND_S, check=False, env=plain
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace")[-600:]
        raise InstallFailed(f"uv {words[0]} failed with {done.returncode}: {said}")


def _uv_program() -> str:
    return str(Path(sysconfig.get_path("scripts")) / "uv")


def _cache() -> Path:
    return places.cache() / "clients"


def _fingerprint(lock: Path) -> str:
    return hashlib.sha256(sys.version.encode() + lock.read_bytes()).hexdigest()[:16]


def main(names: Sequence[str] = ("sdk1", "sdk2", "az")) -> None:
    """Make every environment; so that a test's time is not that of a download."""
    for name in names:
        python_of(name)
    NODE.ensure()


if __name__ == "__main__":
    main()
