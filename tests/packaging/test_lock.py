"""requirements.lock: what pyproject.toml asks for, pinned, with hashes, and nothing of one machine."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parents[2]
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ ;\\]+)(?P<rest>(?:.*\\\n)*.*)$", re.MULTILINE)


def read_pins(lock: str) -> dict[str, tuple[str, int]]:
    """Return version and number of hashes of each pinned package."""
    return {
        canonicalize_name(match["name"]): (match["version"], match["rest"].count("--hash=sha256:"))
        for match in PIN.finditer(lock)
    }


def complaints(requirements: Iterable[str], lock: str) -> Iterator[str]:
    pins = read_pins(lock)
    for text in requirements:
        requirement = Requirement(text)
        version, _ = pins.get(canonicalize_name(requirement.name), (None, 0))
        if version is None:
            yield f"{text} is not in requirements.lock; run: tox -e lock"
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{text} is locked at {version}; run: tox -e lock"
    yield from (f"{name} has no hash" for name, (_, hashes) in pins.items() if not hashes)
    for line in lock.splitlines():
        if not PIN.match(line) and not line.strip().startswith("--hash=sha256:"):
            yield f"not a pinned package: {line!r}"


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_lock_file_has_every_dependency_pinned_with_hashes(project: dict) -> None:
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    lock = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    assert list(complaints(wanted, lock)) == []


@pytest.mark.parametrize(
    ("lock", "complaint"),
    [
        ("rich==15.0 \\\n    --hash=sha256:00\n", "typer>=1 is not in requirements.lock; run: tox -e lock"),
        ("typer==0.9 \\\n    --hash=sha256:00\n", "typer>=1 is locked at 0.9; run: tox -e lock"),
        ("typer==1.2\n", "typer has no hash"),
        ("typer==1.2 \\\n    --hash=sha256:00\n--index-url x\n", "not a pinned package: '--index-url x'"),
    ],
)
def test_lock_check_says_no(lock: str, complaint: str) -> None:
    assert list(complaints(["typer>=1"], lock)) == [complaint]


def test_pytest_stays_below_the_version_that_scatters_groups(project: dict) -> None:
    (requirement,) = [Requirement(text) for text in project["dependencies"] if text.startswith("pytest>")]
    assert not requirement.specifier.contains("9.2.0")


def test_ttylab_can_be_linked_in_without_network() -> None:
    pins = read_pins((CHECKOUT / "requirements.lock").read_text(encoding="utf-8"))
    assert {"hatchling", "editables", "uv"} <= pins.keys()  # the launcher's last step has no index to ask
