"""What installed packages bring by entry points; each error names the package and what it has there."""

import os
import subprocess
import sys

import pytest

from harness.scenario.exit_codes import EXIT_USAGE
from tests.support.brought_package import install_package
from tests.support.matrix_project import CHECKOUT
from tests.support.own_files import tiny_kernel

SCENARIOS = """
from harness import Reach, Run, Scenario, Shows, Stage

SCENARIOS = (
    Scenario(
        name="acme-uname",
        title="the kernel says its name",
        description="a scenario of a package",
        steps=(Reach(stage=Stage.SHELL), Run(command="uname")),
    ),
)
"""
RULES = """
[[rule]]
id = "acme-fault"
trigger = '^ACME FAULT [0-9]+'
title = "ACME fault"
kind = "BUG"
see = "ACME's manual"
"""
PATHS = """
from pathlib import Path
HERE = Path(__file__).parent
RULES = HERE / "rules.toml"
LAB = HERE / "lab.toml"
"""
LAB = '[images.acme]\nkernel = "bzImage"\ninitrd = "ttylab"\n'
FILES = {"scenarios.py": SCENARIOS, "rules.toml": RULES, "lab.toml": LAB, "__init__.py": PATHS}
GROUPS = {
    "ttylab.scenarios": "acme_lab.scenarios",
    "ttylab.signatures": "acme_lab:RULES",
    "ttylab.images": "acme_lab:LAB",
}


MATRIX = """
[matrix]
name = "acme"
description = "what a package brings"
[[block]]
images = ["acme"]
machines = ["pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = ["acme-uname"]
"""


@pytest.fixture
def ttylab(tmp_path, monkeypatch):
    tmp_path.joinpath("m.toml").write_text(MATRIX)
    site = tmp_path / "site"
    monkeypatch.setenv("PYTHONPATH", f"{CHECKOUT}{os.pathsep}{site}")

    def call(*words: str, name: str = "acme-lab", files=FILES, groups=GROUPS) -> subprocess.CompletedProcess:
        tiny_kernel(install_package(site, name, files, groups) / "bzImage")
        return run(*words)

    def run(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-P", "-m", "harness", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def test_what_a_package_brings_is_listed_and_found(ttylab, tmp_path):
    listed = ttylab("scenarios", "list")
    assert "acme-uname" in listed.stdout, listed.stderr
    assert ttylab("run", "m.toml", "--list").stdout == "acme.pc.seabios.1.acme-uname\n"
    tmp_path.joinpath("console.log").write_bytes(b"[    5.000000] ACME FAULT 42\n")
    assert "ACME fault" in ttylab("scan", "console.log").stdout


@pytest.mark.parametrize(
    ("group", "changed", "said"),
    [
        ("ttylab.scenarios", "acme_lab.nowhere", "can't be loaded: ModuleNotFoundError: No module named"),
        ("ttylab.scenarios", "acme_lab:HERE", "SCENARIOS"),
        ("ttylab.signatures", "acme_lab.scenarios", "is no path; allowed: files of rules"),
        ("ttylab.images", "acme_lab.scenarios", ""),
        ("ttylab.images", "acme_lab:RULES", "unknown"),
    ],
)
def test_error_of_a_package_is_one_line_that_names_it(ttylab, tmp_path, group, changed, said):
    tmp_path.joinpath("console.log").write_bytes(b"nothing\n")
    words = {"ttylab.images": ("run", "m.toml", "--list"), "ttylab.signatures": ("scan", "console.log")}
    result = ttylab(*words.get(group, ("scenarios", "list")), groups=GROUPS | {group: changed})
    assert result.returncode == EXIT_USAGE
    (line,) = result.stderr.splitlines()
    assert f"package acme-lab: {group} acme_lab: " in line
    assert said in line


@pytest.mark.parametrize(
    ("group", "words", "thing"),
    [
        ("ttylab.scenarios", ("scenarios", "list"), "scenario 'acme-uname'"),
        ("ttylab.signatures", ("scan", "console.log"), "rule 'acme-fault'"),
        ("ttylab.images", ("run", "m.toml", "--list"), "images.acme"),
    ],
)
def test_two_packages_with_one_name_are_refused_naming_both(ttylab, tmp_path, group, words, thing):
    tmp_path.joinpath("console.log").write_bytes(b"nothing\n")
    assert ttylab(*words).returncode == 0
    other = {group: each.replace("acme_lab", "zeta_lab") for group, each in GROUPS.items()}
    result = ttylab(*words, name="zeta-lab", groups={group: other[group]})
    assert result.returncode == EXIT_USAGE
    (line,) = result.stderr.splitlines()
    assert all(word in line for word in ("package acme-lab", "package zeta-lab", thing))


def test_pytest_says_what_is_wrong_with_a_package_in_one_line(ttylab, tmp_path):
    ttylab("--version", groups={"ttylab.scenarios": "acme_lab.nowhere"})
    words = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "."]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.stderr.splitlines() if line]
    assert line.startswith(
        "ERROR: package acme-lab: ttylab.scenarios acme_lab: acme_lab.nowhere can't be loaded"
    )
