"""Role assignments, role definitions and what the caller may do (docs/facts/azure.md 7, 8)."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

from fastapi import Response
from fastapi.responses import JSONResponse

from emulator.cloud.compute import Json
from emulator.cloud.documents import parse_filter
from emulator.cloud.records import RoleAssignment, RoleDefinition
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import group_scope, is_within, parse_resource_id, subscription_scope
from emulator.cloud.role_limits import require_room_for_assignment, require_room_for_role, tenant_of_role
from emulator.cloud.roles import (
    assignment_document,
    assignments_at,
    definition_document,
    definitions_at,
    permission_document,
    read_assignment,
    read_definition,
    roles_of,
)
from emulator.errors import SpecError
from emulator.service.compute.calls import Filter
from emulator.service.core.call import Call, CallOf
from emulator.service.core.context import BodyOf, arm_router

TENANT_SCOPE = ""
_SCOPE_MAX = 1024
_PROVIDER = "Microsoft.Authorization"
_ASSIGNMENT_FILTERS = frozenset({"atscope()", "assignedto()", "principalid"})
_DEFINITION_FILTERS = frozenset({"rolename", "type", "atscopeandbelow()", "atscope()"})
_ASSIGNMENTS = f"/{{scope:path}}/providers/{_PROVIDER}/roleAssignments"
_DEFINITIONS = f"/{{scope:path}}/providers/{_PROVIDER}/roleDefinitions"
_TENANT_DEFINITIONS = f"/providers/{_PROVIDER}/roleDefinitions"
router = arm_router()
router.tags = ["roles"]


# -- scopes ----------------------------------------------------------------------------------------


def _enter(call: Call, scope: str, action: str) -> str:
    """Return a path's scope in its canonical form; the caller may do `action` ("permissions/read") there."""
    where = _read_scope(scope)
    _authorize(call, action, where)
    return where


def _read_scope(text: str) -> str:
    """Return a scope in its canonical form, "" for the tenant; raises CloudError 400 for none."""
    words = [word for word in text.strip("/").split("/") if word]
    fixed = [word.lower() for word in words[0:4:2]]
    if not words:
        return TENANT_SCOPE
    if len(text) <= _SCOPE_MAX and fixed == ["subscriptions"] and len(words) == 2:
        return subscription_scope(words[1])
    if len(text) <= _SCOPE_MAX and fixed == ["subscriptions", "resourcegroups"] and len(words) == 4:
        return group_scope(words[1], words[3])
    try:
        return str(parse_resource_id("/".join(words)[:_SCOPE_MAX]))
    except SpecError:
        raise refusal("InvalidScope", scope=text) from None


def _authorize(call: Call, action: str, scope: str) -> None:
    """Check that the caller may do `action` at a canonical scope; at the tenant everybody may read."""
    action = f"{_PROVIDER}/{action}"
    if scope != TENANT_SCOPE:
        call.authorize(action, scope)
    elif not action.endswith("/read"):
        raise refusal("AuthorizationFailed.tenant", action=action)


def _tenant_of(call: Call, scope: str) -> str:
    if scope == TENANT_SCOPE:
        return call.caller.tenant
    return call.require_subscription(scope.split("/")[2]).tenant


# -- role assignments ------------------------------------------------------------------------------


@router.get(_ASSIGNMENTS)
async def list_assignments(call: CallOf, scope: str, chosen: Filter = None) -> Json:
    """Return the role assignments that hold at a scope, and below it without `atScope()`."""
    where = _enter(call, scope, "roleAssignments/read")
    conditions = parse_filter(chosen, known=_ASSIGNMENT_FILTERS)
    found = [] if where == TENANT_SCOPE else assignments_at(call.service.cloud, conditions, scope=where)
    return {"value": [assignment_document(one) for one in found]}


@router.get(f"{_ASSIGNMENTS}/{{name}}")
async def show_assignment(call: CallOf, scope: str, name: str) -> Json:
    """Return one role assignment."""
    found = _find(call, _enter(call, scope, "roleAssignments/read"), name)
    if found is None:
        raise refusal("RoleAssignmentNotFound", name=name)
    return assignment_document(found)


@router.put(f"{_ASSIGNMENTS}/{{name}}", status_code=HTTPStatus.CREATED)
async def put_assignment(call: CallOf, scope: str, name: str, body: BodyOf) -> JSONResponse:
    """Give a principal a role at a scope."""
    where = _enter(call, scope, "roleAssignments/write")
    words = where.split("/")
    if len(words) > 4:
        call.require_group(words[2], words[4])
    service = call.service
    tenant = _tenant_of(call, where)
    wanted = read_assignment(service.cloud, body, name=name, scope=where, tenant=tenant, now=service.now())
    kept = _existing(call, wanted)
    if kept is not None:
        return JSONResponse(assignment_document(kept), HTTPStatus.OK)
    require_room_for_assignment(service.cloud, where)
    service.cloud.put(wanted)
    document = assignment_document(wanted)
    call.note(f"{_PROVIDER}/roleAssignments/write", document["id"])
    return JSONResponse(document, HTTPStatus.CREATED)


@router.delete(f"{_ASSIGNMENTS}/{{name}}")
async def delete_assignment(call: CallOf, scope: str, name: str) -> Response:
    """Take a role away; 204 where nobody had it."""
    found = _find(call, _enter(call, scope, "roleAssignments/delete"), name)
    if found is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    call.service.cloud.remove(found)
    document = assignment_document(found)
    call.note(f"{_PROVIDER}/roleAssignments/delete", document["id"])
    return JSONResponse(document)


