"""`ttylab bench`: a benchmark that fails takes no other figure with it."""

import json
from types import SimpleNamespace

import pytest

from harness import cli
from harness.commands import bench
from harness.commands.bench import Measurement
from harness.scenario.exit_codes import EXIT_BROKEN, EXIT_INTERRUPTED, EXIT_PASSED


def figure(name: str) -> list[Measurement]:
    return [
        Measurement(name=name, value=1.0, unit="s", baseline="", baseline_value=None, ratio=None, goal="less")
    ]


def fails(error: BaseException):
    def measure() -> list[Measurement]:
        raise error

    return measure


@pytest.fixture
def offer(monkeypatch):
    def provide(**groups):
        code = SimpleNamespace(PROVIDES={name: name for name in groups}, BENCHMARKS=groups)
        monkeypatch.setattr(bench, "_load", lambda: code)

    return provide


def test_figures_before_and_after_a_failure_are_shown(offer, capsys):
    offer(one=lambda: figure("one"), two=fails(ZeroDivisionError()), three=lambda: figure("three"))
    assert cli.main(["bench"]) == EXIT_BROKEN
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["one", "three"]
    assert err.splitlines()[-1] == "ttylab: error: not measured: two (ZeroDivisionError())"


@pytest.mark.parametrize(
    ("error", "code", "names"),
    [(ValueError("no"), EXIT_BROKEN, ["one", "three"]), (KeyboardInterrupt(), EXIT_INTERRUPTED, ["one"])],
)
def test_json_has_what_was_measured_until_then(offer, capsys, error, code, names):
    offer(one=lambda: figure("one"), two=fails(error), three=lambda: figure("three"))
    assert cli.main(["bench", "--json"]) == code
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == names


def test_figure_is_shown_before_the_next_is_measured(offer, capsys):
    shown = []

    def second() -> list[Measurement]:
        shown.append(capsys.readouterr().out.split()[0])
        return figure("two")

    offer(one=lambda: figure("one"), two=second)
    assert cli.main(["bench"]) == EXIT_PASSED
    assert shown == ["one"]
