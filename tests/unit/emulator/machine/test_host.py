import os

import psutil
import pytest

from emulator.machine.host import MIB, read_host_budget, worker_count


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host of 8 cores and 8 GiB, this process in /a/b, without limits."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 8192 * MIB}))
    group = tmp_path / "sys/fs/cgroup/a/b"
    group.mkdir(parents=True)
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("1:cpu:/x\n0::/a/b\n")
    return tmp_path


def test_budget_is_the_hosts_when_nothing_limits_it(host):
    (host / "sys/fs/cgroup/a/b/cpu.max").write_text("max 100000\n")
    (host / "sys/fs/cgroup/a/b/memory.max").write_text("max\n")
    budget = read_host_budget(host)
    assert (budget.cores, budget.memory_mib) == (8.0, 8192)


def test_budget_is_the_tightest_of_the_cgroup_and_its_parents(host):
    (host / "sys/fs/cgroup/a/cpu.max").write_text("150000 100000\n")
    (host / "sys/fs/cgroup/a/b/cpu.max").write_text("400000 100000\n")
    (host / "sys/fs/cgroup/a/b/memory.max").write_text(f"{1024 * MIB}\n")
    (host / "sys/fs/cgroup/a/b/memory.current").write_text(f"{24 * MIB}\n")
    budget = read_host_budget(host)
    assert (budget.cores, budget.memory_mib) == (1.5, 1000)


@pytest.mark.parametrize("text", ["", "garbage\n", "0::/../..\n", "0::/gone\n", "\xff"])
def test_budget_is_the_hosts_when_the_cgroup_is_unknown(host, text):
    (host / "proc/self/cgroup").write_text(text, encoding="latin-1")
    assert read_host_budget(host).cores == 8.0


@pytest.mark.parametrize(
    ("cores", "memory_mib", "expected"),
    [(2, 8000, 4), (1.5, 8000, 3), (8, 8000, 16), (8, 1000, 5), (0.25, 8000, 1), (8, 100, 1), (8, 0, 1)],
)
def test_worker_count_is_two_per_core_up_to_memory_and_never_none(cores, memory_mib, expected):
    assert worker_count(cores, memory_mib, per_machine_mib=200) == expected


def test_worker_count_heeds_the_cores_of_a_machine_and_the_callers_factor():
    assert worker_count(8, 8000, per_machine_mib=200, per_machine_cores=4) == 4
    assert worker_count(8, 8000, per_machine_mib=200, oversubscribe=1) == 8
