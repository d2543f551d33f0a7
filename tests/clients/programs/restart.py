"""Restart a VM with azure-mgmt-compute and read its boot log and screenshot; prints what was seen."""

import json
import sys

import requests
from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient

FACTS = json.loads(sys.argv[1])
ENDPOINT, GROUP, VM = FACTS["endpoint"], FACTS["group"], FACTS["vm"]


def main() -> None:
    credential = ClientSecretCredential(
        FACTS["tenant"], "app", "secret", authority=ENDPOINT, disable_instance_discovery=True
    )
    scopes = [f"{ENDPOINT}/.default"]
    client = ComputeManagementClient(
        credential, FACTS["subscription"], base_url=ENDPOINT, credential_scopes=scopes
    )
    vms = client.virtual_machines
    vms.begin_restart(GROUP, VM).result()
    data = vms.retrieve_boot_diagnostics_data(GROUP, VM)
    seen = {
        "power": vms.instance_view(GROUP, VM).statuses[1].display_status,
        "log": requests.get(data.serial_console_log_blob_uri, timeout=30).text,
        "screen": requests.get(data.console_screenshot_blob_uri, timeout=30).content[:2].decode("latin-1"),
    }
    print(json.dumps(seen))


main()
