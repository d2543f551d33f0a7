"""Whose a custom role is, and how many roles and assignments there may be; pure.

The numbers are Azure's, and the codes; what a tenant's roles hold together is bounded by ttylab itself.
"""

from __future__ import annotations

from emulator.cloud.records import Cloud, RoleAssignment, RoleDefinition, Subscription
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import is_within, subscription_scope

ASSIGNMENTS_MAX = 4000
"""Azure's limit for a subscription with everything in it."""
DEFINITIONS_MAX = 5000
"""Azure's limit of custom roles in a tenant."""
DEFINITIONS_SIZE_MAX = 20_000
"""Actions and scopes that a tenant's custom roles have together: all of them may have to be looked at."""


def tenant_of_role(cloud: Cloud, role: RoleDefinition) -> str | None:
    """Return the tenant of a custom role, in lower case, or None for one that all tenants have."""
    for scope in role.scopes:
        owner = None if scope == "/" else cloud.find(Subscription, scope.split("/")[2])
        if owner is not None:
            return owner.tenant.lower()
    return None


def require_room_for_role(cloud: Cloud, wanted: RoleDefinition) -> None:
    """Check that the tenant of a custom role may have it beside its others.

    Raises:
        CloudError: 400; there are too many, or another of its tenant has the same name.
    """
    tenant = tenant_of_role(cloud, wanted)
    others = [
        one
        for one in cloud.all(RoleDefinition)
        if not one.built_in and one.id != wanted.id and tenant_of_role(cloud, one) == tenant
    ]
    built_in = [one for one in cloud.all(RoleDefinition) if one.built_in]
    size = sum(len(one.actions) + len(one.not_actions) + len(one.scopes) for one in (*others, wanted))
    if len(others) >= DEFINITIONS_MAX or size > DEFINITIONS_SIZE_MAX:
        raise refusal("RoleDefinitionLimitExceeded", most=DEFINITIONS_MAX, size=DEFINITIONS_SIZE_MAX)
    if any(one.name.lower() == wanted.name.lower() for one in (*others, *built_in)):
        raise refusal("RoleDefinitionWithSameNameExists", name=wanted.name)


def require_room_for_assignment(cloud: Cloud, scope: str) -> None:
    """Check that the subscription of `scope` may have one more assignment; raises CloudError 400 if not."""
    subscription = subscription_scope(scope.split("/")[2])
    present = sum(is_within(one.scope, subscription) for one in cloud.all(RoleAssignment))
    if present >= ASSIGNMENTS_MAX:
        raise refusal("RoleAssignmentLimitExceeded")
