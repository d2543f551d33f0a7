"""tests/corpus in a clone: left out, in CI too, unless the start names the corpus, as `.ci/run` does."""

import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
COPIED = (
    "tests/support/corpus.py",
    "tests/conftest.py",
    "tests/corpus/conftest.py",
    "tests/corpus/test_signatures_corpus.py",
)


@pytest.fixture
def clone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = pytester.path / "clone"
    for name in COPIED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, root / name)
    (root / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    monkeypatch.setenv("CI", "true")
    monkeypatch.delenv("TTYLAB_CORPUS", raising=False)
    monkeypatch.chdir(root)
    return root


def collect(pytester: pytest.Pytester) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--collect-only", "-q", "tests/corpus")


def test_clone_goes_without_in_ci_too(pytester: pytest.Pytester, clone: Path) -> None:
    done = collect(pytester)
    assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert not done.errlines


def test_corpus_beside_the_checkout_is_used(pytester: pytest.Pytester, clone: Path) -> None:
    (clone.parent / "shared" / "corpus").mkdir(parents=True)
    collect(pytester).stdout.fnmatch_lines("*::test_corpus_is_there")


def test_ci_run_demands_the_corpus(
    pytester: pytest.Pytester, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / ".ci").mkdir()
    shutil.copy(CHECKOUT / ".ci" / "run", clone / ".ci" / "run")
    launcher = clone / "ttylab"
    launcher.write_text('#!/bin/sh\nprintf %s "$TTYLAB_CORPUS"\n', encoding="utf-8")
    launcher.chmod(0o755)
    named = subprocess.run(
        [clone / ".ci" / "run"], cwd=clone, capture_output=True, text=True, timeout=30, check=True
    )
    monkeypatch.setenv("TTYLAB_CORPUS", named.stdout)
    assert Path(named.stdout).resolve() == clone.parent / "shared" / "corpus"
    collect(pytester).stdout.fnmatch_lines("*::test_corpus_is_there")
