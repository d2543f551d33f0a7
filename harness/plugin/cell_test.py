"""The one test that a matrix consists of; `matrix_items` gives it to every matrix file."""

from __future__ import annotations

import os
from dataclasses import asdict

import pytest

from harness.azure.address import ServiceAddress, address_of_ready
from harness.cells.cell import Cell
from harness.report.model import CellResult
from harness.run.cell_run import CellRun
from harness.run.lab import Lab
from harness.scenario.errors import CellBroken, CellFailed
from harness.scenarios import find_scenario

STATUS_PROPERTY = "verdict"
"""Name of the test property that carries a cell's status to the controller and into JUnit."""


def test_cell(cell: Cell, lab: Lab, request: pytest.FixtureRequest) -> None:
    """Boot the cell's machine, play its scenario and judge what the console shows."""
    __tracebackhide__ = True
    matrix = request.node.getparent(pytest.Module).matrix()
    run = CellRun(
        cell=cell,
        scenario=find_scenario(cell.scenario),
        lab=lab,
        worker=os.environ.get("PYTEST_XDIST_WORKER", "main"),
        target=matrix.target,
        address=_cloud(request) if matrix.target.name == "service" else matrix.port or None,
        time_limit_s=matrix.timeout_s,
        repro=f"ttylab repro {cell.id} --port {matrix.port}" if matrix.port else "",
    )
    result = run.run()
    request.node.user_properties.append((STATUS_PROPERTY, result.status))
    if request.config.pluginmanager.hasplugin("allure_listener"):
        from harness.report.allure import attach_cell  # noqa: PLC0415  # needs a running listener

        attach_cell(result, lab.run_dir)
    raise_for(result)


def _cloud(request: pytest.FixtureRequest) -> ServiceAddress:
    """Return the cloud of this worker, which is started where a matrix needs one."""
    return address_of_ready(asdict(request.getfixturevalue("cloud")), name="the fixture cloud")


def raise_for(result: CellResult) -> None:
    """Turn a result into what pytest understands.

    Raises:
        CellFailed: the guest's fault; an AssertionError, so *failed* in Allure.
        CellBroken: the lab's fault; *broken* in Allure.
    """
    __tracebackhide__ = True
    text = f"{result.cell.id}: {result.message}\n  reproduce: {result.repro}"
    if result.status == "failed":
        raise CellFailed(text)
    if result.status == "broken":
        raise CellBroken(text)
    if result.status == "skipped":
        pytest.skip(result.message)
