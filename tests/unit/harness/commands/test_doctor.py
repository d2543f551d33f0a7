"""`ttylab doctor`: what it prints, and its exit code."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness import cli
from harness.commands import doctor
from harness.doctor import examination
from harness.doctor.diagnosis import Facts, State, Unusable, diagnose
from harness.scenario import exit_codes

HEALTHY = Facts(
    qemu="7.2.22, qemu-system-x86_64",
    accelerator="tcg: KVM is not usable",
    ovmf="OVMF_CODE_4M.fd",
    setpriv="setpriv",
    image_tools="apt-get",
    report="Node and Allure",
    windows_tools="qemu-img, swtpm",
    images_built=("bookworm",),
    images_missing=(),
    cache="cache",
    disk_free=1 << 40,
    cores=2.0,
    memory_mib=4096,
    leftovers=0,
)
NO_QEMU = replace(
    HEALTHY, qemu=Unusable(problem="QEMU [x] is missing", remedy="apt-get install qemu-system-x86")
)


def shown(facts: Facts, *, terminal: bool) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=110, color_system=None)
    doctor.show(diagnose(facts), console)
    return console.file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_doctor_shows_every_part_and_what_mends_it(terminal: bool) -> None:
    text = shown(NO_QEMU, terminal=terminal)
    assert [finding.part for finding in diagnose(NO_QEMU) if finding.part not in text] == []
    assert "QEMU [x] is missing" in text
    assert "apt-get install qemu-system-x86" in text


def test_doctor_prints_one_line_a_part_when_nobody_looks() -> None:
    assert len(shown(NO_QEMU, terminal=False).splitlines()) == len(diagnose(NO_QEMU))


@pytest.mark.parametrize(
    ("facts", "code"), [(HEALTHY, exit_codes.EXIT_PASSED), (NO_QEMU, exit_codes.EXIT_BROKEN)]
)
def test_exit_code_says_whether_a_run_is_possible(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], facts: Facts, code: int
) -> None:
    monkeypatch.setattr(examination, "examine", lambda: facts)
    assert cli.main(["doctor", "--json"]) == code
    answer = json.loads(capfd.readouterr().out)
    assert answer["possible"] == (code == exit_codes.EXIT_PASSED)
    assert set(answer["findings"][0]) == {"part", "state", "detail", "remedy"}


def test_examination_goes_on_where_everything_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {
        "PATH": str(tmp_path),
        "TTYLAB_CACHE": str(tmp_path / "a/b"),
        "HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    findings = {finding.part: finding for finding in diagnose(examination.examine())}
    missing = {part for part, finding in findings.items() if finding.state is State.MISSING}
    assert {"QEMU", "accelerator", "setpriv", "image tools"} <= missing
    assert findings["images"].detail.startswith("0 built; the next run builds ")
    assert not (tmp_path / "a").exists()  # looking changes nothing


@pytest.mark.parametrize(("facts", "said"), [(HEALTHY, "\n"), (NO_QEMU, "qemu-system-x86\n")])
def test_packages_alone_are_for_apt_get(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], facts: Facts, said: str
) -> None:
    monkeypatch.setattr(examination, "examine", lambda: facts)
    assert cli.main(["doctor", "--packages"]) == exit_codes.EXIT_PASSED
    assert capfd.readouterr() == (said, "")


@pytest.mark.parametrize(("user", "sudo"), [(0, ""), (1000, "sudo ")])
def test_one_command_installs_all_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], user: int, sudo: str
) -> None:
    monkeypatch.setattr(examination, "examine", lambda: NO_QEMU)
    monkeypatch.setattr(doctor.os, "geteuid", lambda: user)
    cli.main(["doctor"])
    command = f"{sudo}apt-get install --yes --no-install-recommends qemu-system-x86"
    assert capfd.readouterr().out.endswith(f"\nall at once: {command}\n")
