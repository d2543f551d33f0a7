"""The templates, with autoescape on, and the policy that keeps every page from the network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from harness.report.comparison import compare_runs
from harness.report.model import RunResult
from harness.report.text import visible
from harness.report.views import MEANINGS, SYMBOLS, duration, latency

_DIRECTORY = Path(__file__).parent / "templates"


def render_page(
    template: str, values: Mapping[str, object], *, scripts: tuple[str, ...] = ("page.js",)
) -> bytes:
    """Return the page as UTF-8; `scripts` are the files that its only inline script is made of."""
    script = "".join(source(name) for name in scripts)
    known = {
        "style": Markup(source("style.css")),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own files
        "policy": policy(script),
        "symbols": SYMBOLS,
        "meanings": MEANINGS,
    }
    return (
        _environment().get_template(template).render(known | dict(values)).encode("utf-8", "backslashreplace")
    )


def render_comparison(old: RunResult, new: RunResult) -> str:
    """Return the section that says what changed from `old` to `new`, as HTML."""
    module = _environment().get_template("parts.html").module
    return str(module.comparison(compare_runs(old, new)))  # type: ignore[attr-defined]


def policy(*scripts: str, wasm: bool = False) -> str:
    """Return a Content-Security-Policy under which exactly `scripts` run and nothing is fetched."""
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    ]
    allowed = " ".join([*hashes, *(["'wasm-unsafe-eval'"] if wasm else [])])
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def source(name: str) -> str:
    """Return a file of the templates' directory as it is."""
    return (_DIRECTORY / name).read_text(encoding="utf-8")


def _visible(value: object, keep: str = "") -> str:
    return visible(str(value), keep=keep)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_DIRECTORY),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "visible": _visible,
        "duration": duration,
        "latency": latency,
    }
    return environment
