"""The part of azure-mgmt-compute that the console's users need; prints what was seen as JSON."""

import json
import sys

import requests
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient

FACTS = json.loads(sys.argv[1])
GROUP = FACTS["group"]
RUNNING = "VM running"


def open_client() -> ComputeManagementClient:
    endpoint = FACTS["endpoint"]
    credential = ClientSecretCredential(
        FACTS["tenant"], "app", "secret", authority=endpoint, disable_instance_discovery=True
    )
    return ComputeManagementClient(
        credential, FACTS["subscription"], base_url=endpoint, credential_scopes=[f"{endpoint}/.default"]
    )


def power_of(view) -> str:
    """Return the power state as LISA finds it: by position."""
    assert view.statuses[0].code.startswith("ProvisioningState/"), view.statuses[0].code
    return view.statuses[1].display_status


def refusal(call) -> list[object]:
    try:
        call()
    except HttpResponseError as error:
        return [error.status_code, error.error.code if error.error else None, error.message]
    raise SystemExit("it was not refused")


def fetch(data) -> dict[str, object]:
    """Fetch both blobs as anybody can who has their URLs: with no header."""
    screen = requests.get(data.console_screenshot_blob_uri, timeout=30)
    log = requests.get(data.serial_console_log_blob_uri, timeout=30)
    assert screen.ok, screen.text
    assert log.ok, log.text
    return {"screen": screen.content[:2].decode("latin-1"), "size": len(screen.content), "log": log.text}


def whole_vm(vms) -> dict[str, object]:
    vm = vms.get(GROUP, "linux1", expand="instanceView")
    return {
        "id": vm.id,
        "provisioning": vm.provisioning_state,
        "os": vm.storage_profile.os_disk.os_type,
        "offer": vm.storage_profile.image_reference.offer,
        "size": vm.hardware_profile.vm_size,
        "diagnostics": vm.diagnostics_profile.boot_diagnostics.enabled,
        "generation": vm.instance_view.hyper_v_generation,
        "power": power_of(vm.instance_view),
        "plain view": power_of(vms.instance_view(GROUP, "linux1")),
        "without view": vms.get(GROUP, "linux1").instance_view is None,
        "names": sorted(one.name for one in vms.list(GROUP)),
        "all names": sorted(one.name for one in vms.list_all()),
        "stopped": power_of(vms.get(GROUP, "stopped1", expand="instanceView").instance_view),
        "no diagnostics": vms.get(GROUP, "nodiag1").diagnostics_profile is None
        or not vms.get(GROUP, "nodiag1").diagnostics_profile.boot_diagnostics.enabled,
        "storage uri": vms.get(GROUP, "custom1").diagnostics_profile.boot_diagnostics.storage_uri,
        "unknown": refusal(lambda: vms.get(GROUP, "nowhere")),
    }


def power_states(vms, *name: str) -> list[str]:
    """Do every power action and return the state after each."""
    view = vms.instance_view if hasattr(vms, "instance_view") else vms.get_instance_view
    seen = []
    for action, options in (
        ("begin_power_off", {"skip_shutdown": True}),
        ("begin_start", {}),
        ("begin_power_off", {}),
        ("begin_start", {}),
        ("begin_restart", {}),
        ("begin_deallocate", {}),
        ("begin_start", {}),
        ("begin_redeploy", {}),
    ):
        getattr(vms, action)(GROUP, *name, **options).result()
        seen.append(power_of(view(GROUP, *name)))
    return seen


def changes(vms) -> dict[str, object]:
    vms.begin_update(GROUP, "linux2", {"tags": {"a": "b"}}).result()
    vm = vms.get(GROUP, "linux2")
    tags = vm.tags
    vm.diagnostics_profile.boot_diagnostics.enabled = False
    after_put = vms.begin_create_or_update(GROUP, "linux2", vm).result()
    off = after_put.diagnostics_profile.boot_diagnostics.enabled
    body = {
        "location": vm.location,
        "properties": {"diagnosticsProfile": {"bootDiagnostics": {"enabled": True}}},
    }
    vms.begin_update(GROUP, "linux2", body).result()
    on = vms.get(GROUP, "linux2").diagnostics_profile.boot_diagnostics.enabled
    vms.begin_reapply(GROUP, "linux2").result()
    return {"tags": tags, "off": off, "on": on, "tags after": vms.get(GROUP, "linux2").tags}


