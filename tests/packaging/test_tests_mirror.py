"""tests/unit mirrors the packages, and what tests share lies where everybody looks for it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest

CHECKOUT = Path(__file__).parents[2]
NOT_MIRRORED = ("tests/unit/formats/*", "tests/unit/docs/*", "tests/unit/test_conftest.py")
MAY_BE_SHARED = (
    *("tests/support/*", "tests/clients/*", "tests/bench/*"),
    *("tests/conftest.py", "tests/*/conftest.py", "tests/web/portal.py"),
)
SHARES = re.compile(r"^from tests\.(?:\w+\.)*test_\w+ import|^from tests\S* import test_", re.MULTILINE)


def lone_tests(tests: Iterable[str], modules: Iterable[str]) -> Iterator[str]:
    """Yield each unit test that names no module: test_NAME.py or test_NAME_ASPECT.py is of NAME.py."""
    known = set(modules)
    for test in tests:
        path = PurePosixPath(test)
        if path.match("test_*.py") and not any(fnmatch(test, exempt) for exempt in NOT_MIRRORED):
            folder = PurePosixPath(*path.parts[2:-1])
            words = path.stem.removeprefix("test_").split("_")
            names = ["_".join(words[:count]) for count in range(1, len(words) + 1)]
            wanted = {str(folder / f"{'__init__' if name == 'init' else name}.py") for name in names}
            if not wanted & known:
                yield f"{test} names no module of {folder}"


def lost_support(files: Mapping[str, str]) -> Iterator[str]:
    """Yield each module for tests that is no test and lies elsewhere, and each test that lends to another."""
    for name, source in files.items():
        is_test = PurePosixPath(name).match("test_*.py")
        if not is_test and not any(fnmatch(name, allowed) for allowed in MAY_BE_SHARED):
            yield f"{name} is no test; move it to tests/support"
        yield from (f"{name} borrows from a test: {found[0]}" for found in SHARES.finditer(source))


def sources(*folders: str) -> dict[str, str]:
    paths = [path for folder in folders for path in (CHECKOUT / folder).rglob("*.py")]
    return {path.relative_to(CHECKOUT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def test_unit_tests_mirror_the_packages() -> None:
    tests = [name for name in sources("tests/unit") if not name.endswith("conftest.py")]
    assert len(tests) > 100
    assert list(lone_tests([*tests, "tests/unit/test_conftest.py"], sources("emulator", "harness"))) == []


def test_what_tests_share_lies_in_support() -> None:
    assert list(lost_support(sources("tests"))) == []


@pytest.mark.parametrize(
    "test",
    [
        "tests/unit/harness/play/test_sesion.py",
        "tests/unit/harness/test_session.py",
        "tests/unit/harness/play/test_sessions.py",
        "tests/unit/harness/play/test_init.py",
        "tests/unit/session/test_session.py",
        "tests/unit/test_session.py",
    ],
)
def test_mirror_says_no(test: str) -> None:
    assert len(list(lone_tests([test], ["harness/play/session.py"]))) == 1


@pytest.mark.parametrize(
    "test",
    [
        "tests/unit/harness/play/test_session.py",
        "tests/unit/harness/play/test_session_of_two_words.py",
        "tests/unit/harness/play/test_two_words_and_more.py",
        "tests/unit/harness/test_init_library.py",
        "tests/unit/formats/test_all.py",
        "tests/unit/docs/test_all.py",
        "tests/unit/test_conftest.py",
    ],
)
def test_mirror_says_yes(test: str) -> None:
    modules = ["harness/play/session.py", "harness/play/two_words.py", "harness/__init__.py"]
    assert list(lone_tests([test], modules)) == []


@pytest.mark.parametrize(
    ("name", "source", "complaint"),
    [
        ("tests/qemu/rig.py", "", "tests/qemu/rig.py is no test; move it to tests/support"),
        (
            "tests/unit/harness/samples.py",
            "",
            "tests/unit/harness/samples.py is no test; move it to tests/support",
        ),
        (
            "tests/unit/test_a.py",
            "import re\nfrom tests.unit.harness.test_b import C\n",
            "tests/unit/test_a.py borrows from a test: from tests.unit.harness.test_b import",
        ),
        (
            "tests/web/portal.py",
            "from tests.web import test_b\n",
            "tests/web/portal.py borrows from a test: from tests.web import test_",
        ),
    ],
)
def test_support_says_no(name: str, source: str, complaint: str) -> None:
    assert list(lost_support({name: source})) == [complaint]


def test_support_says_yes() -> None:
    names = ["tests/support/a.py", "tests/clients/programs/b.py", "tests/bench/c.py", "tests/web/conftest.py"]
    assert list(lost_support(dict.fromkeys(names, "from tests.support.samples import A\n"))) == []
