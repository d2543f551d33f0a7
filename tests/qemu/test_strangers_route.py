"""A stranger's route, from the wheel, in an empty directory, by the command line alone.

Their own kernel and initramfs, a qcow2 with GRUB, a VHD and a cloud image; a scenario and a signature
of their own. One run plays them all, and each test reads what it left or goes on from it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.report.model import CellResult, RunResult, load_run
from tests.support.stranger.installed import Installed, install
from tests.support.stranger.project import FAILED, FINDING, IMAGES, PASSED, write_project

pytestmark = [pytest.mark.qemu, pytest.mark.xdist_group("strangers-route")]


@dataclass(kw_only=True)
class Route:
    """What a stranger has after the first run.

    Attributes:
        lab: the command line, in their repository.
        before: the hash of each file that they brought, by image.
        files: these files.
        said: what the run said.
        run: its result.
    """

    lab: Installed
    files: Mapping[str, Path]
    before: Mapping[str, str]
    said: str
    run: RunResult

    def cell(self, image: str, scenario: str) -> CellResult:
        return next(one for one in self.run.cells if (one.cell.image, one.cell.scenario) == (image, scenario))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def route(tmp_path_factory: pytest.TempPathFactory) -> Route:
    lab = install(tmp_path_factory.mktemp("stranger"))
    files = write_project(lab.here)
    before = {name: sha256(path) for name, path in files.items()}
    said = lab.ttylab("run", "--run-dir", "first", "--no-allure", code=1, timeout_s=600)
    return Route(lab=lab, files=files, before=before, said=said, run=load_run(lab.here / "first"))


@pytest.mark.parametrize("image", IMAGES)
def test_each_boots_and_survives_nmi_sysrq_and_reset(route: Route, image: str) -> None:
    cells = {name: route.cell(image, name) for name in PASSED}
    assert {name: (one.status, one.message) for name, one in cells.items() if one.status != "passed"} == {}


@pytest.mark.parametrize("image", IMAGES)
def test_each_is_forked_where_no_boot_is_tested(route: Route, image: str) -> None:
    assert route.cell(image, "sysrq-help").start.startswith("forked")


@pytest.mark.parametrize("image", IMAGES)
def test_each_fails_with_the_finding_of_a_signature_of_its_own(route: Route, image: str) -> None:
    cell = route.cell(image, FAILED)
    assert (cell.status, [one.title for one in cell.findings if not one.expected]) == ("failed", [FINDING])
    assert f"FAILED  {cell.cell.id}: all steps done, but the console shows: {FINDING}" in route.said
    page = (route.lab.here / "first/report/index.html").read_text()
    assert cell.cell.id in page


@pytest.mark.parametrize("image", IMAGES)
def test_each_is_reproduced_by_the_line_that_was_printed(route: Route, image: str) -> None:
    cell = route.cell(image, FAILED)
    (line,) = [line for line in route.said.splitlines() if f"repro {cell.cell.id}" in line]
    _, _, command = line.partition("ttylab ")
    said = route.lab.ttylab(*command.split(), code=1)
    assert "reproduced" in said
    assert "not reproduced" not in said


@pytest.mark.parametrize("image", IMAGES)
def test_each_is_repeated_with_its_cause(route: Route, image: str) -> None:
    id_ = route.cell(image, FAILED).cell.id
    told = route.lab.ttylab("repeat", id_, "-n", "2", "--jitter", "none", "--json", code=1)
    summary = json.loads(told[told.index("{") : told.rindex("}") + 1])
    assert [(one["title"], len(one["repetitions"])) for one in summary["groups"]] == [(FINDING, 2)]


def test_the_files_are_as_they_were_and_their_hashes_are_in_the_report(route: Route) -> None:
    assert {name: sha256(path) for name, path in route.files.items()} == route.before
    told = {image: json.dumps(dict(route.cell(image, FAILED).image)) for image in IMAGES}
    assert [image for image in IMAGES if route.before[image] not in told[image]] == []
