"""Scenarios that users bring: the files and modules that their lab names, and those of installed packages."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from emulator.clock import loading
from emulator.errors import SpecError
from emulator.guest_text.printable import visible
from emulator.lab_file.packages import brought
from harness.scenario.scenario import Scenario


def load_scenarios(name: str, directories: Iterable[Path]) -> tuple[Scenario, ...]:
    """Return the SCENARIOS of a file ("/lab/scenarios.py") or a module ("mylab.scenarios").

    Both may import what lies beside lab.toml, in one of `directories`.

    Raises:
        SpecError: it can't be imported, or not in LOAD_S, or has no SCENARIOS; one line tells the reason.
    """
    sys.path[:0] = [str(one) for one in directories if str(one) not in sys.path]
    file = Path(name) if name.endswith(".py") else None
    try:
        with loading():
            module = import_module(name) if file is None else _module_at(file)
    except (Exception, SystemExit) as error:  # whatever the user's code does
        raise SpecError(f"{visible(str(file or name))}: {_reason(error, file)}") from error
    return scenarios_in(module, who=visible(str(file or name)))


def _module_at(file: Path) -> ModuleType:
    name = f"ttylab_lab_{file.stem}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None or not file.is_file():
        raise FileNotFoundError(2, "there is no such file")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _reason(error: Exception | SystemExit, file: Path | None) -> str:
    """Return in one line what an import failed of, with the line of the user's file."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    frames = traceback.extract_tb(error.__traceback__)
    line = next((one.lineno for one in reversed(frames) if file and one.filename == str(file)), None)
    where = "" if line is None else f"line {line}: "
    text = (visible(str(error)).splitlines() or [""])[0]
    name = "" if text.startswith("has not ended in ") else f"{type(error).__name__}: "
    return f"{where}{name}{text}"


def scenarios_in(source: Any, *, who: str) -> tuple[Scenario, ...]:
    """Return the scenarios of a module with SCENARIOS, or of an iterable of scenarios; raises SpecError."""
    found = getattr(source, "SCENARIOS", None) if isinstance(source, ModuleType) else source
    if not isinstance(found, Iterable):
        raise SpecError(f"{who}: has no SCENARIOS; allowed: a tuple of harness.Scenario")
    scenarios = tuple(found)
    for one in scenarios:
        if not isinstance(one, Scenario):
            shown = visible(repr(one))[:80]
            raise SpecError(f"{who}: SCENARIOS has {shown}; allowed: values of harness.Scenario")
    return scenarios


def brought_scenarios() -> list[tuple[str, tuple[Scenario, ...]]]:
    """Return which package brings which scenarios; raises SpecError."""
    return [(who, scenarios_in(source, who=who)) for who, source in brought("ttylab.scenarios")]
