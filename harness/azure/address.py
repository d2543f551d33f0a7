"""Where a cloud service is and who signs in: from a ready file, the environment, or the real Azure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from emulator.errors import SpecError
from emulator.files import read_whole
from emulator.program import called
from emulator.values import TOML_MOST, parse_json

AZURE_ENDPOINT = "https://management.azure.com"
DEMO_TENANT = "11111111-1111-1111-1111-111111111111"
DEMO_SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
DEMO_GROUP = "rg1"
DEMO_PRINCIPAL = "app"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAddress:
    """A service, and a principal to sign in as.

    Attributes:
        endpoint: "https://HOST:PORT", without a slash at its end.
        ca: PEM file of the authority that signed its certificate; None trusts the system's authorities.
        tenant: GUID.
        subscription: GUID, "" if none is known.
        group: resource group of VMs that are given by name.
        principal: client id of a service principal, or a user's name ("dev@localhost").
        secret: the principal's secret; never in a message.
        azure: whether it is the real Azure, where azure-identity finds the credential.
    """

    endpoint: str
    ca: Path | None = None
    tenant: str = DEMO_TENANT
    subscription: str = DEMO_SUBSCRIPTION
    group: str = DEMO_GROUP
    principal: str = DEMO_PRINCIPAL
    secret: str = field(default="", repr=False)
    azure: bool = False

    def __post_init__(self) -> None:
        """Refuse an endpoint to which no token may be sent."""
        if not self.endpoint.startswith("https://") or self.endpoint.endswith("/"):
            raise SpecError(
                f"endpoint is {self.endpoint!r}; allowed: https://HOST[:PORT] without a slash at its end"
            )
        if any(mark in self.endpoint for mark in "@?#") or self.endpoint.count("/") != 2:
            raise SpecError(f"endpoint is {self.endpoint!r}; allowed: https://HOST[:PORT] and nothing more")


def address_of_ready(ready: Mapping[str, Any], *, name: str, principal: str = "") -> ServiceAddress:
    """Return the address in a ready file.

    `ready` is its JSON, and `name` what messages call it; a `principal` of "" is `DEMO_PRINCIPAL`, or else
    the first one.

    Raises:
        SpecError: it is not a ready file, or does not contain `principal`.
    """
    endpoint, known = ready.get("endpoint"), _logins(ready.get("credentials"))
    if not isinstance(endpoint, str) or not known:
        raise SpecError(f"{name}: need endpoint and credentials, as `ttylab serve --ready-file` writes them")
    chosen = principal or (DEMO_PRINCIPAL if DEMO_PRINCIPAL in known else next(iter(known)))
    if chosen not in known:
        raise SpecError(f"{name}: no principal {chosen!r}; allowed: {', '.join(sorted(known))}")
    ca = ready.get("ca")
    return ServiceAddress(
        endpoint=endpoint.rstrip("/"),
        ca=Path(str(ca)) if ca else None,
        tenant=str(ready.get("tenant") or DEMO_TENANT),
        subscription=str(ready.get("subscription") or DEMO_SUBSCRIPTION),
        principal=known[chosen][0],
        secret=known[chosen][1],
    )


def address_of_environment(environment: Mapping[str, str], *, principal: str = "") -> ServiceAddress:
    """Return the address in TTYLAB_ENDPOINT and the other TTYLAB variables.

    Raises:
        SpecError: there is no TTYLAB_ENDPOINT, or it is wrong.
    """
    endpoint = environment.get("TTYLAB_ENDPOINT", "")
    if not endpoint:
        raise SpecError(
            "no service is known: give --ready-file, --endpoint or --real-azure, or set TTYLAB_READY_FILE"
            f" or TTYLAB_ENDPOINT ({called('serve', '--print-env')})"
        )
    ca = environment.get("TTYLAB_CA", "")
    return ServiceAddress(
        endpoint=endpoint.rstrip("/"),
        ca=Path(ca) if ca else None,
        tenant=environment.get("TTYLAB_TENANT") or DEMO_TENANT,
        subscription=environment.get("TTYLAB_SUBSCRIPTION") or DEMO_SUBSCRIPTION,
        group=environment.get("TTYLAB_GROUP") or DEMO_GROUP,
        principal=principal or environment.get("TTYLAB_PRINCIPAL") or DEMO_PRINCIPAL,
        secret=environment.get("TTYLAB_SECRET") or "secret",
    )


def _logins(credentials: object) -> dict[str, tuple[str, str]]:
    """Return login and secret of each principal, by its name in the ready file."""
    found: dict[str, tuple[str, str]] = {}
    for name, one in credentials.items() if isinstance(credentials, Mapping) else ():
        if isinstance(one, Mapping):
            login = str(one.get("client_id") or one.get("username") or name)
            found[str(name)] = (login, str(one.get("client_secret") or one.get("password") or ""))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceChoice:
    """Which service a command talks to; each field is an option."""

    group: Annotated[str, Option("--group", "-g", help="Resource group; default: rg1.")] = ""
    subscription: Annotated[str, Option("--subscription", help="Subscription id.")] = ""
    ready_file: Annotated[
        Path | None, Option("--ready-file", help="File that `ttylab serve --ready-file` wrote.")
    ] = None
    endpoint: Annotated[str, Option("--endpoint", help="https://HOST:PORT of ttylab's service.")] = ""
    ca: Annotated[Path | None, Option("--ca", help="Certificate of the service's authority.")] = None
    principal: Annotated[
        str, Option("--as", metavar="NAME", help="Client id or user to act as; default: app.")
    ] = ""
    real_azure: Annotated[
        bool,
        Option("--real-azure", help="The real Azure, with the identity that azure-identity finds."),
    ] = False

    def address(self) -> ServiceAddress:
        """Return the service in the options, else the one in TTYLAB_READY_FILE or TTYLAB_ENDPOINT.

        Raises:
            SpecError: no service or more than one is given, or the file is wrong.
        """
        if (self.ready_file is not None) + bool(self.endpoint) + self.real_azure > 1:
            raise SpecError("give one of --ready-file, --endpoint and --real-azure")
        if self.real_azure:
            return ServiceAddress(
                endpoint=AZURE_ENDPOINT,
                tenant="",
                subscription=self.subscription,
                group=self.group,
                principal="",
                azure=True,
            )
        address = self._address_of_ttylab()
        address = replace(
            address,
            subscription=self.subscription or address.subscription,
            group=self.group or address.group,
            ca=self.ca or address.ca,
        )
        if address.ca is not None and not address.ca.is_file():
            raise SpecError(
                f"{address.ca}: no such file; it must hold the certificate of the service's authority"
            )
        return address

    def _address_of_ttylab(self) -> ServiceAddress:
        found = os.environ.get("TTYLAB_READY_FILE")
        file = self.ready_file or (Path(found) if found else None)
        if file is not None and not self.endpoint:
            return address_of_ready(_read(file), name=str(file), principal=self.principal)
        environment = dict(os.environ) | ({"TTYLAB_ENDPOINT": self.endpoint} if self.endpoint else {})
        return address_of_environment(environment, principal=self.principal)


def _read(file: Path) -> dict[str, object]:
    try:
        found = parse_json(read_whole(file, most=TOML_MOST), origin="")
    except (OSError, SpecError) as error:
        raise SpecError(f"{file}: not a ready file: {error}") from error
    if not isinstance(found, dict):
        raise SpecError(f"{file}: not a ready file: it is not a JSON object")
    return found
