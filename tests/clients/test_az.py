"""The lines of az that its console's users type, with unmodified azure-cli 2.91.

See docs/facts/azure.md 4, 7.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.cloud.refusals import refusal
from tests.clients.az import Az, open_az, sign_in
from tests.clients.lab import SUBSCRIPTION, CloudLab, open_cloud_lab

pytestmark = [pytest.mark.clients, pytest.mark.xdist_group("az")]

NO_BOOT_DIAGNOSTICS = refusal("BootDiagnosticsDisabled").message
NO_ROLE = refusal("AuthorizationFailed.console").message
NOT_ENABLED = refusal("SerialConsoleDisabled").message
NOT_RUNNING = refusal("OperationNotAllowed.not-running").message

SUBSCRIPTION_ID = f"/subscriptions/{SUBSCRIPTION}"
GROUP_ID = f"{SUBSCRIPTION_ID}/resourceGroups/rg1"
SERVICE_ID = f"{SUBSCRIPTION_ID}/providers/Microsoft.SerialConsole/consoleServices/default"
POWER = "--query instanceView.statuses[1].code"
VIEW = f"vm get-instance-view -g rg1 -n linux1 {POWER}"
INSTANCE_VIEW = "vmss get-instance-view -g rg1 -n ss1 --instance-id 0 --query statuses[1].code"
BLOB_URIS = "vm boot-diagnostics get-boot-log-uris -g rg1 -n linux1"


@pytest.fixture(scope="module")
def az(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Az]:
    """The demo cloud with `app` signed in; the tests of this module leave it as they found it."""
    directory = tmp_path_factory.mktemp("az")
    with open_cloud_lab(directory) as lab:
        az = open_az(lab, directory / "az")
        sign_in(az)
        yield az


def port_url(name: str) -> str:
    return f"{GROUP_ID}/providers/Microsoft.Compute/{name}/providers/Microsoft.SerialConsole/serialPorts/0"


def connect_line(name: str, version: str = "2024-07-01") -> str:
    return f"rest --method post --url {port_url(name)}/connect?api-version={version}"


def test_az_vm_shows_machines(az: Az) -> None:
    names, shown, detailed, listed, view = az.lines(
        "vm list --query [].name",
        "vm show -g rg1 -n linux1",
        "vm show -g rg1 -n linux1 -d --query powerState",
        "vm list -d --query [].powerState",
        "vm get-instance-view -g rg1 -n stopped1 --query instanceView.statuses[].code",
    )
    assert names == ["linux1", "linux2", "win1", "nodiag1", "stopped1", "custom1"]
    assert shown["diagnosticsProfile"]["bootDiagnostics"]["enabled"]
    assert detailed == "VM running"
    assert listed.count("VM running") == 5
    assert view == ["ProvisioningState/succeeded", "PowerState/deallocated"]


def test_u16_az_vm_acts_on_power(az: Az) -> None:
    said = az.lines(
        "vm stop -g rg1 -n linux1", VIEW,
        "vm start -g rg1 -n linux1", VIEW,
        "vm restart -g rg1 -n linux1", VIEW,
        "vm restart -g rg1 -n linux1 --force", VIEW,
        "vm stop -g rg1 -n linux1 --skip-shutdown", VIEW,
        "vm deallocate -g rg1 -n linux1", VIEW,
        "vm start -g rg1 -n linux1", VIEW,
        "vm redeploy -g rg1 -n linux1", VIEW,
        "vm reapply -g rg1 -n linux1", VIEW,
    )  # fmt: skip
    states = [
        "stopped",
        "running",
        "running",
        "running",
        "stopped",
        "deallocated",
        "running",
        "running",
        "running",
    ]
    assert said[1::2] == [f"PowerState/{state}" for state in states]
    assert "shut_down" in " ".join(az.lab.fake_guest("linux1").calls)


def test_u4_az_vmss_acts_on_instances(az: Az) -> None:
    one = "-g rg1 -n ss1 --instance-ids 0"
    said = az.lines(
        f"vmss restart {one}", INSTANCE_VIEW,
        f"vmss stop {one}", INSTANCE_VIEW,
        f"vmss start {one}", INSTANCE_VIEW,
        f"vmss deallocate {one}", INSTANCE_VIEW,
        f"vmss start {one}", INSTANCE_VIEW,
        f"vmss update-instances {one}", INSTANCE_VIEW,
    )  # fmt: skip
    states = ["running", "stopped", "running", "deallocated", "running", "running"]
    assert said[1::2] == [f"PowerState/{state}" for state in states]
    listed, shown = az.lines(
        "vmss list-instances -g rg1 -n ss1 --query [].[instanceId,latestModelApplied]",
        "vmss show -g rg1 -n ss1",
    )
    assert listed == [["0", True], ["1", True], ["2", True]]
    assert shown["sku"]["capacity"] == 3


def test_u6_u12_az_switches_boot_diagnostics(az: Az) -> None:
    vm = "vm show -g rg1 -n linux2 --query diagnosticsProfile.bootDiagnostics.enabled"
    model = "vmss update -g rg1 -n ss1 --set virtualMachineProfile.diagnosticsProfile.bootDiagnostics.enabled"
    instance = "vmss get-instance-view -g rg1 -n ss1 --instance-id 1 --query bootDiagnostics"
    said = az.lines(
        "vm boot-diagnostics disable -g rg1 -n linux2", vm,
        "vm boot-diagnostics enable -g rg1 -n linux2", vm,
        f"{model}=false", instance,
        "vmss update-instances -g rg1 -n ss1 --instance-ids *", instance,
        f"{model}=true", instance,
        "vmss update-instances -g rg1 -n ss1 --instance-ids *", instance,
    )  # fmt: skip
    assert said[1::2] == [False, True, {}, None, None, {}]


def test_az_reads_the_boot_log(az: Az) -> None:
    log, uris = az.lines("vm boot-diagnostics get-boot-log -g rg1 -n linux1", BLOB_URIS)
    assert "Booting linux1" in log
    assert uris["consoleScreenshotBlobUri"].startswith(f"{az.lab.endpoint}/")


def test_u3_az_rest_and_az_resource_drive_the_console_service(az: Az) -> None:
    status = f"resource show --ids {SERVICE_ID} --query properties.disabled --api-version"
    said = az.lines(
        connect_line("virtualMachines/linux1"),
        connect_line("virtualMachines/linux1", "2018-05-01") + " --body {}",
        connect_line("virtualMachineScaleSets/ss1/virtualMachines/0"),
        f"rest --method get --url {SERVICE_ID}?api-version=2024-07-01 --query properties.disabled",
        f"resource invoke-action --action disableConsole --ids {SERVICE_ID} --api-version 2018-05-01",
        f"{status} 2018-05-01",
        f"resource invoke-action --action enableConsole --ids {SERVICE_ID} --api-version 2023-01-01",
        f"{status} 2023-01-01",
    )
    for connected in said[:3]:
        assert connected["connectionString"].startswith(az.lab.endpoint.replace("https", "wss"))
    assert [said[3], said[5], said[7]] == [False, True, False]


def test_u3_u8_az_gives_and_takes_roles(az: Az) -> None:
    reader = az.must("role assignment list --query \"[?roleDefinitionName=='Reader'].principalId | [0]\"")
    scope = f"--scope {GROUP_ID}/providers/Microsoft.Compute/virtualMachines/linux1"
    role = f"--role 'Virtual Machine Contributor' {scope}"
    said = az.lines(
        "role definition list --name 'Virtual Machine Contributor' --query [].permissions[].actions[]",
        f"role assignment create {role} --assignee-object-id {reader}"
        " --assignee-principal-type ServicePrincipal",
        f"role assignment list {scope} --assignee {reader} --query [].roleDefinitionName",
        f"role assignment delete {role} --assignee {reader}",
        f"role assignment list {scope} --assignee {reader} --query [].roleDefinitionName",
    )
    assert "Microsoft.SerialConsole/serialPorts/connect/action" in said[0]
    assert said[1]["principalId"] == reader
    assert [said[2], said[4]] == [["Virtual Machine Contributor"], []]


def test_az_lists_what_there_is(az: Az) -> None:
    az.lines(connect_line("virtualMachines/linux1"))
    said = az.lines(
        "group list --query [].name",
        "group create -n rg2 -l eastus --query properties.provisioningState",
        "group delete -n rg2 -y",
        "monitor activity-log list --offset 1h --query [].operationName.value",
        "provider show -n Microsoft.SerialConsole --query registrationState",
        "storage account list --query [].name",
        "resource list --query [].name",
    )
    assert said[0] == ["rg1"]
    assert said[1] == "Succeeded"
    assert "MICROSOFT.SERIALCONSOLE/SERIALPORTS/CONNECT/ACTION" in [one.upper() for one in said[3]]
    assert said[4] == "Registered"
    assert said[5] == ["custombootdiag"]
    assert {"linux1", "ss1", "custombootdiag"} <= set(said[6])


REFUSED = [
    (
        "virtualMachines/nowhere",
        "(ResourceNotFound)",
        "The Resource 'Microsoft.Compute/virtualMachines/nowhere'",
    ),
    ("virtualMachines/nodiag1", "Conflict", NO_BOOT_DIAGNOSTICS),
    ("virtualMachines/stopped1", "Conflict", NOT_RUNNING),
]


@pytest.mark.parametrize(("name", "code", "text"), REFUSED)
def test_az_shows_why_a_connect_is_refused(az: Az, name: str, code: str, text: str) -> None:
    said = az.run(connect_line(name))
    assert said.code != 0
    assert text in said.err, code


@pytest.fixture
def reader(lab: CloudLab, tmp_path: Path) -> Az:
    az = open_az(lab, tmp_path / "az")
    sign_in(az, name="reader")
    return az


def test_u3_az_is_refused_without_the_role(reader: Az) -> None:
    assert NO_ROLE in reader.run(connect_line("virtualMachines/linux1")).err
    said = reader.run(
        f"resource invoke-action --action disableConsole --ids {SERVICE_ID} --api-version 2018-05-01"
    )
    assert said.code != 0
    assert "AuthorizationFailed" in said.err
    assert NOT_ENABLED not in said.err
