"""What is said of a host that lacks what guests need."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from emulator.cloud.guest_plan import DEFAULT_IMAGE
from emulator.fleet.machine_fleet import AGAIN_S, MachineFleet, Readiness
from tests.support.fake_clock import FakeClock


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


def test_who_asks_during_a_look_waits_for_it_and_is_answered_in_turn(readiness, monkeypatch, tmp_path):
    looks = []
    seen = threading.Event()

    def look():
        looks.append(seen.wait(30))
        return ["no guests today"]

    monkeypatch.setattr(readiness, "find_problems", look)
    answered = []

    async def ask(fleet, name):
        answered.append((name, await fleet.problems()))

    async def ask_twice():
        with ThreadPoolExecutor(4) as executor:
            ground = SimpleNamespace(loop=asyncio.get_running_loop(), executor=executor)
            fleet = MachineFleet(ground, readiness, run_dir=tmp_path)
            tasks = [asyncio.create_task(ask(fleet, name)) for name in ("log", "health")]
            await asyncio.sleep(0)
            seen.set()
            await asyncio.gather(*tasks)

    asyncio.run(ask_twice())
    assert looks == [True]
    assert answered == [("log", ["no guests today"]), ("health", ["no guests today"])]
