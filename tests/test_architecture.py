"""The rules of ARCHITECTURE.md, read from its import table and enforced on every module.

Run as a program, it adds the rows of new modules and drops those of dead ones; it leaves the others alone.
Each checker takes sources as values and yields complaints, so each is also shown to say no to a made-up tree.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PACKAGES = ("emulator", "harness")
FUNCTION_LIMIT = 50
MODULE_LIMIT = 600
# fmt: off
IMPURE = frozenset({
    "asyncio", "ctypes", "fcntl", "http", "mmap", "multiprocessing", "os", "pexpect", "psutil", "pty",
    "random", "select", "selectors", "serial", "shutil", "signal", "socket", "ssl", "subprocess", "tempfile",
    "termios", "threading", "time", "tty", "urllib",
})
# fmt: on
VALUES = frozenset({"emulator.clock", "emulator.console.transcript", "emulator.values"})
"""They act; pure modules use them for values: a Deadline, a transcript to read, a checked table."""
MAY_PRINT = ("harness.cli", "harness.commands.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the import table; a name in `may_import` stands for its submodules too."""

    pure: bool
    may_import: tuple[str, ...]


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


def read_table(markdown: str) -> dict[str, Row]:
    """Return the rows of the table whose header is `| module | pure | may import |`."""
    lines = iter(markdown.splitlines())
    rows = {}
    for line in lines:
        if [cell.strip() for cell in line.strip().strip("|").split("|")] == ["module", "pure", "may import"]:
            next(lines)
            break
    for line in lines:
        if not line.startswith("|"):
            break
        name, pure, imports = (cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|"))
        rows[name] = Row(
            pure=pure == "yes",
            may_import=tuple(part for part in imports.replace(",", " ").split() if part != "-"),
        )
    return rows


def imports_of(module: Module, known: Mapping[str, Module]) -> set[str]:
    """Return the names imported anywhere in `module`; `from package import module` names the module."""
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(
                name if (name := f"{node.module}.{alias.name}") in known else node.module
                for alias in node.names
            )
    return found


def covers(allowed: str, name: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


def package_of(name: str, known: Mapping[str, Module]) -> str:
    """Return the package below the top level that `name` is, or is part of, else `name` itself."""
    parent = name.rpartition(".")[0]
    return parent if parent in known and parent not in PACKAGES else name


def acts(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] in IMPURE and not name.startswith("urllib.parse")


def pure_modules(known: Mapping[str, Module]) -> set[str]:
    """Return the modules that act neither by themselves nor through what they import."""
    imports = {name: imports_of(module, known) for name, module in known.items()}
    pure = {name for name, imported in imports.items() if not any(map(acts, imported))}
    while impure := {name for name in pure if (imports[name] & known.keys()) - pure - VALUES}:
        pure -= impure
    return pure


def row_for(module: Module, known: Mapping[str, Module]) -> str:
    """Return the table row that describes `module` as it is, for a reader to judge and paste."""
    imported = imports_of(module, known)
    own = package_of(module.name, known)
    first_party = sorted(
        {package_of(name, known) for name in imported if name.split(".")[0] in PACKAGES} - {own}
    )
    pure = "yes" if module.name in pure_modules(known) else "no"
    return f"| `{module.name}` | {pure} | {', '.join(f'`{name}`' for name in first_party) or '-'} |"


def renew_table(markdown: str, modules: Mapping[str, Module]) -> str:
    """Return `markdown` with a row for each new module, and none for modules that are gone."""
    start = (
        markdown.index(
            "\n", markdown.index("|---|---|---|", markdown.index("| module | pure | may import |"))
        )
        + 1
    )
    end = markdown.index("\n\n", start - 1) + 1
    standing = {line.split("`")[1]: line for line in markdown[start:end].splitlines()}
    wanted = [module for module in modules.values() if needs_row(module)]
    rows = [standing.get(module.name) or row_for(module, modules) for module in wanted]
    return markdown[:start] + "".join(f"{row}\n" for row in rows) + markdown[end:]


def needs_row(module: Module) -> bool:
    """Tell whether there is more in the module than its docstring."""
    return module.source.strip().count("\n") > 0


def complaints_of_listing(modules: Mapping[str, Module], table: Mapping[str, Row]) -> Iterator[str]:
    for name, module in modules.items():
        if name not in table and needs_row(module):
            yield f"no row for {name}, which now is {row_for(module, modules)}; run this file to add it"
    for name in table.keys() - modules.keys():
        yield f"ARCHITECTURE.md has a row for {name}, which does not exist"


def complaints_of_imports(modules: Mapping[str, Module], table: Mapping[str, Row]) -> Iterator[str]:
    for name in modules.keys() & table.keys():
        for imported in sorted(imports_of(modules[name], modules)):
            if imported.split(".")[0] not in PACKAGES or imported == name:
                continue
            if name.startswith("emulator") and imported.startswith("harness"):
                yield f"{name} imports {imported}: the emulator never imports the harness"
            allowed_names = (package_of(name, modules), *table[name].may_import)
            if not any(covers(allowed, imported) for allowed in allowed_names):
                yield f"{name} imports {imported}, which its row in ARCHITECTURE.md does not allow"


def complaints_of_purity(modules: Mapping[str, Module], table: Mapping[str, Row]) -> Iterator[str]:
    for name in modules.keys() & table.keys():
        imported = imports_of(modules[name], modules)
        doers = {
            each for each in imported if acts(each) or not table.get(each, Row(pure=True, may_import=())).pure
        }
        if table[name].pure:
            yield from (f"{name} is pure and imports {each}" for each in sorted(doers - VALUES))
        if "time" in imported and name != "emulator.clock":
            yield f"{name} imports time; only emulator.clock does"


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


@pytest.fixture(scope="module")
def modules() -> dict[str, Module]:
    return read_modules(CHECKOUT)


@pytest.fixture(scope="module")
def table() -> dict[str, Row]:
    return read_table((CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8"))


def test_every_module_has_a_row(modules: dict[str, Module], table: dict[str, Row]) -> None:
    assert modules
    assert list(complaints_of_listing(modules, table)) == []


def test_modules_import_only_what_their_row_allows(modules: dict[str, Module], table: dict[str, Row]) -> None:
    assert list(complaints_of_imports(modules, table)) == []


def test_pure_modules_do_nothing_and_only_the_clock_reads_time(
    modules: dict[str, Module], table: dict[str, Row]
) -> None:
    assert any(row.pure for row in table.values())
    assert list(complaints_of_purity(modules, table)) == []


@pytest.mark.parametrize(
    "check", [complaints_of_size, complaints_of_docstrings, complaints_of_calls, complaints_of_exceptions]
)
def test_modules_keep_the_house_style(modules: dict[str, Module], check) -> None:
    assert list(check(modules)) == []


def made_up(**sources: str) -> dict[str, Module]:
    """Return a tree of modules; `__` in a name stands for a dot."""
    names = {name.replace("__", "."): source for name, source in sources.items()}
    return {name: Module(name=name, source=source) for name, source in names.items()}


def test_the_table_is_read_with_its_marks() -> None:
    text = """# X

| a | b |
|---|---|

| module | pure | may import |
|---|---|---|
| `emulator.spec` | yes | - |
| `harness.run` | no | `emulator`, `harness.spec` |

| no | row | here |
"""
    assert read_table(text) == {
        "emulator.spec": Row(pure=True, may_import=()),
        "harness.run": Row(pure=False, may_import=("emulator", "harness.spec")),
    }


def test_renewal_adds_and_drops_rows_and_leaves_those_that_stand() -> None:
    head = "| module | pure | may import |\n|---|---|---|\n"
    tree = made_up(emulator__new='"""X."""\nimport socket\n', emulator__old='"""X."""\nimport os\n')
    text = f"# X\n\n{head}| `emulator.dead` | no | - |\n| `emulator.old` | yes | `judged` |\n\n## Y\n"
    rows = "| `emulator.new` | no | - |\n| `emulator.old` | yes | `judged` |\n"
    assert renew_table(text, tree) == f"# X\n\n{head}{rows}\n## Y\n"


def test_listing_says_no_to_a_missing_and_to_a_dead_row() -> None:
    tree = made_up(emulator__new='"""X."""\nimport socket\nfrom emulator.errors import LabError\n')
    missing, dead = complaints_of_listing(tree, {"emulator.old": Row(pure=True, may_import=())})
    assert "| `emulator.new` | no | `emulator.errors` |" in missing
    assert "emulator.old, which does not exist" in dead


@pytest.mark.parametrize(
    ("importer", "statement", "allowed", "complaint"),
    [
        (
            "emulator__pump",
            "from harness.play.session import Session",
            ("harness",),
            "never imports the harness",
        ),
        ("emulator__pump", "import emulator.spec", (), "does not allow"),
        (
            "emulator__pump",
            "from emulator import spec",
            ("emulator.speculation",),
            "imports emulator.spec, which",
        ),
        ("harness__run", "def f():\n    import emulator.spec", ("harness",), "does not allow"),
    ],
)
def test_imports_say_no(importer: str, statement: str, allowed: tuple[str, ...], complaint: str) -> None:
    tree = made_up(**{importer: statement, "emulator__spec": ""})
    table = {importer.replace("__", "."): Row(pure=False, may_import=allowed)}
    (found,) = complaints_of_imports(tree, table)
    assert complaint in found


def test_imports_allow_the_modules_of_the_same_package() -> None:
    tree = made_up(emulator__console="", emulator__console__pump="import emulator.console.marks")
    assert list(complaints_of_imports(tree, {"emulator.console.pump": Row(pure=False, may_import=())})) == []


def test_imports_allow_a_submodule_of_an_allowed_package() -> None:
    tree = made_up(harness__run="from emulator.console.channel import Cursor")
    table = {"harness.run": Row(pure=False, may_import=("emulator.console",))}
    assert list(complaints_of_imports(tree, table)) == []


@pytest.mark.parametrize(
    "statement", ["import os.path", "from subprocess import run", "def f():\n    import pexpect"]
)
def test_purity_says_no_to_anything_that_acts(statement: str) -> None:
    tree = made_up(emulator__spec=statement)
    (found,) = complaints_of_purity(tree, {"emulator.spec": Row(pure=True, may_import=())})
    assert found.startswith("emulator.spec is pure and imports ")


def test_purity_says_no_to_one_that_acts_through_another() -> None:
    tree = made_up(emulator__spec="import emulator.pump", emulator__pump="import socket")
    table = {"emulator.spec": Row(pure=True, may_import=()), "emulator.pump": Row(pure=False, may_import=())}
    assert list(complaints_of_purity(tree, table)) == ["emulator.spec is pure and imports emulator.pump"]
    assert pure_modules(tree).isdisjoint(tree)


def test_purity_says_no_to_time_outside_the_clock() -> None:
    tree = made_up(emulator__pump="import time", emulator__clock="import time")
    table = {name: Row(pure=False, may_import=()) for name in tree}
    assert list(complaints_of_purity(tree, table)) == ["emulator.pump imports time; only emulator.clock does"]


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


if __name__ == "__main__":
    page = CHECKOUT / "ARCHITECTURE.md"
    page.write_text(renew_table(page.read_text(encoding="utf-8"), read_modules(CHECKOUT)), encoding="utf-8")
