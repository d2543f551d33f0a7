"""--hold-on-failure may have minutes or none; what follows it is no value of it."""

import pytest

from harness.cli import main
from harness.commands.options import HOLD_MINUTES, with_minutes


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        (["--hold-on-failure"], [f"--hold-on-failure={HOLD_MINUTES}"]),
        (["--hold-on-failure", "ci/push.toml"], [f"--hold-on-failure={HOLD_MINUTES}", "ci/push.toml"]),
        (["--hold-on-failure=3", "x"], ["--hold-on-failure=3", "x"]),
        (["x"], ["x"]),
    ],
)
def test_minutes_are_filled_in(given, filled):
    assert with_minutes(given) == filled


def test_wrong_minutes_are_refused_before_anything_runs(capsys):
    assert main(["run", "--hold-on-failure=soon", "--check"]) == 2
    assert "--hold-on-failure=soon: need minutes" in capsys.readouterr().err
    assert main(["run", "--hold-on-failure", "--check"]) == 0
