"""Allure 3's HTML report as one file, made by its npm package without any network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from emulator.files import scratch_beside, staged_tree, write_whole
from emulator.node_packages import find_node
from harness.report.node_setup import node_modules
from harness.scenario.errors import ReportError

ALLURE_REPORT_DIRECTORY = "allure-report"
_BOUND_S = 300.0
_HISTORY_LIMIT = 50
_ANALYTICS = re.compile(
    rb"<script[^>]*googletagmanager[^>]*></script>\s*<script>\s*window\.dataLayer.*?</script>", re.DOTALL
)


def generate_html(
    results: Sequence[Path], out: Path, *, name: str = "ttylab", history: Path | None = None
) -> Path:
    """Write Allure's report on all `results` directories to `out`/index.html and return that file.

    One file that opens from disk. The same test in two directories counts as a retry.

    Args:
        results: directories of Allure results.
        out: directory of the report; replaced as a whole.
        name: title of the report.
        history: file of earlier runs; this run is added to it when the report is made.

    Raises:
        ReportError: the npm packages are missing or Allure failed; the text says which.
        FileError: a file can't be written. After either `out` and `history` are as they were before.
    """
    node, cli = _programs()
    with scratch_beside(out) as work:
        kept = work / "history.jsonl"
        if history is not None and history.is_file():
            shutil.copyfile(history, kept)
        config = work / "allurerc.mjs"
        config.write_text(_config(name, work / "report", kept if history else None), encoding="utf-8")
        _run(
            [
                str(node),
                str(cli),
                "generate",
                "--config",
                str(config),
                *(str(each.absolute()) for each in results),
            ],
            work,
        )
        page = _stripped((work / "report" / "index.html").read_bytes())
        with staged_tree(out) as new:
            (new / "index.html").write_bytes(page)
        if history is not None and kept.is_file():
            write_whole(history, kept.read_bytes(), parents=True)
    return out / "index.html"


def _programs() -> tuple[Path, Path]:
    node, modules = find_node(), node_modules()
    if node is None or modules is None:
        raise ReportError(
            "no Allure report: its npm packages are not installed; "
            "python -m harness.report.node_setup installs them"
        )
    return node, modules / "allure" / "cli.js"


def _config(name: str, output: Path, history: Path | None) -> str:
    config: dict[str, object] = {
        "name": name,
        "output": str(output),
        "plugins": {"awesome": {"options": {"reportName": name, "singleFile": True, "reportLanguage": "en"}}},
    }
    if history is not None:
        config |= {"historyPath": str(history), "historyLimit": _HISTORY_LIMIT}
    return f"export default {json.dumps(config)};\n"


def _run(argv: Sequence[str], work: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("NODE_", "npm_"))}
    try:
        done = subprocess.run(
            argv,
            cwd=work,
            env=environment | {"NO_COLOR": "1", "HOME": str(work)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_BOUND_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ReportError(f"Allure took more than {_BOUND_S:.0f} s for its report") from error
    if done.returncode or not (work / "report" / "index.html").is_file():
        said = (done.stderr or done.stdout)[-400:]
        raise ReportError(f"Allure made no report (exit {done.returncode}): {said!r}")


def _stripped(page: bytes) -> bytes:
    """Return the page without its call to Google Analytics (hard-coded in Allure 3.18).

    See docs/facts/parts.md 4.
    """
    page = _ANALYTICS.sub(b"", page)
    return b"\n".join(
        line for line in page.split(b"\n") if b"googletagmanager.com/gtag/js?id=" not in line[:300]
    )
