"""pytest as a process of its own, which imports only what a test is about."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

from tests.support.matrix_project import CHECKOUT, MATRIX

BarePytest: TypeAlias = Callable[..., pytest.RunResult]


@pytest.fixture
def bare_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> BarePytest:
    """Run pytest with the `plugins` that are named; importing all others takes longer than the test."""

    def run(*words: str, plugins: tuple[str, ...]) -> pytest.RunResult:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        named = [word for plugin in plugins for word in ("-p", plugin)]
        return pytester.runpytest_subprocess(*named, "-p", "no:cacheprovider", *words)

    return run


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    for name in ("CI", "REQUIRE_ALL", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    monkeypatch.setenv("TTYLAB_STATE", str(pytester.path / "state"))
    pytester.path.joinpath("small.toml").write_text(MATRIX)
    return pytester
