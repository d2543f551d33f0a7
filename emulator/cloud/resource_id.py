"""Resource ids: `/subscriptions/S/resourceGroups/G/providers/N/T/NAME/…`, compared without case."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from emulator.errors import SpecError

COMPUTE = "Microsoft.Compute"
STORAGE = "Microsoft.Storage"
VM_TYPE = "virtualMachines"
SCALE_SET_TYPE = "virtualMachineScaleSets"
STORAGE_ACCOUNT_TYPE = "storageAccounts"

_NAME = re.compile(r"[A-Za-z0-9_.()-]{1,90}(?<!\.)")


def require_name(what: str, name: str) -> str:
    """Return `name` if it can be a resource's name.

    Raises:
        SpecError: it is empty, longer than 90, ends in a dot, or has other characters than letters,
            digits and `_.()-`.
    """
    if not _NAME.fullmatch(name):
        raise SpecError(f"{what} is {name!r}; allowed: 1 to 90 letters, digits, _ . ( ) -, no dot at the end")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceId:
    """The id of a resource in a group.

    Attributes:
        subscription: its id.
        group: resource group's name.
        provider: namespace ("Microsoft.Compute").
        path: (type, name) pairs, outermost first; an instance of a scale set has two.
    """

    subscription: str
    group: str
    provider: str
    path: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Return the id as ARM writes it."""
        tail = "/".join(f"{kind}/{name}" for kind, name in self.path)
        return f"{group_scope(self.subscription, self.group)}/providers/{self.provider}/{tail}"

    @property
    def key(self) -> str:
        """The id in lower case, by which ids are compared."""
        return str(self).lower()

    @property
    def name(self) -> str:
        """The innermost name."""
        return self.path[-1][1]

    @property
    def type(self) -> str:
        """The full type, "Microsoft.Compute/virtualMachineScaleSets/virtualMachines"."""
        return "/".join((self.provider, *(kind for kind, _ in self.path)))

    @property
    def parent(self) -> ResourceId | None:
        """The resource that this one is a part of, or None."""
        return None if len(self.path) == 1 else replace(self, path=self.path[:-1])

    def child(self, kind: str, name: str) -> ResourceId:
        """Return the id of a part of this resource."""
        return replace(self, path=(*self.path, (kind, name)))


def subscription_scope(subscription: str) -> str:
    """Return a subscription as a scope."""
    return f"/subscriptions/{subscription}"


def group_scope(subscription: str, group: str) -> str:
    """Return a resource group as a scope."""
    return f"{subscription_scope(subscription)}/resourceGroups/{group}"


def vm_id(subscription: str, group: str, name: str) -> ResourceId:
    """Return the id of a virtual machine."""
    return _id(subscription, group, provider=COMPUTE, kind=VM_TYPE, name=name)


def scale_set_id(subscription: str, group: str, name: str) -> ResourceId:
    """Return the id of a scale set."""
    return _id(subscription, group, provider=COMPUTE, kind=SCALE_SET_TYPE, name=name)


def instance_id(subscription: str, group: str, *, scale_set: str, instance: str) -> ResourceId:
    """Return the id of an instance of a scale set."""
    return scale_set_id(subscription, group, scale_set).child(VM_TYPE, instance)


def storage_account_id(subscription: str, group: str, name: str) -> ResourceId:
    """Return the id of a storage account."""
    return _id(subscription, group, provider=STORAGE, kind=STORAGE_ACCOUNT_TYPE, name=name)


def is_within(scope: str, ancestor: str) -> bool:
    """Tell whether `scope` is `ancestor` or lies below it; "/" is above everything."""
    inner, outer = scope.lower().rstrip("/"), ancestor.lower().rstrip("/")
    return inner == outer or inner.startswith(outer + "/")


def parse_resource_id(text: str) -> ResourceId:
    """Read the id of a resource in a group, its fixed words in any case; raises SpecError for others."""
    words = text.strip("/").split("/")
    fixed = [word.lower() for word in words[0:6:2]]
    if len(words) < 8 or len(words) % 2 or fixed != ["subscriptions", "resourcegroups", "providers"]:
        raise SpecError(
            f"resource id is {text!r}; need /subscriptions/S/resourceGroups/G/providers/N/TYPE/NAME"
        )
    for word in words[1::2]:
        require_name("a part of the resource id", word)
    pairs = tuple(zip(words[6::2], words[7::2], strict=True))
    return ResourceId(subscription=words[1], group=words[3], provider=words[5], path=pairs)


def _id(subscription: str, group: str, *, provider: str, kind: str, name: str) -> ResourceId:
    return ResourceId(subscription=subscription, group=group, provider=provider, path=((kind, name),))
