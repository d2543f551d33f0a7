"""The host's TSC frequency: measured, rounded, and told only where it is asked for."""

import platform

import pytest

from emulator.machine import host as tsc


@pytest.fixture(autouse=True)
def forget():
    tsc.measure_tsc_khz.cache_clear()
    yield
    tsc.measure_tsc_khz.cache_clear()


def test_measure_tsc_agrees_with_itself_when_measured_twice():
    first = tsc.measure_tsc_khz()
    tsc.measure_tsc_khz.cache_clear()
    second = tsc.measure_tsc_khz()
    assert first is not None
    assert second is not None
    assert abs(first - second) <= first / 1000


def test_measure_tsc_is_in_the_range_of_real_processors():
    frequency = tsc.measure_tsc_khz()
    assert frequency is not None
    assert 500_000 < frequency < 8_000_000


def test_measure_tsc_is_none_on_another_processor(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert tsc.measure_tsc_khz() is None


def test_measure_tsc_is_none_where_no_executable_page_is_given(monkeypatch):
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError

    monkeypatch.setattr(tsc.mmap, "mmap", refuse)
    assert tsc.measure_tsc_khz() is None
