"""cloud.toml: what is in a cloud and how it behaves, as checked tables; `config_records` makes the records.

`demo.toml` in this directory is an example of everything.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from emulator.cloud.settings import Settings
from emulator.values import load_toml, read_value

GUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
NAME = r"^[A-Za-z0-9_.()-]{0,89}[A-Za-z0-9_()-]$"

Guid = Annotated[str, Field(pattern=GUID)]
Name = Annotated[str, Field(pattern=NAME)]
Text = Annotated[str, Field(min_length=1)]
Location = Annotated[str, Field(pattern=r"^[a-z0-9]{1,40}$")]
Power = Literal["running", "stopped", "deallocated"]
Os = Literal["linux", "windows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionTable:
    """[[subscription]]: the first one is the default for groups."""

    id: Guid
    name: Annotated[str, Field(min_length=1, max_length=64)]
    tenant: Guid | None = None
    state: Literal["Enabled", "Disabled", "Warned", "PastDue", "Deleted"] = "Enabled"
    console: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """[[group]]: a resource group; each name may occur only once in the file."""

    name: Name
    subscription: Guid | None = None
    location: Location | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleTable:
    """An entry of a principal's `roles`: the role's name, and where it holds.

    `on` is "subscription", "group NAME", "vm NAME", "scale-set NAME", "storage-account NAME" or a scope.
    """

    role: Text
    on: Annotated[tuple[str, ...], Field(min_length=1)] = ("subscription",)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalTable:
    """[[principal]]: who can sign in; a name with an @ is a user, any other a service principal."""

    name: Annotated[str, Field(min_length=1, max_length=113, pattern=r"^[^\s/]+$")]
    secret: Text | None = None
    id: Guid | None = None
    app_id: Annotated[str, Field(min_length=1, max_length=113)] | None = None
    tenant: Guid | None = None
    roles: tuple[RoleTable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageAccountTable:
    """[[storage_account]]: a storage account that boot diagnostics may be kept in."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]{3,24}$")]
    group: Name
    location: Location | None = None
    firewall: bool = False
    key_access: bool = True
    hierarchical_namespace: bool = False
    tls: Literal["TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3"] = "TLS1_2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeTable:
    """What VMs and scale sets have in common.

    `boot_diagnostics` is "managed", "off", the name of a storage account in the file, or a blob endpoint.
    """

    name: Name
    group: Name
    location: Location | None = None
    image: Text | None = None
    generation: Literal[1, 2] = 1
    size: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")] = "Standard_B1s"
    os: Os = "linux"
    boot_diagnostics: Text = "managed"
    admin: Text = "root"
    tags: Mapping[str, str] = field(default_factory=dict)
    memory_mib: Annotated[int, Field(ge=64, le=4096)] | None = None
    kernel_args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VmTable(ComputeTable):
    """[[vm]]."""

    vm_id: Guid | None = None
    power: Power = "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleSetTable(ComputeTable):
    """[[scale_set]]; its instances are named 0, 1, 2 and so on."""

    id: Guid | None = None
    instances: Annotated[int, Field(ge=0, le=200)] = 1
    power: Power = "running"
    upgrade: Literal["Manual", "Automatic", "Rolling"] = "Manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudConfig:
    """A whole cloud.toml."""

    tenant: Guid
    settings: Settings = field(default_factory=Settings)
    subscription: Annotated[tuple[SubscriptionTable, ...], Field(min_length=1)]
    group: tuple[GroupTable, ...] = ()
    principal: tuple[PrincipalTable, ...] = ()
    storage_account: tuple[StorageAccountTable, ...] = ()
    vm: tuple[VmTable, ...] = ()
    scale_set: tuple[ScaleSetTable, ...] = ()


def load_cloud_config(path: Path) -> CloudConfig:
    """Return the cloud that the file describes; raises SpecError with one line per problem."""
    return load_toml(path, CloudConfig)


DEMO_FILE = "demo.toml"


def demo_text() -> str:
    """Return the text of the demo's cloud.toml."""
    return resources.files("emulator.cloud").joinpath(DEMO_FILE).read_text(encoding="utf-8")


def demo_config() -> CloudConfig:
    """Return the demo's tables."""
    return read_value(tomllib.loads(demo_text()), CloudConfig, origin=DEMO_FILE)
