"""Every situation of docs/facts/azure.md 6 in which there is no console: what the service answers, and why.

az hides the reason; it is in the body for the clients that show it.
"""

import ssl
from pathlib import Path
from typing import Any

import pytest

from emulator.cloud.records import PowerState, ProvisioningState
from emulator.cloud.refusals import refusal
from tests.clients.environments import python_of
from tests.clients.lab import CloudLab, open_cloud_lab, run

pytestmark = pytest.mark.clients

IN_PROGRESS = refusal("Conflict.in-progress").message
NO_BOOT_DIAGNOSTICS = refusal("BootDiagnosticsDisabled").message
NO_ROLE = refusal("AuthorizationFailed.console").message
NO_STORAGE_ROLE = refusal("AuthorizationFailed.storage").message
NOT_PROVISIONED = refusal("BadRequest.not-provisioned").message
NOT_RUNNING = refusal("OperationNotAllowed.not-running").message

COMPUTE, VM, SET = "Microsoft.Compute", "virtualMachines", "virtualMachineScaleSets"
NOWHERE = "99999999-9999-9999-9999-999999999999"
NOT_FOUND = "The Resource 'Microsoft.Compute/virtualMachines/{}' under resource group 'rg1' was not found."


def connects(lab: CloudLab, *questions: list[str]) -> list[list[Any]]:
    return lab.run_program(python_of("sdk2"), "connects.py", questions=list(questions))


def app(name: str, kind: str = VM, namespace: str = COMPUTE) -> list[str]:
    return ["app", namespace, kind, name]


def test_connect_says_why_it_is_refused(lab: CloudLab) -> None:
    lab.change("linux2", power=PowerState.DEALLOCATING)
    lab.change("custom1", provisioning=ProvisioningState.UPDATING)
    lab.change("ss1/1", port_enabled=False)
    lab.change("ss1/2", power=PowerState.STOPPED)
    expected = [
        (app("linux1"), 200, "", ""),
        (app("stopped1"), 409, "OperationNotAllowed", NOT_RUNNING),
        (app("linux2"), 409, "OperationNotAllowed", NOT_RUNNING),
        (app("ss1/virtualMachines/2", SET), 409, "OperationNotAllowed", NOT_RUNNING),
        (app("nodiag1"), 409, "BootDiagnosticsDisabled", NO_BOOT_DIAGNOSTICS),
        (app("custom1"), 400, "BadRequest", NOT_PROVISIONED),
        (
            app("ss1/virtualMachines/1", SET),
            409,
            "SerialPortDisabled",
            "Serial port 0 of this VM is disabled",
        ),
        (app("nowhere"), 404, "ResourceNotFound", NOT_FOUND.format("nowhere")),
        (app("ss1"), 404, "ResourceNotFound", NOT_FOUND.format("ss1")),
        (app("ss1", SET), 404, "InvalidResourceType", "has no serial ports"),
        (
            app("nowhere/virtualMachines/0", SET),
            404,
            "ParentResourceNotFound",
            "Parent resource 'nowhere' not found",
        ),
        (["reader", COMPUTE, VM, "linux1"], 403, "AuthorizationFailed", NO_ROLE),
        (["reader", COMPUTE, VM, "nowhere"], 403, "AuthorizationFailed", NO_ROLE),
        ([*app("linux1"), NOWHERE], 404, "SubscriptionNotFound", NOWHERE),
    ]
    said = connects(lab, *(question for question, *_ in expected))
    for (question, status, code, text), (seen, seen_code, message) in zip(expected, said, strict=True):
        assert (seen, seen_code) == (status, code), question
        assert text in message, question


def test_connect_is_refused_where_the_subscription_has_consoles_disabled(lab: CloudLab) -> None:
    lab.run_program(python_of("sdk2"), "serial_console_sdk.py")  # it disables, is refused, enables
    assert connects(lab, app("linux1")) == [[200, "", ""]]


def test_u6_console_needs_boot_diagnostics(lab: CloudLab) -> None:
    ((status, _, message),) = connects(lab, app("nodiag1"))
    assert (status, message) == (409, NO_BOOT_DIAGNOSTICS)


