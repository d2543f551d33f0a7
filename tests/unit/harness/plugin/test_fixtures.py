"""`from_state` and `fork_pool` give the guest that the test's `machine_spec` describes, or say why not."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from emulator.errors import SpecError
from harness.plugin.fixtures import marked_guest, wanted_guest
from harness.run.wanted import named_snapshot
from harness.scenario.stages import Stage
from tests.support.fake_clock import FakeClock
from tests.support.fake_lab import FakeLab


@pytest.fixture
def bench(tmp_path):
    return FakeLab(run_dir=tmp_path, clock=FakeClock())


@pytest.fixture
def plain(bench):
    node = SimpleNamespace(get_closest_marker=lambda name: None, iter_markers=lambda name: ())
    return marked_guest(node, bench, {})


def test_overridden_machine_is_the_one_that_is_forked(bench, plain):
    own = replace(plain.spec, kernel=bench.run_dir / "my-kernel", memory_mib=512)
    wanted = wanted_guest("shell", {}, lab=bench, spec=own, marked=plain)
    assert (wanted.spec, wanted.stage) == (own, Stage.SHELL)


def test_plain_machine_is_the_one_that_all_snapshots_share(bench, plain):
    assert (
        wanted_guest("shell", {}, lab=bench, spec=plain.spec, marked=plain).spec
        == named_snapshot(bench, Stage.SHELL).spec
    )
    chosen = wanted_guest("shell", {"vcpus": 2}, lab=bench, spec=plain.spec, marked=plain)
    assert chosen.spec == named_snapshot(bench, Stage.SHELL, vcpus=2).spec


def test_image_that_is_named_is_meant_whatever_machine_the_test_has(bench, plain):
    own = replace(plain.spec, memory_mib=512)
    wanted = wanted_guest("login", {"image": "trixie"}, lab=bench, spec=own, marked=plain)
    assert wanted.spec == named_snapshot(bench, Stage.LOGIN, image="trixie").spec


def test_choice_beside_a_machine_of_ones_own_is_refused(bench, plain):
    own = replace(plain.spec, memory_mib=512)
    with pytest.raises(SpecError, match="asked for vcpus, and the test has a machine of its own"):
        wanted_guest("shell", {"vcpus": 2}, lab=bench, spec=own, marked=plain)


def test_machine_of_ones_own_has_the_stages_of_linux(bench, plain):
    own = replace(plain.spec, memory_mib=512)
    with pytest.raises(SpecError, match="no snapshot of a linux guest at sac"):
        wanted_guest("sac", {}, lab=bench, spec=own, marked=plain)


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (
            pytest.mark.board(firmwre="ovmf"),
            "the marker board: unknown word 'firmwre'; did you mean firmware?",
        ),
        (pytest.mark.expects("panik"), "names 'panik', and no rule is called so; did you mean panic"),
        (pytest.mark.expects("xyzzy-plugh"), "names 'xyzzy-plugh', and no rule is called so$"),
    ],
)
def test_word_of_a_marker_that_nothing_is_called_is_refused(bench, mark, said):
    marks = {mark.name: mark.mark}
    node = SimpleNamespace(
        get_closest_marker=marks.get, iter_markers=lambda name: [marks[name]] if name in marks else []
    )
    with pytest.raises(SpecError, match=said):
        marked_guest(node, bench, {})
