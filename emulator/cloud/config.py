"""cloud.toml: what is in a cloud and how it behaves, checked; as tables, still without records.

`demo.toml` beside this module is an example of all of it.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from emulator.cloud.settings import CloudKind, Era, Fault, Settings
from emulator.toml_file import load_toml, parse_table

GUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
NAME = r"^[A-Za-z0-9_.()-]{0,89}[A-Za-z0-9_()-]$"

Guid = Annotated[str, Field(pattern=GUID)]
Name = Annotated[str, Field(pattern=NAME)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Power = Literal["running", "stopped", "deallocated"]
Os = Literal["linux", "windows"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SettingsTable(_Table):
    """[settings]: every field of `Settings`; what is absent has its default."""

    era: Literal["current", "2020"] = "current"
    kind: Literal["public", "government", "china"] = "public"
    faults: list[Literal["refused-trust", "late-first-frame", "dropped-link", "conflict", "no-response"]] = []
    session_s: Seconds = 600.0
    token_wait_s: Seconds = 60.0
    idle_s: Seconds | None = None
    token_s: Seconds = 3600.0
    operation_s: Seconds = 0.0
    late_frame_s: Seconds = 3.0
    drop_after_s: Seconds = 10.0
    silence_s: Seconds = 30.0
    shutdown_s: Seconds = 60.0
    identity_header: str | None = Field(default=None, min_length=1)
    replay_lines: int = Field(default=1, ge=0, le=1000)

    def settings(self) -> Settings:
        """Return the value that the service works with."""
        plain = {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name not in {"era", "kind", "faults"}
        }
        return Settings(
            era=Era(self.era),
            kind=CloudKind(self.kind),
            faults=frozenset(Fault(name) for name in self.faults),
            **plain,
        )


class SubscriptionTable(_Table):
    """[[subscription]]: the first one is the default of groups."""

    id: Guid
    name: str = Field(min_length=1, max_length=64)
    tenant: Guid | None = None
    state: Literal["Enabled", "Disabled", "Warned", "PastDue", "Deleted"] = "Enabled"
    console: bool = True


class GroupTable(_Table):
    """[[group]]: a resource group; the names of groups differ in the whole file."""

    name: Name
    subscription: Guid | None = None
    location: str | None = Field(default=None, pattern=r"^[a-z0-9]{1,40}$")
    tags: dict[str, str] = {}


class RoleTable(_Table):
    """An entry of a principal's `roles`: a role's name, and where it holds.

    `on` is "subscription", "group NAME", "vm NAME", "scale-set NAME", "storage-account NAME" or a scope.
    """

    role: str = Field(min_length=1)
    on: list[str] = Field(default=["subscription"], min_length=1)


class PrincipalTable(_Table):
    """[[principal]]: who can sign in; a name with an @ is a user's, any other a service principal's."""

    name: str = Field(min_length=1, max_length=113, pattern=r"^[^\s/]+$")
    secret: str | None = Field(default=None, min_length=1)
    id: Guid | None = None
    app_id: str | None = Field(default=None, min_length=1, max_length=113)
    tenant: Guid | None = None
    roles: list[RoleTable] = []


class StorageAccountTable(_Table):
    """[[storage_account]]: what boot diagnostics may be kept in."""

    name: str = Field(pattern=r"^[a-z0-9]{3,24}$")
    group: Name
    location: str | None = Field(default=None, pattern=r"^[a-z0-9]{1,40}$")
    firewall: bool = False
    key_access: bool = True
    hierarchical_namespace: bool = False
    tls: Literal["TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3"] = "TLS1_2"


class ComputeTable(_Table):
    """What VMs and scale sets have in common.

    `boot_diagnostics` is "managed", "off", the name of a storage account of the file, or a blob endpoint.
    """

    name: Name
    group: Name
    location: str | None = Field(default=None, pattern=r"^[a-z0-9]{1,40}$")
    image: str | None = Field(default=None, min_length=1)
    generation: Literal[1, 2] = 1
    size: str = Field(default="Standard_B1s", pattern=r"^[A-Za-z0-9_]{1,40}$")
    os: Os = "linux"
    boot_diagnostics: str = Field(default="managed", min_length=1)
    admin: str = Field(default="root", min_length=1)
    tags: dict[str, str] = {}
    memory_mib: int | None = Field(default=None, ge=64, le=4096)
    kernel_args: list[str] = []


class VmTable(ComputeTable):
    """[[vm]]."""

    vm_id: Guid | None = None
    power: Power = "running"


class ScaleSetTable(ComputeTable):
    """[[scale_set]]; its instances are called 0, 1, 2 and so on."""

    id: Guid | None = None
    instances: int = Field(default=1, ge=0, le=200)
    power: Power = "running"
    upgrade: Literal["Manual", "Automatic", "Rolling"] = "Manual"


class CloudConfig(_Table):
    """A whole cloud.toml."""

    tenant: Guid
    settings: SettingsTable = SettingsTable()
    subscription: list[SubscriptionTable] = Field(min_length=1)
    group: list[GroupTable] = []
    principal: list[PrincipalTable] = []
    storage_account: list[StorageAccountTable] = []
    vm: list[VmTable] = []
    scale_set: list[ScaleSetTable] = []


def load_cloud_config(path: Path) -> CloudConfig:
    """Return the cloud that the file describes.

    Raises:
        SpecError: it can't be read or is wrong; one line a complaint.
    """
    return load_toml(path, CloudConfig)


DEMO_FILE = "demo.toml"


def demo_text() -> str:
    """Return the demo's cloud.toml as it is shipped."""
    return resources.files("emulator.cloud").joinpath(DEMO_FILE).read_text(encoding="utf-8")


def demo_config() -> CloudConfig:
    """Return the demo's tables."""
    return parse_table(tomllib.loads(demo_text()), CloudConfig, origin=DEMO_FILE)
