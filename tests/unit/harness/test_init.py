"""The names that test authors import from `harness`: all load, and each is documented; ttylab uses none."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

import harness

CHECKOUT = Path(__file__).parents[3]
PAGE = CHECKOUT / "docs/howto/api.md"
SOURCE = (CHECKOUT / "harness/__init__.py").read_text(encoding="utf-8")
PACKAGES = ("emulator", "harness")


def documented(page: str) -> list[str]:
    """Return the names that a page lists with a line about each."""
    return re.findall(r"^\* `(\w+)`: \S", page, re.MULTILINE)


def disagreements(declared: Iterable[str], listed: Iterable[str]) -> Iterator[str]:
    ours, theirs = list(declared), list(listed)
    yield from (f"{name} is not documented" for name in ours if name not in theirs)
    yield from (f"{name} is documented, but not there" for name in theirs if name not in ours)
    twice = {name for names in (ours, theirs) for name in names if names.count(name) > 1}
    yield from (f"{name} is named twice" for name in sorted(twice))


def imports_of_the_api(sources: Mapping[str, str]) -> Iterator[str]:
    """Yield each module that imports from `harness` itself, which would tie the folders into a knot."""
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if (isinstance(node, ast.ImportFrom) and node.module == "harness" and not node.level) or (
                isinstance(node, ast.Import) and any(alias.name == "harness" for alias in node.names)
            ):
                yield f"{name}:{node.lineno} imports from harness; import from the module"


def names_for_type_checkers(source: str) -> dict[str, str]:
    """Return the module from which the block for type checkers imports each name."""
    (block,) = (node for node in ast.parse(source).body if isinstance(node, ast.If))
    return {
        alias.name: node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("name", harness.__all__)
def test_name_loads(name: str) -> None:
    assert getattr(harness, name).__name__ == name
    assert name in dir(harness)


def test_every_name_is_documented_once() -> None:
    assert list(disagreements(harness.__all__, documented(PAGE.read_text(encoding="utf-8")))) == []


def test_type_checkers_see_what_is_loaded() -> None:
    loaded = {name: module for module, names in harness._MODULES.items() for name in names}
    assert names_for_type_checkers(SOURCE) == loaded
    assert sorted(loaded) == sorted(harness.__all__)


def test_no_module_imports_from_the_api() -> None:
    paths = [path for package in PACKAGES for path in (CHECKOUT / package).rglob("*.py")]
    sources = {path.relative_to(CHECKOUT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    assert len(sources) > 100
    assert list(imports_of_the_api(sources)) == []


def test_import_of_the_package_loads_no_module_of_ours() -> None:
    program = "import sys, harness; print(*sorted(n for n in sys.modules if n.split('.')[0] in sys.argv[1:]))"
    argv = [sys.executable, "-P", "-c", program, *PACKAGES]
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["harness"]


def test_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'harness' has no attribute 'Scenari'"):
        _ = harness.Scenari
    with pytest.raises(ImportError, match="Scenari"):
        exec("from harness import Scenari")


@pytest.mark.parametrize(
    ("declared", "page", "complaint"),
    [
        (["Deadline", "Screen"], "* `Deadline`: a moment\n", "Screen is not documented"),
        (["Deadline"], "* `Deadline`:\n", "Deadline is not documented"),
        (["Deadline"], "* `Deadline`: a moment\n* `Clock`: another\n", "Clock is documented, but not there"),
        (["Deadline"], "* `Deadline`: a moment\n* `Deadline`: again\n", "Deadline is named twice"),
    ],
)
def test_documentation_says_no(declared: list[str], page: str, complaint: str) -> None:
    assert list(disagreements(declared, documented(page))) == [complaint]


@pytest.mark.parametrize(
    "statement",
    ["from harness import Deadline", "import harness", "def f():\n    from harness import Session"],
)
def test_import_from_the_api_says_no(statement: str) -> None:
    (complaint,) = imports_of_the_api({"harness/run/lab.py": statement})
    assert complaint.startswith("harness/run/lab.py:")


def test_import_from_a_module_says_yes() -> None:
    sources = {"harness/run/lab.py": "from harness.run import result\nimport harness.run.result\n"}
    assert list(imports_of_the_api(sources)) == []


def test_block_for_type_checkers_that_lacks_a_name_is_seen() -> None:
    assert "Deadline" not in names_for_type_checkers(SOURCE.replace("import Deadline", "import Clock"))
