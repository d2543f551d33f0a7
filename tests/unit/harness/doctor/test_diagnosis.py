"""What the doctor says of a machine."""

from dataclasses import replace

import pytest

from harness.doctor.diagnosis import (
    AMPLE_DISK,
    GUEST_MIB,
    LEAST_DISK,
    Facts,
    State,
    Unusable,
    debian_packages,
    diagnose,
    run_is_possible,
)

HEALTHY = Facts(
    qemu="QEMU 7.2.22, /usr/bin/qemu-system-x86_64",
    accelerator="tcg: kvm stopped in long mode",
    ovmf="OVMF_CODE_4M.fd",
    setpriv="/usr/bin/setpriv",
    image_tools="apt-get, dpkg-deb",
    report="Node 24, Allure 3",
    windows_tools="qemu-img, swtpm",
    images_built=("bookworm", "trixie"),
    images_missing=(),
    cache="cache/images",
    disk_free=AMPLE_DISK,
    cores=2.0,
    memory_mib=8 * GUEST_MIB,
    leftovers=0,
)
BROKEN = Unusable(problem="it is not here", remedy="apt-get install it")


def test_healthy_machine_can_run_and_needs_nothing() -> None:
    findings = diagnose(HEALTHY)
    assert run_is_possible(findings)
    assert {(finding.state, finding.remedy) for finding in findings} == {(State.OK, "")}


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"qemu": BROKEN}, "QEMU"),
        ({"accelerator": BROKEN}, "accelerator"),
        ({"ovmf": BROKEN}, "UEFI firmware"),
        ({"setpriv": BROKEN}, "setpriv"),
        ({"image_tools": BROKEN, "images_missing": ("sid",)}, "image tools"),
        ({"disk_free": LEAST_DISK - 1}, "disk"),
        ({"memory_mib": GUEST_MIB - 1}, "budget"),
    ],
)
def test_no_run_is_possible_without(changes: dict[str, object], part: str) -> None:
    findings = diagnose(replace(HEALTHY, **changes))
    assert not run_is_possible(findings)
    (missing,) = [finding for finding in findings if finding.state is State.MISSING]
    assert missing.part == part
    assert missing.remedy


@pytest.mark.parametrize(
    ("changes", "part", "remedy"),
    [
        ({"report": BROKEN}, "HTML report", "apt-get install it"),
        ({"windows_tools": BROKEN}, "your Windows", "apt-get install it"),
        ({"image_tools": BROKEN}, "image tools", "apt-get install it"),
        ({"images_missing": ("sid",)}, "images", "ttylab images build --all"),
        ({"disk_free": AMPLE_DISK - 1}, "disk", "TTYLAB_CACHE"),
        ({"leftovers": 2}, "leftovers", "ttylab gc"),
        ({"lab": BROKEN}, "lab.toml", "apt-get install it"),
    ],
)
def test_a_run_is_possible_but_something_is_said_of(
    changes: dict[str, object], part: str, remedy: str
) -> None:
    findings = diagnose(replace(HEALTHY, **changes))
    assert run_is_possible(findings)
    (note,) = [finding for finding in findings if finding.state is State.NOTE]
    assert note.part == part
    assert remedy in note.remedy


def test_fault_is_told_in_its_own_words() -> None:
    finding = diagnose(replace(HEALTHY, qemu=BROKEN))[0]
    assert (finding.detail, finding.remedy) == ("it is not here", "apt-get install it")


def missing(package: str) -> Unusable:
    return Unusable(
        problem="missing", remedy=f"apt-get install {package}, or name another one in TTYLAB_QEMU"
    )


def test_packages_are_those_that_the_findings_name_each_once() -> None:
    facts = replace(
        HEALTHY, qemu=missing("b"), accelerator=missing("b"), ovmf=missing("a"), image_tools=missing("c")
    )
    assert debian_packages(diagnose(facts)) == ("a", "b", "c")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"windows_tools": Unusable(problem="only for users' own", remedy="apt-get install swtpm")},
        {"report": Unusable(problem="no package of Debian's", remedy="pip install x")},
        {"qemu": Unusable(problem="nobody can tell", remedy="apt-get install ")},
    ],
)
def test_no_package_is_named_for_what_none_is_needed_for(changes: dict[str, object]) -> None:
    assert debian_packages(diagnose(replace(HEALTHY, **changes))) == ()


def test_boards_are_told_and_one_that_is_missing_stops_no_run() -> None:
    findings = diagnose(replace(HEALTHY, boards={"board bench1": "opens; has reset", "board bench2": BROKEN}))
    assert run_is_possible(findings)
    assert [(one.part, one.state) for one in findings[-2:]] == [
        ("board bench1", State.OK),
        ("board bench2", State.NOTE),
    ]
