"""Rules for every test of this checkout."""

import os
import signal
from collections.abc import Generator, Mapping

import pytest

pytest_plugins = ["pytester"]

Report = pytest.TestReport | pytest.CollectReport


def pytest_configure() -> None:
    """Undo what `nohup` does: children would inherit that SIGHUP is ignored, and tests send it to them."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)  # a handler of ours they don't inherit


def demands_everything(environment: Mapping[str, str]) -> bool:
    """Tell whether a test that does not run is a failure: in CI, and wherever REQUIRE_ALL is set."""
    return environment.get("REQUIRE_ALL", environment.get("CI", "")).lower() not in {"", "0", "false"}


def refuse_skip(report: Report) -> None:
    """Turn a skipped report into a failed one that keeps the reason."""
    if report.skipped and demands_everything(os.environ):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL or CI is set, so nothing may be skipped; this was: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Let `-n auto` be two workers a core: tests wait for guests as long as they compute.

    How many cells run at once is the plug-in's to say.
    """
    if config.option.numprocesses == "logical":  # one a core, for tests that wait for nothing
        return None
    plays_a_matrix = any(str(arg).partition("::")[0].endswith(".toml") for arg in config.args)
    return None if plays_a_matrix else len(os.sched_getaffinity(0)) * 2


LONGEST_FIRST = ("qemu", "clients", "web", "plugin", "packaging", "contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: rank(item.nodeid))


def rank(nodeid: str) -> int:
    """Return when a test's folder has its turn; the many that take no time come last."""
    folder = nodeid.removeprefix("tests/").partition("/")[0]
    return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)
