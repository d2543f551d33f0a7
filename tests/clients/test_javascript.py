"""@azure/arm-serialconsole 2.1, @azure/identity and ws, unmodified (docs/facts/azure.md 7)."""

import pytest

from emulator.cloud.refusals import refusal
from emulator.node_packages import find_node
from tests.clients.environments import NODE
from tests.clients.lab import CloudLab

pytestmark = pytest.mark.clients

NOT_ENABLED = refusal("SerialConsoleDisabled").message


@pytest.fixture
def said(lab: CloudLab) -> dict:
    node = find_node()
    assert node is not None
    return lab.run_program(node, "serial_console.mjs", env={"NODE_PACKAGES": str(NODE.ensure())})


def test_u4_javascript_sdk_and_socket_work_for_vm_and_instance(said: dict) -> None:
    assert "Microsoft.SerialConsole/consoleServices/read" in said["operations"]
    assert said["refused"][0] == 403
    assert NOT_ENABLED in said["refused"][2]
    assert said["all"] == 9
    for parent in ("vm", "instance"):
        assert [port["name"] for port in said[parent]["list"]] == ["0"]
        assert said[parent]["get"]["type"] == "Microsoft.SerialConsole/serialPorts"
        assert said[parent]["connect"].endswith("/client")
    assert said["power"] == ["VM stopped", "VM running", "VM running"]
    assert said["view"] == "PowerState/running"
    assert said["blobs"][:3] == [200, "BM", 200]
    assert "Booting linux1" in said["blobs"][3]
    for talk in (said["talk"], said["early"]):
        check_talk(talk)


def check_talk(talk: dict) -> None:
    first, *rest = talk["frames"]
    assert first.startswith("Connecting...")
    assert "".join(rest).endswith("login: ré€ot\r")
    assert (talk["binary"], talk["pongs"]) == (0, 1)
    assert talk["closed"][0] == 1000
