"""Settings that all tests share."""

import os

from hypothesis import HealthCheck, settings

from tests.support.corpus import CORPUS, IS_LEFT_OUT

# A loaded machine is no finding, so neither deadline nor complaint about slowness.
# CI draws the same examples each time.
settings.register_profile(
    "ttylab",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ttylab")
os.environ["TTYLAB_PROGRAM"] = "ttylab"  # what tests see of printed commands, wherever PATH leads here
os.environ["TTYLAB_LAB"] = ""  # no test depends on a lab.toml above the working directory
collect_ignore = ["support"]
"""Nothing in there is a test: a sample of a matrix would be played, on real guests."""


def pytest_report_header() -> str:
    """Say what is left out: the logs of others are no part of a clone."""
    return f"corpus: {'not beside this checkout, tests/corpus is left out' if IS_LEFT_OUT else CORPUS}"
