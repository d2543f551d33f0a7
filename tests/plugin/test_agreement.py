"""What pytest saw of a cell and what the cell left must agree; whatever plug-ins do, red is never green."""

import json

import pytest

from harness.report.model import load_run
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_PASSED
from tests.support.matrix_project import FIXED, IDS, MATRIX, cells, run

FIRST = IDS[0]


def message(project: pytest.Pytester, cell_id: str = FIRST) -> tuple[str, str]:
    cell = cells(project)[cell_id]
    return cell.status, cell.message


def plug_in(project: pytest.Pytester, text: str) -> None:
    project.makeconftest(f"import pytest\n\nFIRST = {FIRST!r}\n\n{text}")


TEARDOWN = """
@pytest.fixture(autouse=True)
def bench(request):
    yield
    if FIRST in request.node.name:
        raise OSError("the relay did not open")
"""
FAILED_LATE = """
@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if FIRST in item.name and call.when == "call":
        report.outcome, report.longrepr = "failed", "a leak was seen"
    return report
"""
XFAIL = """
def pytest_collection_modifyitems(items):
    items[0].add_marker(pytest.mark.xfail(reason="known"))
"""
SKIP = """
def pytest_collection_modifyitems(items):
    items[0].add_marker(pytest.mark.skip(reason="no time for it"))
"""
SKIPPED_IN_FIXTURE = """
@pytest.fixture(autouse=True)
def bench(request):
    if FIRST in request.node.name:
        pytest.skip("no bench today")
"""
FIXTURE = """
@pytest.fixture(autouse=True)
def bench(request):
    if FIRST in request.node.name:
        raise ConnectionError("no bench")
"""
TIMEOUT = """
@pytest.fixture(autouse=True)
def timer(request, monkeypatch):
    if FIRST in request.node.name:
        def late(self):
            pytest.fail("Timeout (>1.0s) from a plug-in")
        monkeypatch.setattr("harness.run.cell_run.CellRun.run", late)
"""
FULL_DISK = """
@pytest.fixture(autouse=True)
def disk(request, monkeypatch):
    if FIRST in request.node.name:
        def full(self):
            raise OSError(28, "No space left on device")
        monkeypatch.setattr("harness.run.cell_run.CellRun.run", full)
"""
REPLACED = """
@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    return FIRST in pyfuncitem.name or None
"""


@pytest.mark.parametrize(
    ("text", "status", "said", "code"),
    [
        (TEARDOWN, "broken", "played: passed; but pytest reports an error: teardown: OSError: the relay", 3),
        (FAILED_LATE, "broken", "played: passed; but pytest reports an error: call: a leak was seen", 3),
        (FIXTURE, "broken", "not run: setup: ConnectionError: no bench", 3),
        (TIMEOUT, "broken", "no result: call: Failed: Timeout (>1.0s) from a plug-in", 3),
        (FULL_DISK, "broken", "[Errno 28] No space left on device", 3),
        (REPLACED, "broken", "no result, although pytest reports it as passed", 3),
        (SKIP, "skipped", "not run: no time for it", 0),
        (SKIPPED_IN_FIXTURE, "skipped", "not run: no bench today", 0),
    ],
)
def test_cell_that_passes_is_told_as_pytest_saw_it(project, text, status, said, code):
    plug_in(project, text)
    result = run(project, "-k", "bookworm")
    assert message(project)[0] == status
    assert message(project)[1].startswith(said)
    assert result.ret == code
    assert {cell.status for id_, cell in cells(project).items() if id_ != FIRST} == {"passed"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (XFAIL, "; pytest reports it as skipped (known)"),
        (TEARDOWN, "; pytest reports an error: teardown: OSError: the relay did not open"),
    ],
)
def test_cell_that_fails_stays_failed_whatever_pytest_was_told_to_expect(project, text, said):
    plug_in(project, text)
    result = run(project, "-k", "bookworm", bookworm_pc="fail")
    assert message(project)[0] == "failed"
    assert message(project)[1].startswith("'tty' ended with status 127")
    assert message(project)[1].endswith(said)
    assert result.ret == EXIT_FAILED


def test_what_pytest_counts_and_no_cell_tells_is_red(project):
    plug_in(project, "def pytest_sessionfinish(session):\n    session.testsfailed = 1\n")
    result = run(project, "-k", "bookworm")
    assert result.ret == EXIT_BROKEN
    result.stdout.fnmatch_lines(["pytest counts 1 failed, and no cell is among them"])


