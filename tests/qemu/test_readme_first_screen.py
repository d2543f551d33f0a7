"""The README's first screen, from the wheel, in an empty directory: each command as it is printed there."""

import json
import os
import re
import shlex
import signal
from collections.abc import Iterator

import pexpect
import pytest

from harness.report.model import load_run
from tests.support.stranger import makers
from tests.support.stranger.installed import CHECKOUT, Installed, install

pytestmark = [pytest.mark.qemu, pytest.mark.xdist_group("readme-first-screen")]

PATIENCE_S = 120
LINE = re.compile(r"(ttylab .*?)(?: +#.*)?")
BLOCK = re.search(
    r"## Your kernel, your disk\n\n```sh\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL
)
assert BLOCK
COMMANDS = [found[1] for line in BLOCK[1].splitlines() if (found := LINE.fullmatch(line))]
KERNEL = "out/arch/x86/boot/bzImage"
CHOSEN = "pc.seabios.1.nmi-twice"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Give the command line in a directory with nothing but what the README's commands name."""
    lab = install(tmp_path_factory.mktemp("first-screen"))
    makers.kernel(lab.here / KERNEL, suite="bookworm")
    makers.grub_disk(lab.here / "server.qcow2")
    (lab.here / "pw").write_text(f"{makers.PASSWORD}\n")
    lab.environment["PYTEST_ADDOPTS"] = f"-k {CHOSEN}"  # plays less, with the commands as they are
    return lab


def command(start: str) -> list[str]:
    """Return the words of the one printed command that begins so."""
    (found,) = [one for one in COMMANDS if one.startswith(start)]
    return shlex.split(found)[1:]


@pytest.fixture
def started(lab: Installed) -> Iterator:
    """Start a printed command at a terminal."""
    running: list[pexpect.spawn] = []

    def start(words: list[str]) -> pexpect.spawn:
        program = str(lab.venv / "bin/ttylab")
        spawned = pexpect.spawn(program, words, cwd=lab.here, env=lab.variables(), timeout=PATIENCE_S)
        running.append(spawned)
        return spawned

    yield start
    for one in running:
        one.close(force=True)


def test_every_command_is_played_here() -> None:
    assert sorted(" ".join(one.split()[1:3]) for one in COMMANDS) == [
        "boot --kernel", "boot server.qcow2", "init --kernel", "run --disk", "run --kernel", "serve --disk",
    ]  # fmt: skip


@pytest.mark.parametrize("start", ["ttylab boot --kernel", "ttylab boot server"])
def test_boot_shows_the_console_with_a_menu(started, start: str) -> None:
    boot = started(command(start))
    boot.expect("login: ")
    boot.send("\x1dn")
    boot.expect("nmi: injected")
    boot.expect("NMI received for unknown reason")
    boot.send("\x1dq")
    boot.expect(pexpect.EOF)


@pytest.mark.parametrize(("start", "image"), [("run --kernel", "bzimage"), ("run --disk", "server.qcow2")])
def test_run_plays_the_scenarios_on_it(lab: Installed, start: str, image: str) -> None:
    before = set((lab.here / "results").glob("2*"))
    lab.ttylab(*command(f"ttylab {start}"))
    (run_dir,) = set((lab.here / "results").glob("2*")) - before
    cells = {one.cell.id: one.status for one in load_run(run_dir).cells}
    assert cells == {f"{image}.{CHOSEN}": "passed"}
    assert (run_dir / "report/index.html").is_file()


def test_serve_has_a_vm_with_that_disk(lab: Installed, started) -> None:
    service = started([*command("ttylab serve"), "--port", "0", "--ready-file", "ready.json"])
    service.expect("linux1")
    ready = json.loads((lab.here / "ready.json").read_text())
    assert ready["endpoint"].startswith("https://localhost:")
    os.kill(service.pid, signal.SIGINT)
    service.expect(pexpect.EOF)


def test_init_makes_a_repository_that_runs(lab: Installed) -> None:
    lab.ttylab(*command("ttylab init"))
    assert 'kernel = "out/arch/x86/boot/bzImage"' in (lab.here / "lab.toml").read_text()
    assert "bzimage.pc.seabios.1.own-kernel-log" in lab.ttylab("run", "--list")
