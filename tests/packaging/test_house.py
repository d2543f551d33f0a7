"""The rules of the house: rooms import only what lies below them, and modules keep the style.

Imports are import-linter's, by the contracts in pyproject.toml. The other checkers take sources as values and
yield complaints, so each is also shown to say no to a made-up tree.
"""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("emulator", "harness")
FUNCTION_LIMIT = 50
MODULE_LIMIT = 500
MAY_PRINT = ("harness.cli", "harness.commands.")

parse = cache(ast.parse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One parsed source file."""

    name: str
    source: str
    is_package: bool = False

    @property
    def tree(self) -> ast.Module:
        return parse(self.source)


def read_modules(root: Path) -> dict[str, Module]:
    modules = {}
    for path in sorted(path for package in PACKAGES for path in (root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules[name] = Module(name=name, source=path.read_text(encoding="utf-8"), is_package=is_package)
    return modules


def complaints_of_size(modules: Mapping[str, Module]) -> Iterator[str]:
    for name, module in modules.items():
        lines = module.source.count("\n")
        if lines > MODULE_LIMIT:
            yield f"{name} has {lines} lines; the limit is {MODULE_LIMIT}"
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > FUNCTION_LIMIT:
                    yield f"{name}.{node.name} has {length} lines; the limit is {FUNCTION_LIMIT}"


def public_definitions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if not isinstance(
            node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) or node.name.startswith("_"):
            continue
        decorators = {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}
        if not decorators & {"overload", "setter", "override"}:
            yield f"{prefix}.{node.name}", node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node.body, f"{prefix}.{node.name}")


def complaints_of_docstrings(modules: Mapping[str, Module]) -> Iterator[str]:
    for name, module in modules.items():
        if not ast.get_docstring(module.tree):
            yield f"{name} has no docstring"
        for full_name, node in public_definitions(module.tree.body, name):
            if not ast.get_docstring(node):  # type: ignore[arg-type]
                yield f"{full_name} is public and has no docstring"


def complaints_of_calls(modules: Mapping[str, Module]) -> Iterator[str]:
    """A clock's own `sleep` may be called anywhere: tests move a fake clock."""
    for name, module in modules.items():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called == "print" and not name.startswith(MAY_PRINT):
                yield f"{name}:{node.lineno} prints; only the command line does"
            owner, _, last = called.rpartition(".")
            if last == "sleep" and name != "emulator.clock" and "clock" not in owner.lower():
                yield f"{name}:{node.lineno} calls {called}; waiting goes through a Clock"


def complaints_of_exceptions(modules: Mapping[str, Module]) -> Iterator[str]:
    trees = {"emulator.errors", "harness.scenario.errors"}
    for name in modules.keys() - trees:
        for node in ast.walk(modules[name].tree):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base).split(".")[-1] for base in node.bases}
                if any(base.endswith(("Error", "Exception")) for base in bases):
                    yield f"{name}.{node.name} is an exception; they stand in errors.py"


def lint_imports(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Hold the code of a checkout to its contracts."""
    program = Path(sys.executable).with_name("lint-imports")
    argv = [program, "--no-cache", "--no-logo"]
    return subprocess.run(argv, cwd=checkout, capture_output=True, text=True, check=False, timeout=120)


def copy_of_the_house(directory: Path) -> Path:
    """Return a checkout that has the packages and the contracts, to add something wrong to."""
    unneeded = shutil.ignore_patterns("node_modules", "*.pyc")
    for package in PACKAGES:
        shutil.copytree(CHECKOUT / package, directory / package, ignore=unneeded)
    shutil.copy(CHECKOUT / "pyproject.toml", directory)
    return directory


def test_contracts_are_kept() -> None:
    ended = lint_imports(CHECKOUT)
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("emulator/clock.py", "import harness.scenario.stages", "the emulator never imports the harness"),
        ("harness/scenario/stages.py", "import harness.play.runner", "rooms of the harness"),
        ("emulator/console/marks.py", "import emulator.machine.spec", "rooms of the emulator"),
        ("emulator/service/core/context.py", "import emulator.service.routes.page", "the service's rooms"),
        ("emulator/service/https/tls.py", "import emulator.service.state.store", "the service's rooms"),
        ("harness/play/judge.py", "import os", "pure"),
        ("emulator/console/pump.py", "import time", "only emulator.clock reads the time"),
    ],
)
def test_forbidden_import_is_refused(tmp_path: Path, module: str, statement: str, contract: str) -> None:
    house = copy_of_the_house(tmp_path)
    path = house / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n\n{statement}\n", encoding="utf-8")
    ended = lint_imports(house)
    assert ended.returncode == 1
    broken = [line for line in ended.stdout.splitlines() if line.startswith(contract) and "BROKEN" in line]
    assert broken, ended.stdout


def test_room_that_no_contract_names_is_refused(tmp_path: Path) -> None:
    house = copy_of_the_house(tmp_path)
    (house / "harness/attic").mkdir()
    (house / "harness/attic/__init__.py").write_text("")
    assert lint_imports(house).returncode == 1


@pytest.fixture(scope="module")
def modules() -> dict[str, Module]:
    found = read_modules(CHECKOUT)
    assert found
    return found


@pytest.mark.parametrize(
    "check", [complaints_of_size, complaints_of_docstrings, complaints_of_calls, complaints_of_exceptions]
)
def test_modules_keep_the_house_style(modules: dict[str, Module], check) -> None:
    assert list(check(modules)) == []


def made_up(**sources: str) -> dict[str, Module]:
    """Return a tree of modules; `__` in a name stands for a dot."""
    names = {name.replace("__", "."): source for name, source in sources.items()}
    return {name: Module(name=name, source=source) for name, source in names.items()}


def test_size_says_no_to_a_long_function_and_a_long_module() -> None:
    function = "def f():\n" + "    x = 1\n" * FUNCTION_LIMIT
    tree = made_up(emulator__a=function, emulator__b="x = 1\n" * (MODULE_LIMIT + 1))
    assert [text.split()[0] for text in complaints_of_size(tree)] == ["emulator.a.f", "emulator.b"]


def test_size_allows_the_limit_itself() -> None:
    tree = made_up(emulator__a="def f():\n" + "    x = 1\n" * (FUNCTION_LIMIT - 1))
    assert list(complaints_of_size(tree)) == []


def test_docstrings_say_no_to_public_things_without() -> None:
    source = (
        "class A:\n    '''X.'''\n    def b(self): ...\n    def _c(self): ...\ndef d():\n    def e(): ...\n"
    )
    assert list(complaints_of_docstrings(made_up(emulator__a=source))) == [
        "emulator.a has no docstring",
        "emulator.a.A.b is public and has no docstring",
        "emulator.a.d is public and has no docstring",
    ]


@pytest.mark.parametrize("call", ["print(1)", "time.sleep(1)", "sleep(0.1)", "await_(asyncio.sleep(1))"])
def test_calls_say_no(call: str) -> None:
    assert len(list(complaints_of_calls(made_up(emulator__pump=call)))) == 1


def test_calls_allow_a_clock_to_sleep_and_the_command_line_to_print() -> None:
    tree = made_up(
        emulator__pump="self._clock.sleep(0.001)", harness__cli="print(1)", harness__commands__gc="print(1)"
    )
    assert list(complaints_of_calls(tree)) == []


def test_exceptions_say_no_outside_the_tree() -> None:
    tree = made_up(
        emulator__pump="class Stuck(LabError): ...\n", emulator__errors="class A(Exception): ...\n"
    )
    assert list(complaints_of_exceptions(tree)) == [
        "emulator.pump.Stuck is an exception; they stand in errors.py"
    ]
