"""Every operation of azure-mgmt-serialconsole, 1.0.0 or 2.0.0; prints what each returned as JSON."""

import json
import sys

from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.serialconsole import MicrosoftSerialConsoleClient

FACTS = json.loads(sys.argv[1])
PARENTS = {
    "vm": ("virtualMachines", "linux1"),
    "instance": ("virtualMachineScaleSets", "ss1/virtualMachines/0"),
}


def open_client(client_id: str = "app") -> MicrosoftSerialConsoleClient:
    endpoint = FACTS["endpoint"]
    credential = ClientSecretCredential(
        FACTS["tenant"], client_id, "secret", authority=endpoint, disable_instance_discovery=True
    )
    return MicrosoftSerialConsoleClient(
        credential,
        FACTS["subscription"],
        base_url=endpoint,
        credential_scopes=[f"{endpoint}/.default"],
    )


def shown(result: object) -> object:
    """Return a model as plain values; 1.0.0's and 2.0.0's differ."""
    if result is None or isinstance(result, (str, dict)):
        return result
    return result.serialize(keep_readonly=True) if hasattr(result, "serialize") else result.as_dict()


def refusal(call) -> list[object]:
    try:
        call()
    except HttpResponseError as error:
        code = error.error.code if getattr(error, "error", None) else None
        return [error.status_code, code, error.message]
    raise SystemExit("it was not refused")


def switch(client: MicrosoftSerialConsoleClient) -> dict[str, object]:
    seen = []

    def keep(response, *_):
        seen.append(json.loads(response.http_response.body()))

    for call in (client.get_console_status, client.disable_console, client.get_console_status):
        call("default", raw_response_hook=keep)
    parent = ("Microsoft.Compute", *PARENTS["vm"])
    refused = refusal(lambda: client.serial_ports.connect(FACTS["group"], *parent, "0"))
    for call in (client.enable_console, client.get_console_status):
        call("default", raw_response_hook=keep)
    return {"disabled": [body["properties"]["disabled"] for body in seen], "refused": refused}


def ports(client: MicrosoftSerialConsoleClient, kind: str, instance: str) -> dict[str, object]:
    parent = (FACTS["group"], "Microsoft.Compute", kind, instance)
    serial = client.serial_ports
    said = {
        "list": shown(serial.list(*parent)),
        "get": shown(serial.get(*parent, "0")),
        "put": shown(serial.create(*parent, "0", {"properties": {"state": "enabled"}})),
        "connect": serial.connect(*parent, "0").connection_string,
        "delete": shown(serial.delete(*parent, "0")) if hasattr(serial, "delete") else None,
        "after delete": shown(serial.get(*parent, "0")),
    }
    serial.create(*parent, "0", {"properties": {"state": "enabled"}})
    return said


def main() -> None:
    client = open_client()
    print(
        json.dumps(
            {
                "operations": shown(client.list_operations()),
                "switch": switch(client),
                **{name: ports(client, *parent) for name, parent in PARENTS.items()},
                "all": shown(client.serial_ports.list_by_subscriptions()),
                "reader": refusal(
                    lambda: open_client("reader").serial_ports.connect(
                        FACTS["group"], "Microsoft.Compute", *PARENTS["vm"], "0"
                    )
                ),
                "unknown": refusal(
                    lambda: client.serial_ports.connect(
                        FACTS["group"], "Microsoft.Compute", "virtualMachines", "nowhere", "0"
                    )
                ),
            }
        )
    )


main()
