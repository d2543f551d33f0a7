"""What is said of a host that lacks what guests need."""

import pytest

from emulator.clock import FakeClock
from emulator.cloud.guest_plan import DEFAULT_IMAGE
from emulator.fleet.machine_fleet import AGAIN_S, Readiness


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def readiness(tmp_path, clock, monkeypatch):
    monkeypatch.setenv("TTYLAB_QEMU", str(tmp_path / "no-qemu"))
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    return Readiness(images=(DEFAULT_IMAGE, "nonesuch"), clock=clock)


def test_problems_name_what_is_missing_and_what_mends_it(readiness):
    problems = readiness.find_problems()
    assert any("no-qemu is missing; apt-get install qemu-system-x86" in one for one in problems)
    assert f"image {DEFAULT_IMAGE} is not built; run: ttylab images build {DEFAULT_IMAGE}" in problems
    assert any("nonesuch" in one for one in problems)


def test_problems_are_looked_up_again_after_a_while(readiness, clock, monkeypatch):
    before = readiness.find_problems()
    monkeypatch.setattr(readiness, "_images", ())
    assert readiness.find_problems() == before
    clock.advance(AGAIN_S + 1)
    assert len(readiness.find_problems()) == len(before) - 2
