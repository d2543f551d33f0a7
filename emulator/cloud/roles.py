"""Who may do what where: built-in roles, the decision, and roles and assignments as documents; pure.

Ids and actions of the built-in roles are Azure's (`azure.toml`; docs/facts/azure.md 8, DOC-role).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

from emulator.cloud.directory import GUID
from emulator.cloud.documents import Condition, find_value
from emulator.cloud.records import Cloud, Principal, PrincipalType, RoleAssignment, RoleDefinition
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import is_within, subscription_scope
from emulator.cloud.role_limits import tenant_of_role
from emulator.cloud.settings import azure_document, azure_facts
from emulator.errors import CloudError

CONNECT = "Microsoft.SerialConsole/serialPorts/connect/action"

BUILT_IN_ROLES = tuple(
    RoleDefinition(
        **role | {name: tuple(role.get(name, ())) for name in ("actions", "not_actions")}, built_in=True
    )
    for role in azure_facts()["roles"]
)


def grants(role: RoleDefinition, action: str) -> bool:
    """Tell whether `role` allows `action`; what its `not_actions` exclude, another role may still allow."""
    return _any_match(role.actions, action) and not _any_match(role.not_actions, action)


def is_allowed(cloud: Cloud, principal: str, *, action: str, scope: str) -> bool:
    """Tell whether a role that `principal` (object id) has at `scope` or above it allows `action`.

    Each scope's answer is kept until a role or an assignment changes: lists ask for it once, not for each of
    their resources.
    """
    action, scope = action.lower(), scope.lower().rstrip("/")
    return any(
        _is_allowed_at(cloud, principal.lower(), action, scope[:end])
        for end in (*(at.start() for at in re.finditer("/", scope)), len(scope))
    )


def _is_allowed_at(cloud: Cloud, principal: str, action: str, scope: str) -> bool:
    held = _held(cloud).get(principal, {}).get(scope)
    return held is not None and _remember(
        cloud,
        (principal, action, scope),
        lambda: any(_remember(cloud, (role.key, action), partial(grants, role, action)) for _, role in held),
    )


def _remember(cloud: Cloud, key: tuple[str, ...], decide: Callable[[], bool]) -> bool:
    """Return a decision, made once until a role or an assignment changes."""
    known: dict[tuple[str, ...], bool] = cloud.worked_out("decisions", dict)
    if key not in known:
        if len(known) >= DECISIONS_MAX:
            known.clear()
        known[key] = decide()
    return known[key]


_Held: TypeAlias = dict[str, dict[str, list[tuple[RoleAssignment, RoleDefinition]]]]


def _held(cloud: Cloud) -> _Held:
    """Return all assignments with their roles, by principal and scope in lower case."""
    return cloud.worked_out("held", lambda: _hold(cloud))


def _hold(cloud: Cloud) -> _Held:
    held: _Held = {}
    for assignment in cloud.all(RoleAssignment):
        role = cloud.find(RoleDefinition, assignment.role)
        if role is not None:
            own = held.setdefault(assignment.principal.lower(), {})
            own.setdefault(assignment.scope.lower().rstrip("/"), []).append((assignment, role))
    return held


def sees_subscription(cloud: Cloud, principal: str, subscription: str) -> bool:
    """Tell whether `principal` has any role at the subscription, above it or below it."""
    scope = subscription_scope(subscription)
    return any(
        is_within(scope, place) or is_within(place, scope)
        for place in _held(cloud).get(principal.lower(), {})
    )


def roles_of(cloud: Cloud, principal: str) -> Iterator[tuple[RoleAssignment, RoleDefinition]]:
    """Yield the assignments of `principal`, each with its role."""
    for held in _held(cloud).get(principal.lower(), {}).values():
        yield from held


def _any_match(patterns: tuple[str, ...], action: str) -> bool:
    lower = action.lower()
    return any(_matches(pattern.lower(), lower) for pattern in patterns)


def _matches(pattern: str, action: str) -> bool:
    """Tell whether `action` is `pattern` with something, or nothing, for each `*`; both in lower case.

    Each part is taken where it comes first, and the last one at the end: no other choice can do better, so
    nothing is ever tried twice.
    """
    first, *parts = pattern.split("*")
    if not parts:
        return action == first
    last = parts.pop()
    if not action.startswith(first) or not action.endswith(last) or len(action) < len(first) + len(last):
        return False
    at, end = len(first), len(action) - len(last)
    for part in parts:
        at = action.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


NAMESPACE = "Microsoft.Authorization"
ACTIONS_MAX = 200
DECISIONS_MAX = 50_000
_ACTION = re.compile(r"(?!(?:[^*]*\*){4})[A-Za-z0-9._/*-]{1,256}")
_DEFINITION = re.compile(
    rf"(?:/.*)?/providers/{re.escape(NAMESPACE)}/roleDefinitions/({GUID.pattern})", re.IGNORECASE
)


def definition_document(role: RoleDefinition, *, scope: str) -> dict[str, Any]:
    """Return a role definition as it is seen at `scope` ("" is the tenant).

    Its id contains no more of the scope than the subscription, as az matches assignments to roles by it.
    """
    return azure_document(
        "role_definition",
        id=_definition_id(role.id, scope),
        name=role.id,
        shown=role.name,
        kind="BuiltInRole" if role.built_in else "CustomRole",
        description=role.description,
        scopes=list(role.scopes),
        permissions=[permission_document(role)],
        nobody=None,
    )


def permission_document(role: RoleDefinition) -> dict[str, Any]:
    """Return what a role allows."""
    return {
        "actions": list(role.actions),
        "notActions": list(role.not_actions),
        "dataActions": [],
        "notDataActions": [],
    }


def assignment_document(assignment: RoleAssignment) -> dict[str, Any]:
    """Return a role assignment."""
    return azure_document(
        "role_assignment",
        id=assignment.id,
        scope=assignment.scope,
        role=_definition_id(assignment.role, assignment.scope),
        principal=assignment.principal,
        principal_type=assignment.principal_type.value,
        stamp=assignment.created.strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
        nothing=None,
    )


def definitions_at(cloud: Cloud, conditions: tuple[Condition, ...], *, scope: str) -> list[RoleDefinition]:
    """Return the role definitions that can be assigned at `scope` and meet the conditions.

    With `atScopeAndBelow()` these include definitions that can only be assigned below it.
    """
    name, kind = find_value(conditions, "rolename"), find_value(conditions, "type")
    below = find_value(conditions, "atscopeandbelow", "()") is not None
    return [
        role
        for role in cloud.all(RoleDefinition)
        if any(is_within(scope, one) or (below and is_within(one, scope)) for one in role.scopes)
        and (name is None or role.name.lower() == name.lower())
        and (kind is None or kind.lower() == ("builtinrole" if role.built_in else "customrole"))
    ]


def assignments_at(cloud: Cloud, conditions: tuple[Condition, ...], *, scope: str) -> list[RoleAssignment]:
    """Return the assignments that hold at `scope` and, unless there is `atScope()`, those below it."""
    exact = find_value(conditions, "atscope", "()") is not None
    principals = [
        value.lower()
        for value in (find_value(conditions, "principalid"), find_value(conditions, "assignedto", "()"))
        if value is not None
    ]
    return [
        one
        for one in cloud.all(RoleAssignment)
        if (is_within(scope, one.scope) or (not exact and is_within(one.scope, scope)))
        and all(one.principal.lower() == wanted for wanted in principals)
    ]


def read_assignment(
    cloud: Cloud, body: Mapping[str, Any], *, name: str, scope: str, tenant: str, now: datetime
) -> RoleAssignment:
    """Return the assignment that a client's document asks for; raises CloudError 400 or 404."""
    if not GUID.fullmatch(name):
        raise refusal("InvalidRoleAssignmentId", name=name)
    properties = properties_of(body)
    if properties.get("condition") is not None:
        raise refusal("InvalidRoleAssignmentCondition")
    role = _role_of(cloud, _text(properties, "roleDefinitionId"), scope=scope, tenant=tenant)
    principal, kind = _principal_of(cloud, properties, tenant=tenant)
    return RoleAssignment(
        id=name.lower(), scope=scope, role=role.id, principal=principal, principal_type=kind, created=now
    )