@pytest.mark.parametrize("workers", [(), ("-n", "2", "--maxschedchunk", "1")])
def test_cells_after_the_first_failure_are_not_run_and_say_why(project, workers):
    project.path.joinpath("behaviours.json").write_text(json.dumps({FIRST: "fail"}))
    result = project.runpytest_subprocess(*FIXED, "-x", *workers)
    assert result.ret == EXIT_FAILED
    found = cells(project)
    assert found[FIRST].status == "failed"
    unplayed = [cell for cell in found.values() if cell.status == "not-run"]
    assert {cell.message for cell in unplayed} == {"not run: stopping after 1 failures"}
    assert {cell.status for cell in found.values()} <= {"failed", "passed", "not-run"}
    assert load_run(project.path / "run").interrupted is False
    assert load_run(project.path / "run").summary["not-run"] == len(unplayed) > 0


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan"])
def test_cells_that_are_only_set_up_are_not_run(project, option):
    result = run(project, "-k", "bookworm", option)
    assert message(project) == (
        "not-run",
        "not run: pytest set it up and did not call it (--setup-only or --setup-plan)",
    )
    assert result.ret == EXIT_BROKEN


def test_session_that_a_plug_in_ends_says_so_and_is_red(project):
    plug_in(
        project,
        "def pytest_runtest_setup(item):\n"
        "    if FIRST not in item.name:\n        pytest.exit('the lab closes', returncode=0)\n",
    )
    result = run(project, "-k", "bookworm")
    assert [cell.status for cell in cells(project).values()] == ["passed", *["not-run"] * 3]
    assert message(project, IDS[1])[1] == "not run: the lab closes"
    assert result.ret == EXIT_BROKEN


def test_run_that_skips_every_cell_is_not_green(project):
    plug_in(project, "def pytest_runtest_setup(item):\n    pytest.skip('no bench today')\n")
    result = run(project, "-k", "bookworm")
    assert {cell.status for cell in cells(project).values()} == {"skipped"}
    assert result.ret == EXIT_BROKEN
    assert "no cell was played: 4 skipped, the first since not run: no bench today" in result.stdout.str()


def test_reason_of_the_end_is_kept_although_pytest_fails_to_show_it(project):
    plug_in(
        project,
        "from _pytest.terminal import TerminalReporter\n"
        "def pytest_configure(config):\n"
        "    def fails(self, excinfo):\n        raise OSError('no source')\n"
        "    TerminalReporter.pytest_keyboard_interrupt = fails\n"
        "def pytest_runtest_setup(item):\n"
        "    if FIRST not in item.name:\n        pytest.exit('the lab closes', returncode=0)\n",
    )
    result = project.runpytest_subprocess(*FIXED, "-k", "bookworm")
    assert "OSError: no source" in result.stderr.str()
    assert message(project, IDS[1])[1] == "not run: the lab closes"
    assert result.ret != EXIT_PASSED


def test_interrupted_run_keeps_what_it_has_and_names_the_rest(project):
    plug_in(
        project,
        "def pytest_runtest_setup(item):\n    if FIRST not in item.name:\n        raise KeyboardInterrupt\n",
    )
    result = run(project, "-k", "bookworm")
    assert [cell.status for cell in cells(project).values()] == ["passed", *["not-run"] * 3]
    assert message(project, IDS[1])[1] == "not run: the run was interrupted"
    assert result.ret == EXIT_INTERRUPTED


def test_ctrl_c_while_reports_are_made_loses_none(project):
    plug_in(
        project,
        "import os, signal\ndef pytest_sessionfinish(session):\n    os.kill(os.getpid(), signal.SIGINT)\n",
    )
    result = project.runpytest_subprocess(*FIXED, "-k", "bookworm")
    assert result.ret == EXIT_INTERRUPTED
    assert {cell.status for cell in cells(project).values()} == {"passed"}
    for name in ("junit.xml", "report/index.html"):
        assert (project.path / "run" / name).is_file()


def test_two_matrices_with_cells_in_common_hide_no_failure(project):
    """Each play has a directory of its own, and the worse one is told."""
    project.path.joinpath("again.toml").write_text(MATRIX.replace("small", "again"))
    plug_in(
        project,
        "import json, pathlib\n"
        "def pytest_runtest_setup(item):\n"
        "    fails = FIRST in item.name and 'small.toml' in item.nodeid\n"
        "    pathlib.Path('behaviours.json').write_text(json.dumps({FIRST: 'fail'} if fails else {}))\n",
    )
    result = project.runpytest_inprocess(*FIXED, "again.toml", "-k", "boot and pc")
    result.assert_outcomes(failed=1, passed=3)
    assert result.ret == EXIT_FAILED
    found = cells(project)
    assert len(found) == 2
    assert message(project)[1].startswith("1 of 2 times failed: 'tty' ended with status 127")
    directories = sorted(path.name for path in (project.path / "run" / "cells").iterdir())
    assert directories == sorted([FIRST, f"{FIRST}+2", IDS[4], f"{IDS[4]}+2"])


