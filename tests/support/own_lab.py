"""The environment of a command that finds the lab.toml of its working directory; other tests have none."""

import os


def environment() -> dict[str, str]:
    """Return this process's environment without a lab that is chosen by name."""
    return {name: value for name, value in os.environ.items() if name != "TTYLAB_LAB"}
