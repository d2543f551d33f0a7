"""The page's modules without a browser: node's own checks and test runner."""

import re
import subprocess
from pathlib import Path

import pytest

from emulator.node_packages import find_node
from emulator.service.page.assets import SOURCES

MODULES = sorted(SOURCES.glob("*.js"))
LINES_MAX = 250
TESTS = Path(__file__).parent / "node"


def node(*arguments: str) -> subprocess.CompletedProcess[str]:
    found = find_node()
    assert found is not None
    return subprocess.run([found, *arguments], capture_output=True, text=True, timeout=120, check=False)


def complaints(source: str) -> list[str]:
    """Return what the page's rules say against a module."""
    forbidden = {
        "innerHTML": "markup from text",
        "outerHTML": "markup from text",
        "insertAdjacentHTML": "markup from text",
        "document.write": "markup from text",
        "eval(": "code from text",
        "new Function": "code from text",
        "document.cookie": "a cookie",
        "sessionStorage": "storage",
    }
    found = [why for word, why in forbidden.items() if word in source]
    found += ["an address of elsewhere"] * bool(re.search(r"[\"'`(]https?://", source))
    found += ["too long"] * (source.count("\n") > LINES_MAX)
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_module_keeps_the_rules(module) -> None:
    assert complaints(module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("a.innerHTML = b", "markup from text"),
        ("fetch('https://x')", "an address of elsewhere"),
        ("\n" * 251, "too long"),
    ],
)
def test_check_says_no(source, complaint) -> None:
    assert complaints(source) == [complaint]


def test_every_module_is_well_formed() -> None:
    for module in MODULES:
        done = node("--check", str(module))
        assert done.returncode == 0, done.stderr


def test_pure_modules_pass_their_own_tests() -> None:
    done = node("--test", *(str(path) for path in sorted(TESTS.glob("*.test.js"))))
    assert done.returncode == 0, done.stdout
    assert re.search(r"^# fail 0$|ℹ fail 0", done.stdout, re.MULTILINE)
