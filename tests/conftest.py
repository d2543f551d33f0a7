"""Settings that all tests share."""

import os

from hypothesis import HealthCheck, settings

# A loaded machine is no finding: no deadline, no complaint about slow generation. CI draws the same examples every time.
settings.register_profile(
    "ttylab",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ttylab")
