"""Real guests: a package's kernel, scenario and signature, and a user's tests that leave what cells leave."""

import os
import shlex
import subprocess
import sys

import pytest

from emulator import places
from emulator.console.transcript import load_transcript
from emulator.images.store import ImageStore
from harness.commands.run import USELESS_PLUGINS
from harness.report.model import load_run
from harness.scenario.exit_codes import EXIT_FAILED
from tests.support.brought_package import install_package

pytestmark = pytest.mark.qemu
CACHE = places.cache()  # what is built need not be built again
SCENARIOS = """
from harness import Reach, Run, Scenario, Stage

SCENARIOS = (
    Scenario(
        name="acme-fault",
        title="a fault of ACME's",
        description="a scenario of a package",
        steps=(Reach(stage=Stage.SHELL), Run(command="echo ACME FAULT 42 > /dev/kmsg"), Run(command="true")),
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
RULES = Path(__file__).parent / "rules.toml"
LAB = Path(__file__).parent / "lab.toml"
"""
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
scenarios = ["acme-fault"]
"""
TESTS = """
import pytest
from harness import Deadline

pytestmark = pytest.mark.image("acme")

@pytest.mark.from_state("shell")
def test_asserts(guest):
    assert guest.check_output("hostname", Deadline.after(60)) == b"no such name"

def test_two_forks_of_one_kernel(from_state):
    one, other = from_state("shell"), from_state("shell")
    assert one.machine.spec.kernel == other.machine.spec.kernel
    other.guest.prove_life(Deadline.after(60))

@pytest.mark.kernel_args("rdinit=/nowhere", "panic=0")
def test_panics(guest):
    pass
"""
CELL = "acme.pc.seabios.1.acme-fault"


@pytest.fixture
def start(tmp_path, monkeypatch):
    kernel = ImageStore().ensure("bookworm").bzimage
    lab = f'[images.acme]\nkernel = "{kernel}"\ninitrd = "ttylab"\n'
    files = {"scenarios.py": SCENARIOS, "rules.toml": RULES, "lab.toml": lab, "__init__.py": PATHS}
    install_package(tmp_path / "site", "acme-lab", files, GROUPS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)]))
    monkeypatch.setenv("TTYLAB_CACHE", str(CACHE))
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    work = tmp_path / "work"
    work.mkdir()
    work.joinpath("acme.toml").write_text(MATRIX)
    work.joinpath("test_acme.py").write_text(TESTS)

    def run(words: list[str]) -> subprocess.CompletedProcess:
        return subprocess.run(words, cwd=work, capture_output=True, text=True, check=False)

    return run, work


def test_package_and_own_tests_on_a_kernel_of_ones_own(start):
    run, work = start
    unwanted = [word for name in USELESS_PLUGINS for word in ("-p", f"no:{name}")]
    pytest_here = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", *unwanted]
    ended = run([*pytest_here, "-n", "2", "--run-dir", "run", "."])
    assert ended.returncode == EXIT_FAILED, ended.stdout + ended.stderr
    found = {cell.cell.id: cell for cell in load_run(work / "run").cells}
    assert {name: (one.status, one.reason) for name, one in found.items()} == {
        CELL: ("failed", "finding"),
        "test_acme.py::test_asserts": ("failed", "test"),
        "test_acme.py::test_panics": ("failed", "died"),
        "test_acme.py::test_two_forks_of_one_kernel": ("passed", "none"),
        "test_acme.py::test_two_forks_of_one_kernel#2": ("passed", "none"),
    }
    assert [one.title for one in found[CELL].findings] == ["ACME fault"]
    panic = found["test_acme.py::test_panics"].findings[-1]
    assert (panic.rule, panic.expected) == ("panic", False)
    assert all(one.image["own"] == "kernel" for one in found.values())
    assert all(
        one.start.startswith("forked from shell") for name, one in found.items() if "panics" not in name
    )
    for one in found.values():
        assert len(load_transcript(work / "run" / one.directory)) == one.console_bytes > 0
    again = run(shlex.split(found["test_acme.py::test_asserts"].repro))
    assert again.returncode == EXIT_FAILED
    assert "FAILED  test_acme.py::test_asserts: assert b'" in again.stdout
