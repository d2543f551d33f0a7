"""Call the hooks of `harness.plugin.hookspecs`; one that raises stops nothing, and is told by its plug-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from emulator.guest_text.printable import visible
from harness.report.model import BAD, CellResult, write_cell
from harness.scenario.verdict import Reason

if TYPE_CHECKING:
    from pluggy import HookCaller


def call_hook(hook: HookCaller, **arguments: Any) -> str:
    """Call every implementation of a hook; return what one of them raised, with its plug-in's name, or ""."""
    try:
        hook(**arguments)
    except (KeyboardInterrupt, pytest.exit.Exception):
        raise
    except BaseException as error:  # noqa: BLE001  # a plug-in's code, which may even want to exit
        text = visible(str(error)).splitlines()
        reason = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
        return f"plug-in {visible(_plugin_of(hook, error))}: {hook.name} raised {reason}"
    return ""


def _plugin_of(hook: HookCaller, error: BaseException) -> str:
    """Return which plug-in's implementation raised `error`; a conftest.py is named by its path."""
    by_code = {getattr(impl.function, "__code__", None): impl.plugin_name for impl in hook.get_hookimpls()}
    frame = error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code in by_code:
            return by_code[frame.tb_frame.f_code]
        frame = frame.tb_next
    return ", ".join(sorted(impl.plugin_name for impl in hook.get_hookimpls()))


def tell_result(result: CellResult, item: pytest.Item, run_dir: Path) -> CellResult:
    """Tell plug-ins and Allure of a result that is written; return what it is then; raises FileError."""
    hooks, cell = item.ihook, {"cell": result.cell, "item": item}
    complaints = [
        *(
            call_hook(hooks.pytest_ttylab_injection_judged, injection=one, **cell)
            for one in result.injections
        ),
        *(call_hook(hooks.pytest_ttylab_finding_seen, finding=one, **cell) for one in result.findings),
        call_hook(hooks.pytest_ttylab_cell_ends, result=result, item=item, run_dir=run_dir),
    ]
    text = "; ".join(dict.fromkeys(filter(None, complaints)))
    if text:
        result = with_complaint(result, text)
        write_cell(result, run_dir)
    if item.config.pluginmanager.hasplugin("allure_listener"):
        from harness.report.allure import attach_cell  # noqa: PLC0415  # needs a running listener

        attach_cell(result, run_dir)
    return result


def with_complaint(result: CellResult, complaint: str) -> CellResult:
    """Return a result that something besides the cell makes red: BROKEN, unless it is red already."""
    if result.status in BAD:
        return replace(result, message=f"{result.message}; {complaint}")
    message = f"played: {result.status}; but {complaint}"
    changes: Mapping[str, Any] = {"status": "broken", "reason": Reason.LAB.value, "message": message}
    return replace(result, **changes)
