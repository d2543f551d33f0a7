"""`pip install ttylab` in an empty directory, with an empty home: no checkout is anywhere."""

import hashlib
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.report.model import load_run
from tests.support.stranger.installed import CHECKOUT, Installed, install

CELL = "bookworm.pc.seabios.1.nmi-panic"
pytestmark = pytest.mark.xdist_group("wheel-installed")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(tmp_path_factory.mktemp("stranger"))


def content(directory: Path) -> dict[str, str]:
    files = (path for path in directory.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_nothing_of_the_checkout_is_used(installed: Installed) -> None:
    code = "import emulator, harness; print(emulator.__file__, harness.__file__)"
    python = installed.venv / "bin/python"
    said = subprocess.run(
        [python, "-P", "-c", code],
        env=installed.variables(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert [Path(word).is_relative_to(installed.site) for word in said.stdout.split()] == [True, True]


@pytest.mark.parametrize("name", sorted(path.name for path in (CHECKOUT / "ci").glob("*.toml")))
def test_every_matrix_is_shipped_and_its_guests_are_known(installed: Installed, name: str) -> None:
    by_name = installed.ttylab("run", name.removesuffix(".toml"), "--list")
    assert by_name == installed.ttylab("run", CHECKOUT / "ci" / name, "--list")
    assert CELL in installed.ttylab("run", "--list")


def test_doctor_says_what_is_missing_and_the_one_command_for_it(installed: Installed) -> None:
    tools = installed.here.parent / "few-tools"
    tools.mkdir()
    installed_path = dict(installed.environment)
    installed.environment["PATH"] = str(tools)
    try:
        said, packages = installed.ttylab("doctor", code=3), installed.ttylab("doctor", "--packages")
    finally:
        installed.environment = installed_path
    assert {"qemu-system-x86", "qemu-utils", "util-linux"} <= set(packages.split())
    assert said.rstrip().endswith(f"apt-get install --yes --no-install-recommends {packages.strip()}")


@pytest.mark.qemu
def test_a_run_in_an_empty_directory_leaves_its_results_there_and_nothing_else(installed: Installed) -> None:
    before = content(installed.site)
    said = installed.ttylab(
        "run", "-k", "nmi-panic and bookworm and pc and seabios and not generic and not reboot"
    )
    (run_dir,) = (installed.here / "results").glob("2*")
    assert f"report: {run_dir}" in said
    cells = {one.cell.id: one.status for one in load_run(run_dir).cells}
    assert cells[CELL] == "passed"
    assert set(cells.values()) == {"passed"}
    names = {case.get("name") for case in ET.parse(run_dir / "junit.xml").iter("testcase")}
    assert names == set(cells)
    assert (run_dir / "allure-report/index.html").is_file()
    assert content(installed.site) == before
    assert [path.name for path in installed.here.iterdir()] == ["results"]
    assert list((installed.here.parent / "home").iterdir()) == []
