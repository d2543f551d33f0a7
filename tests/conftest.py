"""Settings that all tests share."""

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

# A loaded machine is no finding, so neither deadline nor complaint about slowness.
# CI draws the same examples each time.
settings.register_profile(
    "ttylab",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ttylab")
collect_ignore = ["support"]
"""Nothing in there is a test: a sample of a matrix would be played, on real guests."""


def pytest_report_header() -> str:
    """Say what is left out: the logs of others are no part of a clone."""
    corpus = Path(os.environ.get("TTYLAB_CORPUS") or Path(__file__).parents[2] / "shared" / "corpus")
    here = corpus.is_dir() or bool(os.environ.get("CI"))
    return f"corpus: {corpus if here else 'not beside this checkout, tests/corpus is left out'}"
