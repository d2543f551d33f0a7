"""CI files for the repositories of others: valid for their providers, and what they do works there.

The steps of GitHub's are played by bash, as its runner does it; of the others, each command line is checked.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.stranger.github_runner import Runner
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
    installed = install(tmp_path_factory.mktemp("templates"))
    for name, text in {
        "lab.toml": '[lab]\nmatrix = "ci/push.toml"\nscenarios = ["lab/scenarios.py"]\n',
        "ci/push.toml": MATRIX,
        "lab/scenarios.py": SCENARIO,
    }.items():
        (installed.here / name).parent.mkdir(exist_ok=True)
        (installed.here / name).write_text(text)
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


@pytest.mark.qemu
def test_githubs_steps_do_what_they_say_in_a_repository_of_another(
    installed: Installed, tmp_path: Path
) -> None:
    (installed.here / ".ttylab-cache").symlink_to(
        installed.variables()["TTYLAB_CACHE"]
    )  # as a cache that was kept
    runner = Runner(
        workflow=yaml.load((TEMPLATES / "github-actions.yml").read_text(), yaml.SafeLoader),
        repository=installed.here,
        temporary=tmp_path / "runner",
        variables={
            **installed.variables(),
            "PATH": os.environ["PATH"],
            "PIP_NO_INDEX": "1",
            "PIP_NO_DEPS": "1",
            "PYTHONPATH": (installed.site / "dependencies.pth").read_text().strip(),
        },
        given={"TTYLAB": str(next((installed.here.parent / "dist").glob("*.whl")))},
    )
    codes = [runner.play("run", {"matrix.shard": f"{n}/2", "strategy.job-index": str(n)}) for n in (1, 2)]
    assert sorted(codes) == [0, 1]  # the cell of our own is in one of the shards
    assert runner.play("report", {}) == 0
    assert runner.summary.read_text().startswith("### ttylab: mine\n\n3 cells: 2 passed, 1 failed")
    errors = [line for line in runner.log if line.startswith("::error")]
    assert len(errors) == 1
    assert "file=lab/scenarios.py" not in errors[0]
    assert "title=failed%3A bookworm.pc.seabios.1.fan-stops,file=ci/push.toml,line=10::" in errors[0]
    assert (runner.artifacts / "ttylab/junit.xml").is_file()
    assert sorted(path.name for path in runner.artifacts.iterdir()) == ["shard-1", "shard-2", "ttylab"]
    shutil.rmtree(installed.here / "results")
