"""The words of `ttylab repeat`: what they plan, and what is refused before anything starts."""

from itertools import islice

import pytest

from emulator.errors import SpecError
from harness import cli
from harness.repeat.hunt import make_hunt, plan
from harness.repeat.plan import Jitter, draw_repetition
from harness.repeat.request import HuntRequest
from harness.scenario.exit_codes import EXIT_USAGE
from harness.scenarios import find_scenario

CELL = "bullseye.pc.seabios.1.sysrq-help"
HELP = find_scenario("sysrq-help")
ALL = frozenset(Jitter)


def numbers(most=500, **words):
    request = HuntRequest(cell=CELL, **words)
    hunt = make_hunt(request, seed=7, kinds=ALL, workers=4)
    return [one.number for one in islice(plan(request, hunt, HELP), most)]


@pytest.mark.parametrize(
    ("words", "planned"),
    [({}, 200), ({"count": 3}, 3), ({"seconds": 9.0}, None), ({"seconds": 9.0, "count": 3}, 3)],
)
def test_count_is_200_unless_it_or_a_time_is_given(words, planned):
    assert HuntRequest(cell=CELL, **words).planned == planned
    assert numbers(**words) == list(range(1, (planned or 500) + 1))


def test_only_plays_that_repetition_of_the_same_plan():
    request = HuntRequest(cell=CELL, seed=7, only=17)
    hunt = make_hunt(request, seed=7, kinds=ALL, workers=4)
    assert list(plan(request, hunt, HELP)) == [draw_repetition(17, seed=7, kinds=ALL, scenario=HELP)]
    assert (hunt.planned, hunt.jobs) == (1, 1)


@pytest.mark.parametrize(
    ("words", "jobs"),
    [({}, 4), ({"jobs": "9"}, 9), ({"jobs": "9", "count": 2}, 2), ({"seconds": 1.0}, 4)],
)
def test_jobs_are_as_many_as_the_host_carries_or_as_asked_for(words, jobs):
    assert make_hunt(HuntRequest(cell=CELL, **words), seed=7, kinds=ALL, workers=4).jobs == jobs


def test_hunt_knows_what_a_reproduction_needs_besides():
    request = HuntRequest(cell=CELL, cold=True, time_scale=2.5)
    hunt = make_hunt(request, seed=7, kinds=ALL, workers=4)
    assert hunt.options == ("--cold", "--time-scale", "2.5")
    assert make_hunt(HuntRequest(cell=CELL), seed=7, kinds=ALL, workers=4).options == ()


def test_icount_is_a_kind_with_tcg_and_one_vcpu():
    assert HuntRequest(cell=CELL).kinds(vcpus=1, tcg=True) == ALL


@pytest.mark.parametrize(
    ("vcpus", "tcg", "why"),
    [(1, False, "guests run under KVM here"), (2, True, "the cell has 2 vCPUs")],
)
def test_icount_is_left_out_where_it_cannot_be_and_refused_if_asked_for(vcpus, tcg, why):
    assert HuntRequest(cell=CELL).kinds(vcpus=vcpus, tcg=tcg) == ALL - {Jitter.ICOUNT}
    assert HuntRequest(cell=CELL, jitter="none").kinds(vcpus=vcpus, tcg=tcg) == frozenset()
    with pytest.raises(SpecError, match=f"allowed: no icount, as {why}"):
        HuntRequest(cell=CELL, jitter="load,icount").kinds(vcpus=vcpus, tcg=tcg)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-j", "0"], "--jobs is '0'; allowed: auto, or a number from 1 on"),
        (["-j", "many"], "--jobs is 'many'"),
        (["--hold-on-failure=soon"], "--hold-on-failure=soon: need minutes, up to 1440"),
        (["--jitter", "noise"], "--jitter is 'noise'; allowed: none, or some of load, icount, delay"),
        (["--only", "3"], "it needs --seed, and takes no -n"),
        (["--only", "3", "--seed", "1", "-n", "2"], "it needs --seed, and takes no -n"),
        (["--time-scale", "0"], "--time-scale is 0.0; allowed: above 0"),
        (["-n", "0"], "-n"),
        (["--for", "0"], "--for is 0; allowed: above 0 s"),
        (["--seed", "-1"], "--seed"),
        (["--run-dir", "."], "which exists already; allowed: a new directory"),
    ],
)
def test_wrong_words_are_refused_with_what_is_right(words, said, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").touch()
    assert cli.main(["repeat", CELL, *words]) == EXIT_USAGE
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert [path.name for path in tmp_path.iterdir()] == ["something"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("bullseye.pc.seabios.1.sysrq-hlep", "unknown scenario 'sysrq-hlep'; did you mean sysrq-help"),
        ("bullseye.pc.seabios.1", "has 4 parts"),
        ("bullseye.microvm.seabios.1.power-button", "can't be played: microvm can't do"),
        ("bullseye.pc.seabios.1.smp-boot", "can't be played: smp-boot takes 2 vCPUs"),
    ],
)
def test_cell_that_cannot_be_is_refused(cell, said, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["repeat", cell]) == EXIT_USAGE
    assert said in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
