"""What `ttylab serve` says when it answers; pure."""

from __future__ import annotations

from collections.abc import Iterable

from emulator.cloud.records import PowerState, Record, ScaleSet, VirtualMachine
from emulator.cloud.settings import CloudKind, Era, Settings
from harness.serving.access import ServiceAccess

SHOWN_MAX = 12


def render_banner(access: ServiceAccess, records: Iterable[Record], settings: Settings) -> str:
    """Return where the service is, who can sign in, what there is, and what to do next."""
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
        '  eval "$(ttylab serve --print-env)"   and then: ttylab console linux1',
        "  ttylab serve --print-env             lines for az, Python, JavaScript, Go, Terraform",
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
    instances = [
        one.id.name
        for one in records
        if isinstance(one, VirtualMachine)
        and one.scale_set is not None
        and one.scale_set.key == scale_set.key
    ]
    return f"{scale_set.id.name}: {_listed(instances)}"


def _listed(names: list[str]) -> str:
    more = len(names) - SHOWN_MAX
    shown = ", ".join(names[:SHOWN_MAX])
    return f"{shown} and {more} more" if more > 0 else shown or "none"
