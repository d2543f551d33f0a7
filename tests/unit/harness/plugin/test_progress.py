"""What a person sees while cells run: on a terminal in place, in a log now and then a line."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from harness.plugin import progress
from harness.plugin.plays import STATUS_PROPERTY, TELLS_PROPERTY, WAITS_PROPERTY
from harness.plugin.progress import RunProgress
from tests.support.fake_clock import FakeClock

CELL = "m.toml::test_cell[mine.pc.seabios.1.nmi-dazed]"


@pytest.fixture
def rig(monkeypatch):
    """Progress of a run, what it writes, and its beats, which come when they are called."""
    clock, beats = FakeClock(), []

    def made(beat):
        beats.append(beat)
        return SimpleNamespace(end=beats.clear)

    monkeypatch.setattr(progress, "SYSTEM_CLOCK", clock)
    monkeypatch.setattr(progress, "Beats", made)

    def open_progress(*, terminal):
        monkeypatch.setenv("CI", "" if terminal else "true")
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=120)
        config = SimpleNamespace(pluginmanager=SimpleNamespace(getplugin=lambda _: None))
        return RunProgress(config, console), out

    return SimpleNamespace(open=open_progress, clock=clock, beats=beats)


TELLS = {TELLS_PROPERTY: "survey of mine: its first boot", WAITS_PROPERTY: True}


def report(when: str, **properties: object) -> pytest.TestReport:
    return pytest.TestReport(
        CELL, ("m.toml", 1, "x"), {}, "passed", None, when, user_properties=[*properties.items()]
    )


def test_log_says_now_and_then_what_runs_and_what_it_waits_for(rig):
    shown, out = rig.open(terminal=False)
    shown.pytest_runtest_logstart(CELL)
    shown.pytest_runtest_logreport(report("setup", **TELLS))
    rig.clock.advance(31.0)
    (beat,) = rig.beats
    beat()
    shown.pytest_runtest_logreport(report("setup", **TELLS | {WAITS_PROPERTY: False}))
    beat()
    shown.pytest_runtest_logreport(report("call", **{STATUS_PROPERTY: "passed"}))
    beat()
    assert out.getvalue().splitlines() == [
        "ttylab: survey of mine: its first boot",
        "   31.0 s  mine.pc.seabios.1.nmi-dazed  survey of mine: its first boot",
        "ttylab: survey of mine: its first boot",
        "   31.0 s  mine.pc.seabios.1.nmi-dazed",
        "[  1/0] passed  mine.pc.seabios.1.nmi-dazed 31.0 s",
    ]
    shown.pytest_unconfigure()
    assert rig.beats == []


def test_terminal_shows_in_place_how_long_a_cell_runs_and_what_it_waits_for(rig):
    shown, out = rig.open(terminal=True)
    shown.pytest_runtest_logstart(CELL)
    shown.pytest_runtest_logreport(report("setup", **TELLS))
    rig.clock.advance(7.0)
    shown.pytest_unconfigure()
    assert "7.0 s  mine.pc.seabios.1.nmi-dazed  survey of mine: its first boot" in out.getvalue()
    assert rig.beats == []
