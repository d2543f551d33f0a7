"""Settings that all tests share."""

import os

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
