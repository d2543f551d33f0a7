"""Users' own tests with ttylab's fixtures leave what cells leave, however pytest is started."""

import json
import re
import shlex
import xml.etree.ElementTree as ET

import pytest

from emulator.console.transcript import load_transcript
from harness.report.model import CellResult, load_run
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_FAILED, EXIT_PASSED
from tests.support.matrix_project import IDS

WORDS = ("-p", "tests.support.fake_lab", "-p", "no:cacheprovider", "-p", "no:randomly")
TESTS = '''
import pytest
from emulator.machine.control import Capability
from harness import Deadline

@pytest.fixture
def soon(lab):
    return Deadline.after(5, lab.clock)

def test_lives(guest, soon):
    """The guest lives.

    It answers.
    """
    guest.prove_life(soon)

def test_asserts(guest, soon):
    assert guest.check_output("tty", soon) == b"/dev/hvc0"

def test_waits_in_vain(console, guest, soon):
    console.expect(b"never", soon)

def test_panics(guest):
    raise AssertionError("not reached")

def test_is_silent_of_a_panic(guest, machine):
    machine.console.transcript.append(PANIC)

@pytest.mark.expects("panic")
def test_expects_a_panic(guest, machine):
    machine.console.transcript.append(PANIC)

@pytest.mark.xfail(reason="known")
def test_known(guest):
    assert 0

def test_bug(guest):
    None.nothing

def test_breaks(guest):
    pass

def test_skips(target, guest):
    target.require(frozenset({Capability.NMI}))

@pytest.mark.machine("q36")
def test_wrong(machine):
    pass

def test_plain():
    pass
'''
NODE = "test_own.py::test_{}"


@pytest.fixture
def own(project, monkeypatch):
    project.path.joinpath("small.toml").unlink()
    project.makepyfile(
        test_own=TESTS.replace("import pytest", "import pytest\nfrom tests.support.fake_guest import PANIC")
    )
    behaviours = {
        NODE.format("panics"): "panic",
        NODE.format("breaks"): "break",
        NODE.format("skips"): "skip",
    }
    project.path.joinpath("behaviours.json").write_text(json.dumps(behaviours))
    return project


def records(project: pytest.Pytester, run_dir: str = "") -> dict[str, CellResult]:
    directory = project.path / run_dir if run_dir else next(project.path.glob("results/*"))
    return {cell.cell.id: cell for cell in load_run(directory).cells}


EXPECTED = {
    "lives": ("passed", "none"),
    "asserts": ("failed", "test"),
    "waits_in_vain": ("failed", "timeout"),
    "panics": ("failed", "died"),
    "is_silent_of_a_panic": ("failed", "finding"),
    "expects_a_panic": ("passed", "none"),
    "known": ("skipped", "unsupported"),
    "bug": ("broken", "test"),
    "breaks": ("broken", "lab"),
    "skips": ("skipped", "unsupported"),
    "wrong": ("broken", "lab"),
}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_test_has_the_verdict_that_a_cell_would_have(own, workers):
    start = own.runpytest_inprocess if workers == "0" else own.runpytest_subprocess
    result = start(*WORDS, "-n", workers)
    assert result.ret == EXIT_FAILED
    result.assert_outcomes(passed=3, failed=5, errors=2, skipped=1, xfailed=1)
    found = records(own)
    assert {name: (one.status, one.reason) for name, one in found.items()} == {
        NODE.format(name): verdict for name, verdict in EXPECTED.items()
    }
    result.stdout.fnmatch_lines(
        ["11 cells, 2 passed, 4 failed, 3 broken, 2 skipped in *", "report: */index.html"]
    )


def test_record_has_text_transcript_findings_and_a_line_that_works(own):
    own.runpytest_inprocess(*WORDS, "-k", "lives or asserts or panics")
    (run_dir,) = own.path.glob("results/*")
    found = records(own)
    lives, asserts, panics = (found[NODE.format(name)] for name in ("lives", "asserts", "panics"))
    assert (lives.title, lives.cell.image, lives.cell.machine) == ("The guest lives.", "bookworm", "pc")
    assert lives.evidence[0].says == "the test passed"
    assert "assert b'/dev/ttyS0" in asserts.message
    assert re.search(r"\(test_own\.py:\d+\)$", asserts.message)
    assert [one.rule for one in panics.findings] == ["panic"]
    assert panics.evidence[0].says == panics.findings[0].title == "kernel panic: sysrq triggered crash"
    assert b"Kernel panic" in load_transcript(run_dir / panics.directory).read()
    for one in found.values():
        assert len(load_transcript(run_dir / one.directory)) == one.console_bytes > 0
        assert shlex.split(one.repro)[-1] == one.cell.id
    page = next(run_dir.joinpath("report", "cells").glob("*panics*.html")).read_text()
    assert "sysrq triggered crash" in page
    cases = {case.get("name"): case for case in ET.parse(run_dir / "junit.xml").iter("testcase")}
    assert cases[NODE.format("panics")].find("failure") is not None
    assert cases[NODE.format("lives")].find("failure") is None


def test_allure_shows_a_test_as_it_shows_a_cell(own):
    own.runpytest_inprocess(*WORDS, "-k", "lives or panics or asserts or bug", "--alluredir", "allure")
    results = [json.loads(file.read_text()) for file in own.path.joinpath("allure").glob("*-result.json")]
    assert sorted((one["fullName"], one["status"]) for one in results) == [
        (f"ttylab#{NODE.format(name)}", status)
        for name, status in (
            ("asserts", "failed"), ("bug", "broken"), ("lives", "passed"), ("panics", "failed"),
        )
    ]  # fmt: skip
    assert all(
        {"transcript", "reproduce"} <= {part["name"] for part in one["attachments"]} for one in results
    )


