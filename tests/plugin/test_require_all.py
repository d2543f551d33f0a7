"""The root conftest.py: where everything is demanded, a skip is a failure."""

from pathlib import Path

import pytest

ROOT_CONFTEST = Path(__file__).parents[2] / "conftest.py"

SKIPS = """
import pytest

def test_passes():
    pass

@pytest.mark.skip(reason="no board here")
def test_is_marked():
    pass

def test_gives_up():
    pytest.skip("no QEMU here")
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    pytester.makeconftest(ROOT_CONFTEST.read_text(encoding="utf-8"))
    return pytester


def test_skips_stay_skips_when_nothing_demands_everything(project: pytest.Pytester) -> None:
    project.makepyfile(SKIPS)
    project.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1, skipped=2)


@pytest.mark.parametrize(("name", "value"), [("REQUIRE_ALL", "1"), ("CI", "true")])
def test_skips_fail_with_their_reason_when_everything_is_demanded(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    project.makepyfile(SKIPS)
    result = project.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1, errors=1)  # a marked skip ends in set-up
    result.stdout.fnmatch_lines(["*nothing may be skipped*no QEMU here*"])


def test_require_all_off_wins_over_ci(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("REQUIRE_ALL", "0")
    project.makepyfile(SKIPS)
    project.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1, skipped=2)


def test_a_module_that_skips_itself_fails_when_everything_is_demanded(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUIRE_ALL", "1")
    project.makepyfile("import pytest\npytest.importorskip('no_such_module_anywhere')\n")
    result = project.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*nothing may be skipped*no_such_module_anywhere*"])


def test_xdist_reports_the_failure_of_a_skip(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, bare_pytest
) -> None:
    monkeypatch.setenv("REQUIRE_ALL", "1")
    project.makepyfile(SKIPS)
    result = bare_pytest("-n", "1", plugins=("xdist.plugin",))
    result.assert_outcomes(passed=1, failed=1, errors=1)  # a marked skip ends in set-up
