"""The clients' environments: made once, found ever after, never half-made; and their lock files."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import environments
from tests.clients.environments import HERE, LOCKS, InstallFailed, python_of

REGISTRIES = re.compile(r"https?://|pypi\.org|pythonhosted|npmjs|yarnpkg")
PIN = re.compile(r"^[a-z0-9._-]+==\S+( ;[^\\]*)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")

INSTALLS = """
if sys.argv[1] == "venv":
    python = pathlib.Path(sys.argv[-1]) / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
"""


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that makes uv do `act`; the cache is empty."""
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    program = tmp_path / "uv"
    monkeypatch.setattr(environments, "_uv_program", lambda: str(program))

    def does(act: str) -> None:
        program.write_text(f"#!{sys.executable}\nimport pathlib, sys\n{act}\n")
        program.chmod(0o755)

    return does


def test_environment_is_made_once_and_needs_no_network_again(uv: Callable[[str], None]) -> None:
    uv(INSTALLS)
    made = python_of("sdk1")
    assert made.is_file()
    uv("sys.exit('no network')")
    assert python_of("sdk1") == made


def test_environment_that_could_not_be_made_fails_and_leaves_nothing(
    uv: Callable[[str], None], tmp_path: Path
) -> None:
    uv(f"{INSTALLS}\nif sys.argv[1] == 'pip': sys.exit('no network')")
    with pytest.raises(InstallFailed, match="uv pip failed with 1: no network"):
        python_of("sdk1")
    assert {path.name for path in (tmp_path / "cache" / "clients").iterdir()} <= {"lock"}


def complaints(lock: str) -> list[str]:
    """Return the lines of a lock file that are not a pinned package or its hash."""
    return [line for line in lock.splitlines() if not PIN.match(line) and not HASH.match(line)]


@pytest.mark.parametrize("name", ["sdk1", "sdk2", "az"])
def test_lock_pins_what_is_wanted_with_hashes_and_names_no_registry(name: str) -> None:
    lock = (LOCKS / f"{name}.txt").read_text(encoding="utf-8")
    wanted = (LOCKS / f"{name}.in").read_text(encoding="utf-8").split()
    assert complaints(lock) == []
    assert not REGISTRIES.search(lock)
    assert [one for one in wanted if f"{one} \\" not in lock] == []


@pytest.mark.parametrize("lock", ["six==1.17.0\n", "--index-url https://x\n", "six>=1 \\\n"])
def test_lock_check_says_no(lock: str) -> None:
    assert complaints(lock)


def test_node_lock_pins_what_is_wanted_and_names_no_registry() -> None:
    text = (HERE / "node" / "package-lock.json").read_text(encoding="utf-8")
    lock = json.loads(text)["packages"]
    wanted = json.loads((HERE / "node" / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert not REGISTRIES.search(re.sub(r'"(funding|url|homepage)": "[^"]*"', "", text))
    assert {name: lock[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all(one.get("integrity", "").startswith("sha512-") for name, one in lock.items() if name)