def test_plug_in_that_repeats_tests_repeats_cells(project):
    """As pytest-repeat does it: a parameter of its own beside the cell."""
    plug_in(
        project,
        "@pytest.fixture\ndef count(request):\n    return request.param\n"
        "@pytest.hookimpl(trylast=True)\n"
        "def pytest_generate_tests(metafunc):\n"
        "    metafunc.fixturenames.append('count')\n"
        "    metafunc.parametrize('count', [0, 1], indirect=True, ids=['1-2', '2-2'])\n",
    )
    result = run(project, "-k", "boot and pc")
    result.assert_outcomes(passed=4)
    assert result.ret == EXIT_PASSED
    assert list(cells(project)) == [FIRST, IDS[4]]
    assert message(project) == ("passed", "2 of 2 times passed")


def test_cell_that_passes_only_when_it_is_played_again_is_failed(project):
    """As pytest-rerunfailures does it: the same item again, the first report with its own outcome."""
    plug_in(
        project,
        "import json, pathlib\n"
        "from _pytest.runner import runtestprotocol\n"
        "def pytest_runtest_protocol(item, nextitem):\n"
        "    for report in runtestprotocol(item, log=False, nextitem=nextitem):\n"
        "        report.outcome = 'rerun' if report.failed else report.outcome\n"
        "        item.ihook.pytest_runtest_logreport(report=report)\n"
        "    pathlib.Path('behaviours.json').write_text('{}')\n"
        "    item._initrequest()\n"
        "    runtestprotocol(item, nextitem=nextitem)\n"
        "    return True\n",
    )
    result = run(project, "-k", "boot and pc and bookworm", bookworm_pc="fail")
    assert message(project)[0] == "failed"
    assert result.ret == EXIT_FAILED


def test_own_test_with_the_name_of_ours_is_none_of_the_cells(project):
    project.makepyfile(
        test_mine="import pytest\n\n@pytest.mark.parametrize('x', ['a'])\ndef test_cell(x):\n    pass\n"
    )
    result = project.runpytest_inprocess(*FIXED, "test_mine.py", "-k", "a or bookworm")
    assert result.ret == EXIT_PASSED


def test_run_needs_no_allure(project):
    result = project.runpytest_subprocess("-p", "no:allure_pytest", *FIXED, "-k", "bookworm")
    assert result.ret == EXIT_PASSED


# -- directories -------------------------------------------------------------------------------


def test_directory_of_a_run_is_never_overwritten(project):
    run(project, "-k", "bookworm", bookworm_pc="fail")
    before = {path: path.read_bytes() for path in (project.path / "run").rglob("*") if path.is_file()}
    result = run(project, "-k", "bookworm")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: */run holds a run already*choose another directory*"])
    assert {path: path.read_bytes() for path in before} == before


def test_directory_that_exists_and_holds_no_run_will_do(project):
    (project.path / "run").mkdir()
    (project.path / "run" / "notes.txt").write_text("mine")
    assert run(project, "-k", "bookworm").ret == EXIT_PASSED


def test_directory_that_cannot_be_made_is_the_labs_fault(project):
    (project.path / "run").write_text("a file")
    result = run(project, "-k", "bookworm")
    assert result.ret == EXIT_BROKEN
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_run_that_came_to_no_cell_leaves_no_directory(project):
    assert run(project, "-k", "nothing_of_it").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert not (project.path / "run").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MATRIX.replace("q35", "q36"), "*block.0: key 'machines'*'q36'*"),
        ("[matrix]\nname = ", "*small.toml*"),
    ],
)
@pytest.mark.parametrize("named", ["small.toml", "."])
def test_wrong_matrix_is_told_without_a_traceback_however_it_is_found(project, text, said, named):
    project.path.joinpath("small.toml").write_text(text)
    result = project.runpytest_inprocess(*FIXED[:-1], named)
    shown = result.stdout.str() + result.stderr.str()
    assert result.ret in {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED}
    assert "Traceback" not in shown
    assert "matrix_items.py" not in shown
    assert any("small.toml" in line for line in shown.splitlines())


def test_directory_of_ones_own_keeps_its_mode(project):
    (project.path / "run").mkdir(mode=0o755)
    run(project, "-k", "bookworm and boot")
    assert (project.path / "run").stat().st_mode & 0o777 == 0o755
    assert (project.path / "run" / "cells").stat().st_mode & 0o777 == 0o700


def test_workers_put_their_evidence_where_the_run_is_without_being_told(project):
    """xdist hands on only what the command line says, and that names no directory."""
    words = [word for word in FIXED if word not in {"--run-dir", "run"}]
    result = project.runpytest_subprocess(*words, "-n", "1", "-k", "bookworm and boot and pc")
    assert result.ret == EXIT_PASSED
    (run_json,) = (project.path / "results").glob("*/run.json")
    assert load_run(run_json.parent).summary["passed"] == 1
