"""CI files for the repositories of others: valid for their providers, and what they do works there.

Their steps are played by bash, as the providers' runners do it, in a repository that `ttylab init` filled.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.support.stranger.ci_runners import RUNNERS, Azure, GitHub, GitLab, Runner
from tests.support.stranger.installed import CHECKOUT, Installed, install

TEMPLATES = CHECKOUT / "ci/templates"
SCHEMAS = {
    "github-actions.yml": ["vendor.github-workflows"],
    "gitlab-ci.yml": ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
    "azure-pipelines.yml": ["vendor.azure-pipelines", "--regex-variant", "nonunicode"],
}
MATRIX = """
[matrix]
name = "mine"
description = "two of ttylab's, and one of our own that fails"
[[block]]
images = ["bookworm"]
machines = ["pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = ["nmi-panic", "sysrq-help", "fan-stops"]
"""
SCENARIO = """
from harness import Alive, Reach, Run, Scenario, Stage

SCENARIOS = (
    Scenario(
        name="fan-stops",
        title="The fan's program is there",
        description="Runs a program that is not there.",
        steps=(Reach(stage=Stage.SHELL), Run(command="fan-control"), Alive()),
    ),
)
"""
SHOWN = {
    GitHub: "::error title=failed%3A bookworm.pc.seabios.1.fan-stops,file=lab/matrix.toml,line=10::",
    GitLab: '"url": "https://gitlab.test/job/1/artifacts/file/results/report/index.html"',
    Azure: "##vso[task.logissue type=error;sourcepath=lab/matrix.toml;linenumber=10]failed: bookworm.pc.seab",
}
pytestmark = pytest.mark.xdist_group("wheel-installed")


def complaints(name: str, text: str, place: Path) -> str:
    """Return what the provider's own schema says against a file; "" if nothing."""
    file = place / "file.yml"
    if name.startswith("azure"):  # its schema knows only strings
        file.write_text(json.dumps(yaml.load(text, yaml.BaseLoader)))
    else:
        file.write_text(text)
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *SCHEMAS[name], file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize("name", SCHEMAS)
def test_template_is_what_the_providers_schema_says(name: str, tmp_path: Path) -> None:
    assert complaints(name, (TEMPLATES / name).read_text(), tmp_path) == ""


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("github-actions.yml", "runs-on:", "run-on:"),
        ("gitlab-ci.yml", "parallel: 2", "parallel: two"),
        ("azure-pipelines.yml", "timeoutInMinutes:", "timeoutMinutes:"),
    ],
)
def test_schema_refuses_a_mistake(name: str, right: str, wrong: str, tmp_path: Path) -> None:
    assert complaints(name, (TEMPLATES / name).read_text().replace(right, wrong, 1), tmp_path)


@pytest.mark.parametrize("name", SCHEMAS)
def test_template_needs_no_checkout_and_has_a_place_for_what_is_the_users(name: str) -> None:
    text = (TEMPLATES / name).read_text()
    assert "./ttylab" not in text
    assert "# Here: make or fetch the kernel or the disk that lab.toml names." in text
    assert re.search(r"^ *TTYLAB: ttylab #", text, re.MULTILINE)
    assert re.search(r'^ *TTYLAB_MATRIX: "" #', text, re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Return ttylab in a repository with what `ttylab init` writes; only what is played is shorter."""
    installed = install(tmp_path_factory.mktemp("templates"))
    installed.ttylab("init", "--ci", "github")
    for provider, runner in (("gitlab", GitLab), ("azure", Azure)):
        (installed.here / provider).mkdir()
        installed.ttylab("init", provider, "--ci", provider)
        shutil.move(installed.here / provider / runner.place, installed.here / runner.place)
        shutil.rmtree(installed.here / provider)
    (installed.here / "lab/matrix.toml").write_text(MATRIX)
    (installed.here / "lab/scenarios.py").write_text(SCENARIO)
    subprocess.run(["git", "init", "--quiet", installed.here], check=True, timeout=60)
    return installed


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_option_in_a_template_is_one_of_ttylabs(name: str, installed: Installed) -> None:
    commands = set(
        re.findall(r"ttylab ((?:run|report|doctor|snapshots agree)\b[^\n)]*)", (TEMPLATES / name).read_text())
    )
    assert {command.split()[0] for command in commands} == {"run", "report", "doctor", "snapshots"}
    for command in commands:
        words = re.findall(r"--[a-z-]+", command)
        help_text = installed.ttylab(
            *command.split()[: 2 if command.startswith("snapshots") else 1], "--help"
        )
        assert [word for word in words if not re.search(rf"(?<!\S){word}\b", help_text)] == []


@pytest.fixture(scope="module")
def runner(
    installed: Installed, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[type[Runner]], Runner]:
    """Make a provider's runner; what the first one plays is kept for the others."""
    place = tmp_path_factory.mktemp("runners")
    cache = installed.here / ".ttylab-cache"  # as a cache that was kept
    cache.symlink_to(installed.variables()["TTYLAB_CACHE"])
    variables = {
        **installed.variables(),
        "PATH": os.environ["PATH"],
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PYTHONPATH": (installed.site / "dependencies.pth").read_text().strip(),
    }
    wheel = next((installed.here.parent / "dist").glob("*.whl"))

    def make(kind: type[Runner]) -> Runner:
        return kind(
            file=installed.here / kind.place,
            repository=installed.here,
            temporary=place / kind.__name__,
            kept=place / "kept",
            variables=dict(variables),
            given={"TTYLAB": str(wheel), "TTYLAB_CACHE": str(cache)},
        )

    return make


@pytest.mark.qemu
@pytest.mark.parametrize("kind", RUNNERS)
def test_steps_do_what_they_say_in_a_repository_of_another(
    runner: Callable[[type[Runner]], Runner], kind: type[Runner]
) -> None:
    played = runner(kind)
    codes = [played.play_shard(number, 2) for number in (1, 2)]
    assert sorted(codes) == [0, 1], played.log  # the cell of our own is in one of the shards
    assert played.play_report() == 0, played.log
    assert played.summary.startswith("### ttylab: mine\n\n3 cells: 2 passed, 1 failed")
    own = "results" if kind is GitLab else "ttylab"
    assert (played.artifacts / own / "junit.xml").is_file()
    assert sorted(path.name for path in played.artifacts.iterdir()) == sorted(["shard-1", "shard-2", own])
    assert sum(SHOWN[kind] in line for line in played.log) == 1, played.log
    assert not any(word in line for line in played.log for word in ("lab/scenarios.py,", "lab/scenarios.py;"))
