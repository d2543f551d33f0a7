"""Who may do what where: Azure's built-in roles as data, and the decision; pure.

Ids and actions are those of Azure's built-in roles (docs/facts/azure.md 8, DOC-role).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from emulator.cloud.records import Cloud, RoleAssignment, RoleDefinition
from emulator.cloud.resource_id import is_within, subscription_scope

CONNECT = "Microsoft.SerialConsole/serialPorts/connect/action"

OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
VM_CONTRIBUTOR = "9980e02c-c2be-4d73-94e8-173b1dc7cf3c"

BUILT_IN_ROLES = (
    RoleDefinition(
        id=OWNER,
        name="Owner",
        description="Grants full access to manage all resources, including the ability to assign roles.",
        actions=("*",),
        built_in=True,
    ),
    RoleDefinition(
        id=CONTRIBUTOR,
        name="Contributor",
        description="Grants full access to manage all resources, but does not allow you to assign roles.",
        actions=("*",),
        not_actions=(
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ),
        built_in=True,
    ),
    RoleDefinition(
        id=READER,
        name="Reader",
        description="View all resources, but does not allow you to make any changes.",
        actions=("*/read",),
        built_in=True,
    ),
    RoleDefinition(
        id="18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        name="User Access Administrator",
        description="Lets you manage user access to Azure resources.",
        actions=("*/read", "Microsoft.Authorization/*"),
        built_in=True,
    ),
    RoleDefinition(
        id=VM_CONTRIBUTOR,
        name="Virtual Machine Contributor",
        description="Lets you manage virtual machines, but not access to them, and not the virtual network"
        " or storage account they're connected to.",
        actions=(
            "Microsoft.Authorization/*/read",
            "Microsoft.Compute/availabilitySets/*",
            "Microsoft.Compute/locations/*",
            "Microsoft.Compute/virtualMachines/*",
            "Microsoft.Compute/virtualMachineScaleSets/*",
            "Microsoft.Compute/disks/read",
            "Microsoft.Compute/disks/write",
            "Microsoft.Compute/disks/delete",
            "Microsoft.Insights/alertRules/*",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            CONNECT,
            "Microsoft.Storage/storageAccounts/listKeys/action",
            "Microsoft.Storage/storageAccounts/read",
        ),
        built_in=True,
    ),
    RoleDefinition(
        id="17d1049b-9a84-46fb-8f53-869881c3d3ab",
        name="Storage Account Contributor",
        description="Lets you manage storage accounts, including accessing storage account keys.",
        actions=(
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "Microsoft.Storage/storageAccounts/*",
        ),
        built_in=True,
    ),
)


def grants(role: RoleDefinition, action: str) -> bool:
    """Tell whether `role` allows `action`; what its `not_actions` take away another role may give."""
    return _any_match(role.actions, action) and not _any_match(role.not_actions, action)


def is_allowed(cloud: Cloud, principal: str, *, action: str, scope: str) -> bool:
    """Tell whether a role that `principal` (object id) has at `scope` or above it allows `action`."""
    return any(
        grants(role, action)
        for assignment, role in roles_of(cloud, principal)
        if is_within(scope, assignment.scope)
    )


def sees_subscription(cloud: Cloud, principal: str, subscription: str) -> bool:
    """Tell whether `principal` has any role at the subscription, above it or under it."""
    scope = subscription_scope(subscription)
    return any(
        is_within(scope, assignment.scope) or is_within(assignment.scope, scope)
        for assignment, _ in roles_of(cloud, principal)
    )


def roles_of(cloud: Cloud, principal: str) -> Iterator[tuple[RoleAssignment, RoleDefinition]]:
    """Yield the assignments of `principal`, each with its role."""
    for assignment in cloud.all(RoleAssignment):
        role = cloud.find(RoleDefinition, assignment.role)
        if assignment.principal.lower() == principal.lower() and role is not None:
            yield assignment, role


def _any_match(patterns: tuple[str, ...], action: str) -> bool:
    return any(_matches(pattern, action) for pattern in patterns)


def _matches(pattern: str, action: str) -> bool:
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(expression, action, re.IGNORECASE) is not None
