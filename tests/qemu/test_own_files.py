"""A user's own kernel and own disk on the command line, on real guests."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from emulator.images.store import ImageStore
from harness.report.model import CellResult, load_run

pytestmark = pytest.mark.qemu

PATIENCE_S = 270
Done: TypeAlias = subprocess.CompletedProcess[str]
HEAD = '[matrix]\nname = "small"\ndescription = "for a test"\n'
BLOCK = '[[block]]\nimages = ["{image}"]\nmachines = ["{machine}"]\nfirmwares = ["seabios"]\nvcpus = [1]\n'
PC = ["boot-login", "nmi-panic", "nmi-hung", "sysrq-help", "reset-shell"]
"""One of each kind: a boot, an NMI, a module of ttylab's, a BREAK, a reset; most with kernel parameters."""


def done(*argv: str) -> Done:
    return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def matrix(image: str, **scenarios: list[str]) -> str:
    blocks = (
        BLOCK.format(image=image, machine=machine) + f"scenarios = {names}\n".replace("'", '"')
        for machine, names in scenarios.items()
    )
    return HEAD + "".join(blocks)


@pytest.fixture
def ttylab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call ttylab in an empty directory with an odd name."""
    place = tmp_path / "a user's place"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("TTYLAB_LAB", raising=False)

    return lambda *words: done(sys.executable, "-P", "-m", "harness", *words)


def unpacked(directory: Path) -> tuple[Path, Path]:
    """Return the kernel and the modules' directory of bookworm's own package, as a user would have them."""
    image = ImageStore().ensure("bookworm")
    package = next(one for one in image.packages if one.name.startswith("linux-image-"))
    (deb,) = (ImageStore().root / "pool").glob(f"{package.name}_{package.version.replace(':', '%3a')}_*.deb")
    subprocess.run(["dpkg-deb", "-x", str(deb), str(directory)], check=True, timeout=PATIENCE_S)
    (kernel,) = (directory / "boot").glob("vmlinuz-*")
    return kernel, directory / "lib/modules"


def verdicts(run: str) -> dict[str, tuple[str, str, int | None]]:
    cells = load_run(Path(run)).cells
    return {
        cell.cell.id.removeprefix(cell.cell.image): (cell.status, cell.reason, cell.step) for cell in cells
    }


def the_cell(run: str) -> CellResult:
    (cell,) = load_run(Path(run)).cells
    return cell


def test_own_kernel_gets_the_verdicts_of_the_same_kernel_of_ours(ttylab, tmp_path: Path) -> None:
    kernel, modules = unpacked(tmp_path / "package")
    Path("m.toml").write_text(matrix("bookworm", pc=PC, q35=["panic-event"]))
    own = ttylab(
        *("run", "m.toml", "--kernel", str(kernel), "--modules", str(modules)),
        *("--run-dir", "own", "--no-allure", "-n", "2"),
    )
    assert own.returncode == 0, own.stdout + own.stderr
    assert ttylab("run", "m.toml", "--run-dir", "ours", "--no-allure", "-n", "2").returncode == 0
    assert verdicts("own") == verdicts("ours")
    assert len(verdicts("own")) == len(PC) + 1
    image = load_run(Path("own")).cells[0].image
    assert image["files"] == {"kernel": str(kernel), "initrd": "ttylab"}


def test_own_disk_is_played_reproduced_as_printed_and_never_written(ttylab) -> None:
    disk = Path("My Server's disk.raw")
    source = ImageStore().ensure("bookworm-grub").disk
    assert source is not None
    disk.symlink_to(source)
    before = source.stat()
    Path("pw").write_text("ttylab\n")
    Path("m.toml").write_text(matrix("bookworm", pc=["nmi-dazed"]))
    words = (
        "run",
        "m.toml",
        "--disk",
        str(disk),
        "--password-file",
        "pw",
        "--run-dir",
        "a run",
        "--no-allure",
    )
    played = ttylab(*words)
    assert played.returncode == 0, played.stdout + played.stderr
    cell = the_cell("a run")
    assert (cell.status, cell.cell.image) == ("passed", "my-server-s-disk.raw")
    assert cell.image["files"] == {"disk": str(disk.absolute())}
    again = done("sh", "-c", cell.repro)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("reproduced: PASSED\n")
    assert shlex.split(cell.repro)[-2:] == ["--run", "a run"]
    after = source.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)

    disk.unlink()
    disk.write_bytes(source.read_bytes() + bytes(512))
    changed = done("sh", "-c", cell.repro)
    assert changed.returncode == 2
    assert "has other files" in changed.stderr
    assert "sha256 was" in changed.stderr
