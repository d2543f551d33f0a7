"""The root conftest.py: how many workers `-n auto` is for ttylab's own tests."""

import importlib.util
import os
from pathlib import Path
from types import SimpleNamespace

SPEC = importlib.util.spec_from_file_location("root_conftest", Path(__file__).parents[2] / "conftest.py")
assert SPEC is not None
assert SPEC.loader is not None
ROOT_CONFTEST = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(ROOT_CONFTEST)


def workers(*args: str) -> int | None:
    return ROOT_CONFTEST.pytest_xdist_auto_num_workers(SimpleNamespace(args=list(args)))


def test_tests_get_half_as_many_workers_again_as_cores(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    assert workers("tests") == workers() == 6
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert workers("tests") == 2


def test_a_matrix_is_left_to_the_plug_in() -> None:
    assert workers("ci/push.toml") is None
    assert workers("ci/push.toml::test_cell[a.b]") is None
