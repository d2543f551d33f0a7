"""pytest-xdist's groups: one guest's tests must stay on one worker (pytest 9.2.0 scatters them silently)."""

from collections import defaultdict

import pytest

GROUPS = """
import pathlib
import pytest

HERE = pathlib.Path(__file__).parent

@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("group", [
    pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("bookworm", "trixie", "sid")
])
def test_cell(group, index, worker_id):
    (HERE / f"{group}.{index}.{worker_id}.seen").touch()
"""


def test_loadgroup_keeps_each_group_on_one_worker(pytester: pytest.Pytester, bare_pytest) -> None:
    pytester.makepyfile(GROUPS)
    result = bare_pytest("-n", "2", "--dist", "loadgroup", plugins=("xdist.plugin",))
    result.assert_outcomes(passed=18)
    workers = defaultdict(set)
    for seen in pytester.path.glob("*.seen"):
        group, _index, worker, _ = seen.name.split(".")
        workers[group].add(worker)
    assert {group: len(names) for group, names in workers.items()} == {"bookworm": 1, "trixie": 1, "sid": 1}
    assert (
        len(set.union(*workers.values())) == 2
    )  # and the groups are spread, or the first line would prove nothing