def test_u9_classic_resources_are_refused(lab: CloudLab) -> None:
    ((status, code, message),) = connects(lab, app("old1", namespace="Microsoft.ClassicCompute"))
    assert (status, code) == (400, "ClassicDeploymentNotSupported")
    assert "Resource Manager" in message


def test_u8_u10_rules_of_now(lab: CloudLab) -> None:
    said = connects(lab, app("linux1"), ["vmonly", COMPUTE, VM, "custom1"], ["vmonly", COMPUTE, VM, "linux1"])
    assert [status for status, *_ in said] == [200, 200, 200]


@pytest.fixture
def lab_2020(tmp_path: Path):
    with open_cloud_lab(tmp_path, era="2020") as lab:
        yield lab


def test_u8_u10_rules_of_2020(lab_2020: CloudLab) -> None:
    said = connects(lab_2020, app("linux1"), app("custom1"), ["vmonly", COMPUTE, VM, "custom1"])
    assert said[0][:2] == [409, "ManagedBootDiagnosticsNotSupported"]
    assert said[1][0] == 200
    assert said[2] == [403, "AuthorizationFailed", NO_STORAGE_ROLE]


def test_u5_china_has_no_console(tmp_path: Path) -> None:
    with open_cloud_lab(tmp_path, kind="china") as lab:
        ((status, _, message),) = connects(lab, app("linux1"))
    assert status == 404
    assert "not yet available in the China cloud" in message


def test_fault_conflict_refuses_every_other_connect(tmp_path: Path) -> None:
    with open_cloud_lab(tmp_path, faults=["conflict"]) as lab:
        said = connects(lab, app("linux1"), app("linux1"))
    assert said == [[409, "Conflict", IN_PROGRESS], [200, "", ""]]


def play(lab: CloudLab, **options: object) -> dict:
    facts = {"as": "b4", "prompt": "login: ", "type": "x", "until": "x", **options}
    return lab.run_program(python_of("sdk2"), "frame_client.py", **facts)


def test_fault_refused_trust_closes_with_the_reason_of_the_live_service(tmp_path: Path) -> None:
    with open_cloud_lab(tmp_path, faults=["refused-trust"]) as lab:
        first, second = play(lab), play(lab)
    assert first["closed"] == [1011, "Connection not trusted"]
    assert "".join(second["frames"]).endswith("x")


def test_sysrq_to_windows_is_refused(lab: CloudLab) -> None:
    said = play(lab, parent="virtualMachines/win1", command="sysrq", keys="h")
    assert [status for status, _ in said["posts"]] == [400, 400]
    assert "You can only send a SysRq to a Linux VM." in said["posts"][0][1]
    assert not lab.fake_guest("win1").typed


HANDSHAKE = """
import socket, ssl, sys
host, port, ca, version, name = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.set_ciphers("ALL:@SECLEVEL=0")
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
with socket.create_connection((host, int(port)), 10) as plain:
    with context.wrap_socket(plain, server_hostname=name) as tls:
        print(tls.version())
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "name", "spoken"),
    [
        (ssl.TLSVersion.TLSv1_3, "localhost", "TLSv1.3"),
        (ssl.TLSVersion.TLSv1_2, "localhost", "TLSv1.2"),
        (ssl.TLSVersion.TLSv1_1, "localhost", ""),
        (ssl.TLSVersion.TLSv1_3, "management.azure.com", ""),
    ],
)
def test_u13_every_client_gets_tls_1_2_or_more_and_the_right_name(
    lab: CloudLab, version: ssl.TLSVersion, name: str, spoken: str
) -> None:
    port = lab.endpoint.rpartition(":")[2]
    words = ["-W", "ignore", "-c", HANDSHAKE, "127.0.0.1", port, lab.ca, version.name, name]
    said = run([python_of("sdk2"), *words], env=lab.environment())
    assert said.out.strip() == spoken, said.err
    assert (said.code == 0) is bool(spoken)
