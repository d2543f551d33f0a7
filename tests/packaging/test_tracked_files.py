"""What git holds: nothing that only one machine has, and no address of a package registry."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
REGISTRIES = ("pypi.org", "pythonhosted.org", "npmjs.org", "npmjs.com", "yarnpkg.com")
MACHINE_PATH = re.compile(r"(?<![\w./}-])/(?:root|work|home/\w+)/")


def complaints(files: Mapping[str, str]) -> Iterator[str]:
    for name, text in files.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if found := MACHINE_PATH.search(line):
                yield f"{name}:{number} has a path of one machine: {found[0]}"
            yield from (f"{name}:{number} names the registry {host}" for host in REGISTRIES if host in line)


def tracked_files() -> dict[str, str]:
    argv = ["git", "-C", str(CHECKOUT), "ls-files", "-z"]
    listed = subprocess.run(argv, capture_output=True, check=True, timeout=30).stdout.decode().split("\0")
    paths = [CHECKOUT / name for name in listed if name and not name.startswith("tests/")]
    return {
        path.relative_to(CHECKOUT).as_posix(): path.read_bytes().decode("utf-8", "replace")
        for path in paths
        if path.is_file()
    }


def test_tracked_files_hold_nothing_of_one_machine() -> None:
    files = tracked_files()
    assert "pyproject.toml" in files
    assert list(complaints(files)) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("cd /root/ttylab", "a:1 has a path of one machine: /root/"),
        ("see '/home/ada/x'", "a:1 has a path of one machine: /home/ada/"),
        ("--index-url https://pypi.org/simple", "a:1 names the registry pypi.org"),
    ],
)
def test_check_says_no(line: str, complaint: str) -> None:
    assert list(complaints({"a": line})) == [complaint]


def test_check_allows_paths_that_every_machine_has_or_a_guest_has() -> None:
    assert list(complaints({"a": "/usr/bin/env /dev/ttyS0 {root}/work/x $HOME/root/y"})) == []


def test_ci_calls_exactly_the_readmes_test_command() -> None:
    (line, end) = (CHECKOUT / ".ci/run").read_text(encoding="utf-8").split("\n")[1:]
    corpus = 'TTYLAB_CORPUS="$PWD/../shared/corpus"'  # which a clone elsewhere may lack, and CI here may not
    assert (line.partition(" #")[0], end) == (f"exec env {corpus} ./ttylab test", "")
