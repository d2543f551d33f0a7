"""Ask for consoles with azure-mgmt-serialconsole; prints for each [status, code, message].

A question is [client id, namespace, kind, parent], with a subscription as a fifth where it is another.
"""

import json
import sys

from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.serialconsole import MicrosoftSerialConsoleClient

FACTS = json.loads(sys.argv[1])


def ask(name: str, namespace: str, kind: str, parent: str, subscription: str = "") -> list[object]:
    endpoint = FACTS["endpoint"]
    credential = ClientSecretCredential(
        FACTS["tenant"], name, "secret", authority=endpoint, disable_instance_discovery=True
    )
    client = MicrosoftSerialConsoleClient(
        credential,
        subscription or FACTS["subscription"],
        base_url=endpoint,
        credential_scopes=[f"{endpoint}/.default"],
        retry_total=0,
    )
    try:
        client.serial_ports.connect(FACTS["group"], namespace, kind, parent, "0")
    except HttpResponseError as error:
        body = json.loads(error.response.text())
        said = body.get("error", body)
        return [error.status_code, said["code"], said["message"]]
    return [200, "", ""]


print(json.dumps([ask(*question) for question in FACTS["questions"]]))
