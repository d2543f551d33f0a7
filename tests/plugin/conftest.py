"""pytest as a process of its own, which imports only what a test is about."""

from collections.abc import Callable
from typing import TypeAlias

import pytest

BarePytest: TypeAlias = Callable[..., pytest.RunResult]


@pytest.fixture
def bare_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> BarePytest:
    """Run pytest with the `plugins` that are named; importing all others takes longer than the test."""

    def run(*words: str, plugins: tuple[str, ...]) -> pytest.RunResult:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        named = [word for plugin in plugins for word in ("-p", plugin)]
        return pytester.runpytest_subprocess(*named, "-p", "no:cacheprovider", *words)

    return run
