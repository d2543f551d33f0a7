"""The files of the web console: our own beside this module, and the terminal's from npm.

`python -m emulator.service.page.assets` installs the terminal. Files are looked up by name in a table,
never by a path from a client.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from emulator.node_packages import NodePackages

SOURCES = Path(__file__).parent
PACKAGES = NodePackages(
    sources=SOURCES / "node", what="the web console's npm packages", module="emulator.service.page.assets"
)
TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FROM_NPM: Mapping[str, str] = {
    "xterm/addon-search.mjs": "@xterm/addon-search/lib/addon-search.mjs",
    "xterm/xterm.css": "@xterm/xterm/css/xterm.css",
    "xterm/xterm.mjs": "@xterm/xterm/lib/xterm.mjs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file as it is served.

    Attributes:
        body: its bytes.
        media_type: its Content-Type.
        tag: its ETag, quotes included.
    """

    body: bytes
    media_type: str
    tag: str


def find_asset(name: str) -> Asset | None:
    """Return the file that is served as `/page/NAME`, or None."""
    if name in _FROM_NPM:
        modules = PACKAGES.find()
        return None if modules is None else _read(modules / _FROM_NPM[name])
    own = _own_files().get(name)
    return None if own is None else _read(own)


def render_page(nonce: str) -> str:
    """Return the page, whose style elements carry `nonce`.

    If the terminal is not installed, the page says how to install it.
    """
    text = (SOURCES / "index.html").read_text(encoding="utf-8")
    command = "" if PACKAGES.find() else f"python -m {PACKAGES.module}"
    return text.replace("{{nonce}}", nonce).replace("{{install}}", command)


@cache
def _own_files() -> Mapping[str, Path]:
    return {path.name: path for path in SOURCES.iterdir() if path.suffix in TYPES}


@cache
def _read(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(body=body, media_type=TYPES[path.suffix], tag=f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def main() -> int:
    """Install the terminal; return an exit code."""
    return PACKAGES.set_up()


if __name__ == "__main__":
    sys.exit(main())
