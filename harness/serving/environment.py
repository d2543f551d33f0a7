"""What `ttylab serve` prints: its banner, and with `--print-env` how other clients use the service.

The `export` lines are for a shell (`eval "$(ttylab serve --print-env)"`); the rest, for az, Python,
JavaScript, Go and Terraform, is a comment there. Which variable each client reads: docs/facts/azure.md 5.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from emulator import places
from emulator.clock import utc_now
from emulator.cloud.config import CloudConfig
from emulator.cloud.config_records import build_records
from emulator.cloud.records import PowerState, Record, ScaleSet, VirtualMachine
from emulator.cloud.settings import CloudKind, Era, Settings
from emulator.errors import SpecError
from emulator.guest_images.own import linux_names, own_tables
from emulator.guest_text.printable import visible
from emulator.program import called
from emulator.service.https.server import endpoint_of
from emulator.service.https.tls import open_authority
from emulator.values import read_toml
from harness.serving.access import ServiceAccess, access_to
from harness.serving.trust import ADDING, REPLACING

CLOUD_NAME = "ttylab"
_CLIENTS = read_toml(Path(__file__).with_name("clients.toml"))["client"]
UNDO = "TTYLAB_UNDO"
_OLD = "TTYLAB_OLD_"


def render_environment(
    access: ServiceAccess, *, trust: Mapping[str, str] | None = None, before: Mapping[str, str] | None = None
) -> str:
    """Return the output of `--print-env`.

    `trust` has the file with certificates for each variable that names one, by default the authority's own;
    `before` is the environment of the shell that will evaluate it, whose values `eval "$TTYLAB_UNDO"` brings
    back.
    """
    name, client = _first(access, "client_id")
    files = dict.fromkeys((*REPLACING, ADDING), str(access.ca)) | dict(trust or {})
    variables = _variables(access, name, client) | files
    lines = [
        "# ttylab: a local cloud with serial consoles. For development only.",
        f'# For this shell:  eval "$({called("serve", "--print-env")})"',
        f'# To undo that:    eval "${UNDO}"',
        *_kept(variables, before or {}),
        *(f"export {key}={shlex.quote(value)}" for key, value in variables.items()),
    ]
    clients = [(one["title"], one["code"]) for one in _CLIENTS]
    for title, body in (("az", "\n".join(_az(access, client))), *clients):
        lines += ["", f"# --- {title}", *(f"# {line}" for line in body.splitlines())]
    return "\n".join(lines) + "\n"


def _kept(variables: Iterable[str], before: Mapping[str, str]) -> Iterator[str]:
    """Yield lines that keep what is set before, for the line that undoes all; no value of it is shown."""
    if UNDO in before:  # of an earlier time, which is the one to go back to
        return
    old = [key for key in variables if key in before]
    yield from (f'export {_OLD}{key}="${key}"' for key in old)
    undo = [f'export {key}="${_OLD}{key}"' for key in old]
    new = [key for key in variables if key not in before]
    undo.append(" ".join(["unset", *new, *(f"{_OLD}{key}" for key in old), UNDO]))
    yield f"export {UNDO}={shlex.quote('; '.join(undo))}"


def _first(access: ServiceAccess, kind: str) -> tuple[str, Mapping[str, str]]:
    """Return name and credential of the first principal that signs in with `kind`; empty if none does."""
    for name, credential in access.credentials.items():
        if kind in credential:
            return name, credential
    return "", {}


def _variables(access: ServiceAccess, name: str, client: Mapping[str, str]) -> dict[str, str]:
    client_id, secret = client.get("client_id", ""), client.get("client_secret", "")
    return {
        "TTYLAB_ENDPOINT": access.endpoint,
        "TTYLAB_CA": str(access.ca),
        "TTYLAB_TENANT": access.tenant,
        "TTYLAB_SUBSCRIPTION": access.subscription,
        "TTYLAB_PRINCIPAL": name,
        "TTYLAB_SECRET": secret,
        # azure-identity in every language
        "AZURE_AUTHORITY_HOST": access.endpoint,
        "AZURE_TENANT_ID": access.tenant,
        "AZURE_SUBSCRIPTION_ID": access.subscription,
        "AZURE_CLIENT_ID": client_id,
        "AZURE_CLIENT_SECRET": secret,
        # Terraform's azurerm
        "ARM_METADATA_HOSTNAME": access.endpoint.partition("://")[2],
        "ARM_TENANT_ID": access.tenant,
        "ARM_SUBSCRIPTION_ID": access.subscription,
        "ARM_CLIENT_ID": client_id,
        "ARM_CLIENT_SECRET": secret,
    }


def _az(access: ServiceAccess, client: Mapping[str, str]) -> Iterator[str]:
    yield f"az cloud register -n {CLOUD_NAME} --endpoint-resource-manager {access.endpoint}"
    yield f"az cloud set -n {CLOUD_NAME}"
    login = f"--tenant {access.tenant}"
    if client:
        yield (
            f"az login --service-principal -u {shlex.quote(client['client_id'])}"
            f" -p {shlex.quote(client['client_secret'])} {login}"
        )
    _, user = _first(access, "username")
    if user:
        yield f"az login -u {shlex.quote(user['username'])} -p {shlex.quote(user['password'])}   # or a user"
    _, identity = _first(access, "identity_endpoint")
    if identity:
        yield (
            f"IDENTITY_ENDPOINT={identity['identity_endpoint']}"
            f" IDENTITY_HEADER={shlex.quote(identity['identity_header'])} az login --identity   # or this"
        )
    yield "az serial-console connect -g rg1 -n linux1"
    yield "az cloud set -n AzureCloud   # back to Azure"


SHOWN_MAX = 12


def render_banner(
    access: ServiceAccess, records: Iterable[Record], settings: Settings, *, options: Sequence[str] = ()
) -> str:
    """Return the banner: where the service is, who can sign in, its VMs, and what to do next.

    The `options` are those with which `--print-env` finds this service.
    """
    environment = called("serve", *options, "--print-env")
    known = list(records)
    machines = [one for one in known if isinstance(one, VirtualMachine) and one.scale_set is None]
    lines = [
        f"ttylab answers at {access.endpoint}   (web console: open it in a browser)",
        f"  CA            {access.ca}   (also {access.endpoint}/ca.pem)",
        f"  tenant        {access.tenant}",
        f"  subscription  {access.subscription}",
        "  credentials   " + ", ".join(_shown_credentials(access)),
        *_shown_settings(settings),
        "  VMs           " + _listed([_shown_vm(vm) for vm in machines]),
        *(f"  scale set     {_shown_scale_set(one, known)}" for one in known if isinstance(one, ScaleSet)),
        "Next, in another terminal:",
        f'  eval "$({environment})"   and then: {called("console", "linux1")}',
        f"  {environment}             lines for az, Python, JavaScript, Go, Terraform",
        "Ctrl-C ends it and its guests.",
    ]
    return "\n".join(lines) + "\n"


def _shown_credentials(access: ServiceAccess) -> list[str]:
    secrets = (
        (name, one.get("client_secret") or one.get("password")) for name, one in access.credentials.items()
    )
    return [f"{name} / {secret}" for name, secret in secrets if secret]


def _shown_settings(settings: Settings) -> list[str]:
    lines = []
    if settings.era is Era.Y2020:
        lines.append(
            "  era           2020: no managed boot diagnostics, a role on the storage account needed"
        )
    if settings.kind is not CloudKind.PUBLIC:
        lines.append(f"  cloud         {settings.kind.value}: serial console {settings.cloud.console}")
    if settings.faults:
        lines.append("  faults        " + ", ".join(sorted(fault.value for fault in settings.faults)))
    return lines


def _shown_vm(vm: VirtualMachine) -> str:
    remarks = []
    if table := own_tables().get(vm.guest.image):
        remarks.append(f"boots {visible(str(table.kernel or table.disk))}")
    if vm.guest.stands_in_for is not None:
        who = "the SAC guest" if vm.guest.is_sac else "a Linux guest"
        remarks.append(f"{who} stands in for {vm.guest.stands_in_for}")
    if not vm.boot_diagnostics.enabled:
        remarks.append("no boot diagnostics")
    elif vm.boot_diagnostics.storage_uri is not None:
        remarks.append("custom storage account")
    if vm.power is not PowerState.RUNNING:
        remarks.append(vm.power.value)
    return f"{vm.id.name} ({', '.join(remarks)})" if remarks else vm.id.name


def _shown_scale_set(scale_set: ScaleSet, records: list[Record]) -> str:
    machines = [one for one in records if isinstance(one, VirtualMachine)]
    names = [one.id.name for one in machines if one.scale_set and one.scale_set.key == scale_set.key]
    return f"{scale_set.id.name}: {_listed(names)}"


def _listed(names: list[str]) -> str:
    more = len(names) - SHOWN_MAX
    shown = ", ".join(names[:SHOWN_MAX])
    return f"{shown} and {more} more" if more > 0 else shown or "none"


def describe_access(
    tables: CloudConfig, origin: str, *, host: str, port: int, state: Path | None
) -> ServiceAccess:
    """Return how to use `ttylab serve` with these options; makes the authority if needed.

    Raises:
        SpecError: the port is not known before the start, or a value is wrong.
    """
    if port == 0:
        raise SpecError("--print-env needs the port that the service will have; give --port")
    authority = open_authority(state / "ca" if state is not None else places.authority())
    records = build_records(tables, now=utc_now(), known_images=linux_names(), origin=origin)
    return access_to(
        records,
        endpoint=endpoint_of(host, port),
        ca=authority.certificate,
        identity_header=tables.settings.identity_header,
    )
