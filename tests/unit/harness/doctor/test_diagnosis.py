"""What the doctor says of a machine."""

import pytest

from harness.doctor.diagnosis import (
    AMPLE_DISK,
    GIB,
    GUEST_MIB,
    LEAST_DISK,
    Diagnosis,
    State,
    Unusable,
    debian_packages,
    of_caches,
    of_disk,
    of_host,
    of_images,
    of_leftovers,
    of_part,
    run_is_possible,
)

HEALTHY = (
    of_part("QEMU", "7.2.22, /usr/bin/qemu-system-x86_64"),
    of_images(["bookworm", "trixie"], []),
    of_disk("cache/images", AMPLE_DISK, writable=True),
    of_caches([("images", 5, "2026-11-30")], 5),
    of_host(2.0, 8 * GUEST_MIB),
    of_leftovers(0),
)
BROKEN = Unusable(problem="it is not here", remedy="apt-get install it")


def test_healthy_machine_can_run_and_needs_nothing() -> None:
    assert run_is_possible(HEALTHY)
    assert {(finding.state, finding.remedy) for finding in HEALTHY} == {(State.OK, "")}


@pytest.mark.parametrize(
    ("finding", "part"),
    [
        (of_part("setpriv", BROKEN), "setpriv"),
        (of_disk("cache", LEAST_DISK - 1, writable=True), "disk"),
        (of_host(2.0, GUEST_MIB - 1), "budget"),
    ],
)
def test_no_run_is_possible_without(finding: Diagnosis, part: str) -> None:
    assert not run_is_possible((*HEALTHY, finding))
    assert (finding.part, finding.state) == (part, State.MISSING)
    assert finding.remedy


@pytest.mark.parametrize(
    ("finding", "part", "remedy"),
    [
        (of_part("HTML report", BROKEN, fault=State.NOTE), "HTML report", "apt-get install it"),
        (of_part("lab.toml", BROKEN, fault=State.NOTE), "lab.toml", "apt-get install it"),
        (of_images(["bookworm"], ["sid"]), "images", "ttylab images build --all"),
        (of_disk("cache", AMPLE_DISK - 1, writable=True), "disk", "TTYLAB_CACHE"),
        (of_disk("cache", AMPLE_DISK, writable=False), "disk", "TTYLAB_CACHE"),
        (of_caches([("images", GIB, "2026-11-30")], GIB - 1), "caches", "ttylab images prune"),
        (of_leftovers(2), "leftovers", "ttylab gc"),
    ],
)
def test_a_run_is_possible_but_something_is_said_of(finding: Diagnosis, part: str, remedy: str) -> None:
    assert run_is_possible((*HEALTHY, finding))
    assert (finding.part, finding.state) == (part, State.NOTE)
    assert remedy in finding.remedy


def test_fault_is_told_in_its_own_words() -> None:
    finding = of_part("QEMU", BROKEN)
    assert (finding.detail, finding.remedy) == ("it is not here", "apt-get install it")


def missing(package: str) -> Diagnosis:
    remedy = f"apt-get install {package}, or name another one in TTYLAB_QEMU"
    return of_part("a part", Unusable(problem="missing", remedy=remedy))


def test_packages_are_those_that_the_findings_name_each_once() -> None:
    assert debian_packages((*HEALTHY, *map(missing, "bbac"))) == ("a", "b", "c")


@pytest.mark.parametrize(
    "seen",
    [
        "all there",
        Unusable(problem="only for users' own", remedy="apt-get install swtpm"),
        Unusable(problem="no package of Debian's", remedy="pip install x"),
        Unusable(problem="nobody can tell", remedy="apt-get install "),
    ],
)
def test_no_package_is_named_for_what_none_is_needed_for(seen: str | Unusable) -> None:
    assert debian_packages((*HEALTHY, of_part("a part", seen))) == ()