def read_definition(body: Mapping[str, Any], *, name: str) -> RoleDefinition:
    """Return the custom role of a client's document, its scopes not checked; raises CloudError 400."""
    if not GUID.fullmatch(name):
        raise invalid_content("The role definition ID must be a GUID.")
    properties = properties_of(body)
    permissions = properties.get("permissions")
    if not isinstance(permissions, list) or len(permissions) != 1 or not isinstance(permissions[0], Mapping):
        raise invalid_content("'permissions' must be a list of one object.")
    for field in ("dataActions", "notDataActions"):
        if permissions[0].get(field):
            raise invalid_content(f"'{field}' must be empty: nothing here has data actions.")
    scopes = _texts(properties, "assignableScopes")
    if not scopes:
        raise invalid_content("'assignableScopes' must name a scope.")
    return RoleDefinition(
        id=name.lower(),
        name=_text(properties, "roleName"),
        description=str(properties.get("description") or "")[:2048],
        actions=_actions(permissions[0], "actions"),
        not_actions=_actions(permissions[0], "notActions"),
        scopes=scopes,
    )


def properties_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the `properties` of a document; raises CloudError 400 if they are no object or missing."""
    found = body.get("properties")
    if not isinstance(found, Mapping):
        raise invalid_content("'properties' must be an object.")
    return found


def invalid_content(reason: str) -> CloudError:
    """Return the 400 of a document that is wrong."""
    return refusal("InvalidRequestContent", reason=reason)


def _definition_id(role: str, scope: str) -> str:
    subscription = "/".join(scope.split("/")[:3]).rstrip("/")
    return f"{subscription}/providers/{NAMESPACE}/roleDefinitions/{role}"


def _role_of(cloud: Cloud, text: str, *, scope: str, tenant: str) -> RoleDefinition:
    match = _DEFINITION.fullmatch(text) or re.fullmatch(f"({GUID.pattern})", text, re.IGNORECASE)
    if match is None:
        raise refusal("InvalidRoleDefinitionId", id=text)
    found = cloud.find(RoleDefinition, match[1])
    if found is None or tenant_of_role(cloud, found) not in {None, tenant.lower()}:
        raise refusal("RoleDefinitionDoesNotExist", name=match[1])
    if not any(is_within(scope, one) for one in found.scopes):
        raise refusal("RoleAssignmentScopeNotAssignableToRoleDefinition", scope=scope, role=found.name)
    return found


def _principal_of(cloud: Cloud, properties: Mapping[str, Any], *, tenant: str) -> tuple[str, PrincipalType]:
    """Return who gets a role, and the type of that principal.

    A principal that the directory does not know is accepted if the document gives its type: that is how
    Azure gives roles to principals that were made a moment ago.
    """
    text, said = _text(properties, "principalId"), properties.get("principalType")
    kind = next((one for one in PrincipalType if one.value.lower() == str(said).lower()), None)
    found = cloud.find(Principal, text)
    if found is None and kind is not None and GUID.fullmatch(text):
        return text.lower(), kind
    if found is None or found.tenant.lower() != tenant.lower():
        raise refusal("PrincipalNotFound", principal=text[:80].replace("-", ""), tenant=tenant)
    if said is not None and kind is not found.type:
        raise refusal("UnmatchedPrincipalType", principal=found.id, type=found.type.value, said=str(said))
    return found.id, found.type


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not value or len(value) > 2048:
        raise invalid_content(f"'{name}' must be a text that is not empty.")
    return value


def _texts(table: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = table.get(name) or []
    if (
        not isinstance(value, list)
        or not all(isinstance(one, str) for one in value)
        or len(value) > ACTIONS_MAX
    ):
        raise invalid_content(f"'{name}' must be a list of at most {ACTIONS_MAX} texts.")
    return tuple(value)


def _actions(table: Mapping[str, Any], name: str) -> tuple[str, ...]:
    actions = _texts(table, name)
    wrong = next((one for one in actions if not _ACTION.fullmatch(one)), None)
    if wrong is not None:
        raise invalid_content(f"'{wrong[:80]}' in '{name}' is not an action; it may have up to three *.")
    return actions
