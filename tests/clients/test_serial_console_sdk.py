"""azure-mgmt-serialconsole 1.0.0 and 2.0.0, unmodified, against the service (docs/facts/azure.md 2, 7)."""

import re

import pytest

from emulator.cloud.refusals import refusal
from tests.clients.environments import python_of
from tests.clients.lab import CloudLab

pytestmark = pytest.mark.clients

NO_ROLE = refusal("AuthorizationFailed.console").message
NOT_ENABLED = refusal("SerialConsoleDisabled").message


@pytest.fixture(params=["sdk1", "sdk2"])
def said(request: pytest.FixtureRequest, lab: CloudLab) -> dict:
    return lab.run_program(python_of(request.param), "serial_console_sdk.py")


def test_python_sdk_sees_every_operation_work(said: dict, lab: CloudLab) -> None:
    names = [one["name"] for one in said["operations"]["value"]]
    assert "Microsoft.SerialConsole/consoleServices/read" in names
    assert {one["isDataAction"] for one in said["operations"]["value"]} == {"false"}
    assert said["switch"]["disabled"] == [False, True, True, False, False]
    status, _, message = said["switch"]["refused"]
    assert (status, NOT_ENABLED in message) == (403, True)
    for parent in ("vm", "instance"):
        check_port(said[parent], lab, parent)
    assert len(said["all"]["value"]) == 9
    assert said["reader"][0] == 403
    assert NO_ROLE in said["reader"][2]
    assert said["unknown"][0] == 404
    assert "Microsoft.Compute/virtualMachines/nowhere" in said["unknown"][2]


def check_port(said: dict, lab: CloudLab, parent: str) -> None:
    (port,) = said["list"]["value"]
    assert port == said["get"]
    assert (port["name"], port["type"]) == ("0", "Microsoft.SerialConsole/serialPorts")
    inside = (
        "virtualMachineScaleSets/ss1/virtualMachines/0" if parent == "instance" else "virtualMachines/linux1"
    )
    assert f"/{inside}/providers/Microsoft.SerialConsole/serialPorts/0" in port["id"]
    assert said["put"]["properties"]["state"] == "enabled"
    host = re.escape(lab.endpoint.removeprefix("https://"))
    assert re.fullmatch(rf"wss://{host}/n/connector/\w[\w-]*/sessions/[\w-]+/client", said["connect"])
