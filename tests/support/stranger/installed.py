"""ttylab as strangers have it: the wheel in a virtual environment of its own, and nothing of the checkout."""

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from emulator import places

CHECKOUT = Path(__file__).parents[3]


def build_wheel(directory: Path) -> Path:
    (wheel,) = WheelBuilder(str(CHECKOUT)).build(directory=str(directory), versions=["standard"])
    return Path(wheel)


@dataclass(kw_only=True)
class Installed:
    """A virtual environment with the wheel, and a working directory with an empty home beside it.

    Its dependencies are those of the tests' own environment (test_lock.py checks that they are what the wheel
    asks for). The cache is the tests' own, so that images and snapshots are there.
    """

    venv: Path
    here: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def site(self) -> Path:
        (found,) = self.venv.glob("lib/python*/site-packages")
        return found

    def variables(self) -> dict[str, str]:
        home = self.here.parent / "home"
        home.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR", "TTYLAB_QEMU") if name in os.environ}
        own = {
            "HOME": str(home),
            "PATH": f"{self.venv / 'bin'}:{os.environ['PATH']}",
            "TTYLAB_CACHE": str(places.cache()),
            "TTYLAB_STATE": str(self.here.parent / "state"),
        }
        return {**kept, **own, **self.environment}

    def ttylab(self, *words: str | Path, code: int | None = 0, timeout_s: float = 280) -> str:
        """Run a command line in the working directory and return all that it said."""
        done = subprocess.run(
            ["ttylab", *map(str, words)],
            executable=self.venv / "bin/ttylab",
            cwd=self.here,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert code is None or done.returncode == code, (
            f"ttylab {words} ended with {done.returncode}:\n{done.stdout}"
        )
        return done.stdout


def install(directory: Path) -> Installed:
    """Build the wheel and install it below `directory`."""
    wheel, venv, here = build_wheel(directory / "dist"), directory / "venv", directory / "empty"
    here.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True, timeout=120)
    installed = Installed(venv=venv, here=here)
    own = ["--offline", "--no-deps", "--compile-bytecode", "--python", venv / "bin/python"]
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "pip", "install", "--quiet", *own, wheel], check=True, timeout=120)
    (installed.site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return installed
