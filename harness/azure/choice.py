"""Which service a command is for: by its options, else by the environment."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from emulator.errors import SpecError
from harness.azure.address import (
    ServiceAddress,
    address_of_environment,
    address_of_ready,
    azure_address,
    placed,
)


def choose_address(
    *,
    ready_file: Path | None = None,
    endpoint: str = "",
    ca: Path | None = None,
    principal: str = "",
    real_azure: bool = False,
    subscription: str = "",
    group: str = "",
) -> ServiceAddress:
    """Return the service that the options name, else the one of TTYLAB_READY_FILE or TTYLAB_ENDPOINT.

    Raises:
        SpecError: none is named, several are, or the file is wrong.
    """
    if (ready_file is not None) + bool(endpoint) + real_azure > 1:
        raise SpecError("give one of --ready-file, --endpoint and --real-azure")
    if real_azure:
        return azure_address(subscription=subscription, group=group)
    file = ready_file or (Path(found) if (found := os.environ.get("TTYLAB_READY_FILE")) else None)
    if file is not None and not endpoint:
        address = address_of_ready(_read(file), name=str(file), principal=principal)
    else:
        environment = dict(os.environ) | ({"TTYLAB_ENDPOINT": endpoint} if endpoint else {})
        address = address_of_environment(environment, principal=principal)
    address = placed(address, subscription=subscription, group=group)
    if ca is not None:
        address = replace(address, ca=ca)
    if address.ca is not None and not address.ca.is_file():
        raise SpecError(
            f"{address.ca}: no such file; it must hold the certificate of the service's authority"
        )
    return address


def _read(file: Path) -> dict[str, object]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise SpecError(f"{file}: no ready file: {error}") from error
    if not isinstance(found, dict):
        raise SpecError(f"{file}: no ready file: it holds no object")
    return found
