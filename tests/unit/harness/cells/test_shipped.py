"""The matrices that ttylab ships, by path and by name."""

from pathlib import Path

import pytest

from harness.cells import shipped
from harness.cells.matrix import read_matrix
from harness.cells.shipped import find_matrix


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", ["push", "push.toml", "ci/push.toml"])
def test_a_shipped_matrix_is_found_by_name_where_there_is_none(elsewhere, given) -> None:
    assert read_matrix(find_matrix(Path(given))).name == "push"


@pytest.mark.parametrize("given", ["push", "ci/push.toml"])
def test_a_users_own_file_comes_first(elsewhere, given) -> None:
    (elsewhere / "ci").mkdir()
    (elsewhere / given).write_text("mine")
    assert find_matrix(Path(given)) == Path(given)


@pytest.mark.parametrize(
    "given", ["pusch.toml", "ci/templates", "lab/push.toml", "push.yml", "../push.toml", "/ci/push.toml"]
)
def test_what_is_no_shipped_name_stays_what_it_is(elsewhere, given) -> None:
    assert find_matrix(Path(given)) == Path(given)


def test_templates_are_shipped_too() -> None:
    assert {path.name for path in shipped.shipped("templates").iterdir()} == {
        "azure-pipelines.yml",
        "github-actions.yml",
        "gitlab-ci.yml",
        "lab",
    }