def made_anew(vms) -> dict[str, object]:
    """Make a VM, see it, delete it."""
    body = {
        "location": "eastus",
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_B1s"},
            "storageProfile": {
                "imageReference": {
                    "publisher": "Debian",
                    "offer": "debian-12",
                    "sku": "12",
                    "version": "latest",
                },
                "osDisk": {"createOption": "FromImage"},
            },
            "osProfile": {"computerName": "new1", "adminUsername": "azure", "adminPassword": "Passw0rd!"},
            "networkProfile": {"networkInterfaces": []},
            "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
        },
    }
    made = vms.begin_create_or_update(GROUP, "new1", body).result()
    power = power_of(vms.instance_view(GROUP, "new1"))
    secret = made.os_profile.admin_password
    vms.begin_delete(GROUP, "new1").result()
    return {
        "provisioning": made.provisioning_state,
        "power": power,
        "secret": secret,
        "deleted": refusal(lambda: vms.get(GROUP, "new1"))[:2],
    }


def scale_set(client: ComputeManagementClient) -> dict[str, object]:
    sets, instances = client.virtual_machine_scale_sets, client.virtual_machine_scale_set_vms
    seen = {
        "names": [one.name for one in sets.list(GROUP)],
        "capacity": sets.get(GROUP, "ss1").sku.capacity,
        "instances": sorted(one.instance_id for one in instances.list(GROUP, "ss1")),
        "view": power_of(instances.get_instance_view(GROUP, "ss1", "0")),
        "expanded": power_of(instances.get(GROUP, "ss1", "0", expand="instanceView").instance_view),
        "power": power_states(instances, "ss1", "1"),
        "no set": refusal(lambda: instances.get_instance_view(GROUP, "nowhere", "0"))[:2],
        "no instance": refusal(lambda: instances.get_instance_view(GROUP, "ss1", "77"))[:2],
        "blobs": fetch(instances.retrieve_boot_diagnostics_data(GROUP, "ss1", "0")),
    }
    sets.begin_power_off(GROUP, "ss1", {"instanceIds": ["2"]}).result()
    seen["off by set"] = power_of(instances.get_instance_view(GROUP, "ss1", "2"))
    sets.begin_start(GROUP, "ss1", {"instanceIds": ["2"]}).result()
    seen["on by set"] = power_of(instances.get_instance_view(GROUP, "ss1", "2"))
    sets.begin_restart(GROUP, "ss1", {"instanceIds": ["2"]}).result()
    return seen


def upgrade(client: ComputeManagementClient) -> list[bool]:
    """Switch boot diagnostics off in the model, then on; an instance follows when it is upgraded (U12)."""
    sets, instances = client.virtual_machine_scale_sets, client.virtual_machine_scale_set_vms
    seen = []
    for enabled in (False, True):
        diagnostics = {"diagnosticsProfile": {"bootDiagnostics": {"enabled": enabled}}}
        sets.begin_update(GROUP, "ss1", {"properties": {"virtualMachineProfile": diagnostics}}).result()
        for upgraded in (False, True):
            if upgraded:
                sets.begin_update_instances(GROUP, "ss1", {"instanceIds": ["0"]}).result()
            has = instances.get_instance_view(GROUP, "ss1", "0").boot_diagnostics is not None
            seen.append([instances.get(GROUP, "ss1", "0").latest_model_applied, has])
    return seen


def main() -> None:
    client = open_client()
    vms = client.virtual_machines
    seen = {
        "vm": whole_vm(vms),
        "power": power_states(vms, "linux1"),
        "changes": changes(vms),
        "made anew": made_anew(vms),
        "blobs": fetch(vms.retrieve_boot_diagnostics_data(GROUP, "linux1")),
        "blobs for a minute": fetch(
            vms.retrieve_boot_diagnostics_data(GROUP, "linux1", sas_uri_expiration_time_in_minutes=1)
        ),
        "no blobs": refusal(lambda: vms.retrieve_boot_diagnostics_data(GROUP, "nodiag1"))[:1],
        "scale set": scale_set(client),
        "upgrade": upgrade(client),
    }
    print(json.dumps(seen))


main()
