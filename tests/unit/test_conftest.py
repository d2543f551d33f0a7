"""The root conftest.py: how many workers `-n auto` is for ttylab's own tests, and what they begin with."""

import importlib.util
import os
from pathlib import Path
from types import SimpleNamespace

SPEC = importlib.util.spec_from_file_location("root_conftest", Path(__file__).parents[2] / "conftest.py")
assert SPEC is not None
assert SPEC.loader is not None
ROOT_CONFTEST = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(ROOT_CONFTEST)


def workers(*args: str, wanted: str = "auto") -> int | None:
    config = SimpleNamespace(args=list(args), option=SimpleNamespace(numprocesses=wanted))
    return ROOT_CONFTEST.pytest_xdist_auto_num_workers(config)


def test_tests_get_two_workers_a_core(monkeypatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    assert workers("tests") == workers() == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    assert workers("tests") == 2


def test_one_worker_a_core_is_left_to_xdist() -> None:
    assert workers("tests", wanted="logical") is None


def test_a_matrix_is_left_to_the_plug_in() -> None:
    assert workers("ci/push.toml") is None
    assert workers("ci/push.toml::test_cell[a.b]") is None


def test_long_tests_come_first_and_keep_their_order() -> None:
    names = ["ci/push.toml::test_cell[a]", "tests/unit/a.py::a", "tests/contract/a.py::a"]
    names += [
        "tests/qemu/b.py::b",
        "tests/qemu/a.py::a",
        "tests/test_architecture.py::a",
        "tests/clients/a.py::a",
    ]
    items = [SimpleNamespace(nodeid=name) for name in names]
    ROOT_CONFTEST.pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == [names[place] for place in (3, 4, 6, 2, 0, 1, 5)]
