"""What the platform refuses, and in which words: the texts of `refusals.toml`; pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from emulator.errors import CloudError


@cache
def refusal_texts() -> Mapping[str, tuple[int, str]]:
    """Return HTTP status and text of each refusal, by its name."""
    tables = tomllib.loads(resources.files(__package__).joinpath("refusals.toml").read_text(encoding="utf-8"))
    return {name: (int(status), text) for status, texts in tables.items() for name, text in texts.items()}


def refusal(name: str, /, **facts: object) -> CloudError:
    """Return the refusal called `name`: Azure's error code, and after a dot which of its texts it has.

    The `facts` fill the braces in its text, as `str.format` does.
    """
    status, text = refusal_texts()[name]
    return CloudError(status, name.partition(".")[0], text.format(**facts))