def _existing(call: Call, wanted: RoleAssignment) -> RoleAssignment | None:
    """Return the same assignment under the same name, None if neither is there yet; 409 for one alone."""
    same_name = _find(call, wanted.scope, wanted.id)
    if same_name is not None:
        if (same_name.role, same_name.principal) != (wanted.role, wanted.principal):
            raise refusal("RoleAssignmentUpdateNotPermitted")
        return same_name
    meaning = (wanted.scope.lower(), wanted.role, wanted.principal)
    for one in call.service.cloud.all(RoleAssignment):
        if (one.scope.lower(), one.role, one.principal) == meaning:
            raise refusal("RoleAssignmentExists", id=one.id.replace("-", ""))
    return None


def _find(call: Call, scope: str, name: str) -> RoleAssignment | None:
    return call.service.cloud.find(RoleAssignment, f"{scope}|{name}")


# -- role definitions ------------------------------------------------------------------------------


@router.get(_TENANT_DEFINITIONS)
@router.get(_DEFINITIONS)
async def list_definitions(call: CallOf, scope: str = "", chosen: Filter = None) -> Json:
    """Return the role definitions that can be assigned at a scope; at the tenant, those to be read."""
    where = _enter(call, scope, "roleDefinitions/read")
    conditions = parse_filter(chosen, known=_DEFINITION_FILTERS)
    found = definitions_at(call.service.cloud, conditions, scope=where or "/")
    return {
        "value": [
            definition_document(one, scope=where)
            for one in found
            if where != TENANT_SCOPE or _may_read(call, one, where)
        ]
    }


@router.get(f"{_TENANT_DEFINITIONS}/{{name}}")
@router.get(f"{_DEFINITIONS}/{{name}}")
async def show_definition(call: CallOf, name: str, scope: str = "") -> Json:
    """Return one role definition."""
    where = _enter(call, scope, "roleDefinitions/read")
    found = call.service.cloud.find(RoleDefinition, name)
    if found is None or not _may_read(call, found, where):
        raise refusal("RoleDefinitionDoesNotExist", name=name)
    return definition_document(found, scope=where)


@router.put(f"{_DEFINITIONS}/{{name}}", status_code=HTTPStatus.CREATED)
async def put_definition(call: CallOf, scope: str, name: str, body: BodyOf) -> Json:
    """Make or change a custom role; the caller needs the right at every scope it can be assigned at."""
    where = _enter(call, scope, "roleDefinitions/write")
    read = read_definition(body, name=name)
    wanted = replace(read, scopes=tuple(_read_scope(one) or "/" for one in read.scopes))
    _authorize_everywhere(call, wanted, "write")
    _require_changeable(call, wanted.id, "write")
    require_room_for_role(call.service.cloud, wanted)
    call.service.cloud.put(wanted)
    return definition_document(wanted, scope=where)


@router.delete(f"{_DEFINITIONS}/{{name}}")
async def delete_definition(call: CallOf, scope: str, name: str) -> Response:
    """Delete a custom role that nobody has; 204 where there is none."""
    where = _enter(call, scope, "roleDefinitions/delete")
    found = _require_changeable(call, name, "delete")
    if found is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    if any(one.role.lower() == found.key for one in call.service.cloud.all(RoleAssignment)):
        raise refusal("RoleDefinitionHasAssignments")
    call.service.cloud.remove(found)
    return JSONResponse(definition_document(found, scope=where))


@router.get(f"/{{scope:path}}/providers/{_PROVIDER}/permissions")
async def list_permissions(call: CallOf, scope: str) -> Json:
    """Return what the caller's roles at a scope allow."""
    where = _enter(call, scope, "permissions/read")
    mine = roles_of(call.service.cloud, call.caller.principal)
    return {"value": [permission_document(role) for one, role in mine if is_within(where or "/", one.scope)]}


def _may_read(call: Call, role: RoleDefinition, where: str) -> bool:
    """Tell whether a role can be read at a scope; at the tenant one of its own, readable somewhere."""
    if role.built_in:
        return True
    if where != TENANT_SCOPE:
        return any(is_within(where, one) or is_within(one, where) for one in role.scopes)
    action = f"{_PROVIDER}/roleDefinitions/read"
    home = tenant_of_role(call.service.cloud, role) == call.caller.tenant.lower()
    return home and any(call.may(action, scope) for scope in role.scopes)


def _require_changeable(call: Call, name: str, verb: str) -> RoleDefinition | None:
    """Return the custom role called `name`, which the caller may change; None if there is none."""
    found = call.service.cloud.find(RoleDefinition, name)
    if found is None:
        return None
    known_to = {None, call.caller.tenant.lower()}
    if verb == "delete" and tenant_of_role(call.service.cloud, found) not in known_to:
        return None
    if found.built_in:
        raise refusal("RoleDefinitionIsBuiltIn", role=found.name)
    _authorize_everywhere(call, found, verb)
    return found


def _authorize_everywhere(call: Call, role: RoleDefinition, verb: str) -> None:
    for scope in role.scopes:
        _authorize(call, f"roleDefinitions/{verb}", "" if scope == "/" else scope)