def test_test_whose_worker_is_killed_is_broken_with_its_transcript(own):
    own.path.joinpath("behaviours.json").write_text(json.dumps({NODE.format("lives"): "kill"}))
    result = own.runpytest_subprocess(*WORDS, "-n", "1", "-k", "lives")
    assert result.ret == EXIT_BROKEN
    lost = records(own)[NODE.format("lives")]
    assert (lost.status, lost.reason, lost.worker) == ("broken", "lab", "lost")
    assert lost.console_bytes > 0
    assert lost.repro.endswith(NODE.format("lives"))


def test_pytest_that_uses_no_guest_leaves_nothing(own):
    result = own.runpytest_inprocess(*WORDS, "-k", "plain")
    assert result.ret == EXIT_PASSED
    assert not own.path.joinpath("results").exists()
    assert "ttylab" not in result.stdout.str().split("passed")[0].splitlines()[-1]


def test_run_directory_and_reruns(own):
    result = own.runpytest_inprocess(*WORDS, "--run-dir", "kept", "-k", "lives")
    assert result.ret == EXIT_PASSED
    assert list(records(own, "kept")) == [NODE.format("lives")]
    again = own.runpytest_inprocess(*WORDS, "--run-dir", "kept", "-k", "lives")
    assert again.ret == pytest.ExitCode.USAGE_ERROR
    assert "holds a run already" in again.stderr.str()


def test_record_can_be_declined(own):
    own.makeini("[pytest]\nttylab_record = false\n")
    result = own.runpytest_inprocess(*WORDS, "-k", "lives or asserts")
    result.assert_outcomes(passed=1, failed=1)
    assert not own.path.joinpath("results").exists()


@pytest.mark.parametrize("workers", ["0", "1"])
def test_matrix_that_is_found_in_a_directory_leaves_a_record(project, workers):
    project.mkdir("lab").joinpath("small.toml").write_text(project.path.joinpath("small.toml").read_text())
    project.path.joinpath("small.toml").unlink()
    result = project.runpytest_subprocess(*WORDS, "-n", workers, "lab")
    assert result.ret == EXIT_PASSED
    assert sorted(records(project)) == IDS
    result.stdout.fnmatch_lines(["8 cells, 8 passed in *"])


def test_markers_that_name_several_guests_give_a_test_for_each(own):
    own.makepyfile(
        test_more="""
        import pytest

        @pytest.mark.image("bookworm", "trixie")
        @pytest.mark.machine("pc", "q35")
        def test_it(guest): pass

        @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.image("trixie"))])
        def test_param(guest, n): pass
        """
    )
    own.runpytest_inprocess(*WORDS, "test_more.py").assert_outcomes(passed=6)
    assert {(one.cell.image, one.cell.machine) for one in records(own).values()} == {
        (image, machine) for image in ("bookworm", "trixie") for machine in ("pc", "q35")
    }
    assert sum(one.cell.image == "trixie" for one in records(own).values()) == 3


def test_plugin_that_fails_at_a_tests_end_makes_it_red_once(own):
    own.makeconftest("def pytest_ttylab_cell_ends(result):\n    1 / 0\n")
    result = own.runpytest_inprocess(*WORDS, "-k", "lives")
    assert result.ret == EXIT_BROKEN
    result.assert_outcomes(passed=1, errors=1)
    (one,) = records(own).values()
    assert one.status == "broken"
    assert one.message.count("ZeroDivisionError") == 1


def test_console_elsewhere_is_kept_too(own):
    own.makepyfile(
        test_else="""
        import pytest
        from harness import Target
        from tests.support.fake_guest import FakeControl, FakeGuest, ScriptedTranscript
        from tests.support.fake_lab import CLOCK

        @pytest.fixture
        def target():
            guest = FakeGuest(transcript=ScriptedTranscript(clock=CLOCK))
            guest.boot()
            return Target(name="board", channel=guest, control=FakeControl(guest))

        def test_it(guest): pass
        """
    )
    own.runpytest_inprocess(*WORDS, "test_else.py").assert_outcomes(passed=1)
    (one,) = records(own).values()
    (run_dir,) = own.path.glob("results/*")
    assert (one.target, one.start) == ("elsewhere", "joined")
    assert b"Linux version" in load_transcript(run_dir / one.directory).read()


def test_machine_spec_of_ones_own_is_recorded_and_needs_no_image_of_ttylabs(own):
    own.makepyfile(
        test_mine="""
        import pytest
        from pathlib import Path
        from harness import MachineSpec, MachineType

        @pytest.fixture
        def machine_spec():
            return MachineSpec(name="mine", machine=MachineType.Q35, kernel=Path("/nowhere/bzImage"))

        @pytest.fixture
        def lab(lab, monkeypatch):
            monkeypatch.setattr(type(lab), "guest_image", None)
            return lab

        def test_it(guest): pass

        def test_two(from_state, lab):
            from_state("shell"), from_state("shell")
        """
    )
    own.runpytest_inprocess(*WORDS, "test_mine.py").assert_outcomes(passed=2)
    found = records(own)
    assert sorted(found) == ["test_mine.py::test_it", "test_mine.py::test_two", "test_mine.py::test_two#2"]
    assert {(one.cell.image, one.cell.machine) for one in found.values()} == {("mine", "q35")}
