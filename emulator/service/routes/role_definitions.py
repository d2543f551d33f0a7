"""Role definitions, built in and custom, and what the caller may do (docs/facts/azure.md 7, 8)."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query, Response
from fastapi.responses import JSONResponse

from emulator.cloud.documents import parse_filter
from emulator.cloud.records import RoleAssignment, RoleDefinition
from emulator.cloud.resource_id import is_within
from emulator.cloud.roles import (
    definition_document,
    definitions_at,
    permission_document,
    read_definition,
    role_not_found,
    roles_of,
)
from emulator.errors import CloudError
from emulator.service.core.context import Service, ServiceOf
from emulator.service.core.routing import BodyOf, arm_router
from emulator.service.identity.authentication import TENANT_SCOPE, Caller, authorize_at, read_scope

_FILTERS = frozenset({"rolename", "type", "atscopeandbelow()", "atscope()"})
_READ, _WRITE, _DELETE = (
    f"Microsoft.Authorization/roleDefinitions/{verb}" for verb in ("read", "write", "delete")
)
_ALL = "/{scope:path}/providers/Microsoft.Authorization/roleDefinitions"
_ONE = f"{_ALL}/{{name}}"
_TENANT_ALL = "/providers/Microsoft.Authorization/roleDefinitions"
router = arm_router()
router.tags = ["roles"]


@router.get(_TENANT_ALL)
@router.get(_ALL)
async def list_definitions(
    service: ServiceOf,
    caller: Caller,
    scope: str = "",
    chosen: Annotated[str | None, Query(alias="$filter")] = None,
) -> dict[str, Any]:
    """Return the role definitions that can be assigned at a scope."""
    where = read_scope(scope)
    authorize_at(service, caller, _READ, scope=where)
    conditions = parse_filter(chosen, known=_FILTERS)
    found = definitions_at(service.cloud, conditions, scope=where or "/")
    return {"value": [definition_document(one, scope=where) for one in found]}


@router.get(f"{_TENANT_ALL}/{{name}}")
@router.get(_ONE)
async def show_definition(service: ServiceOf, caller: Caller, name: str, scope: str = "") -> dict[str, Any]:
    """Return one role definition."""
    where = read_scope(scope)
    authorize_at(service, caller, _READ, scope=where)
    found = service.cloud.find(RoleDefinition, name)
    if found is None or not (found.built_in or where == TENANT_SCOPE or _meets(found, where)):
        raise role_not_found(name)
    if where == TENANT_SCOPE and not found.built_in:
        _authorize_everywhere(service, caller, found, _READ)
    return definition_document(found, scope=where)


@router.put(_ONE, status_code=HTTPStatus.CREATED)
async def put_definition(
    service: ServiceOf, caller: Caller, scope: str, name: str, body: BodyOf
) -> dict[str, Any]:
    """Make or change a custom role; the caller needs the right to at every scope it can be assigned at."""
    where = read_scope(scope)
    authorize_at(service, caller, _WRITE, scope=where)
    read = read_definition(body, name=name)
    wanted = replace(read, scopes=tuple(read_scope(one) or "/" for one in read.scopes))
    _authorize_everywhere(service, caller, wanted, _WRITE)
    _require_changeable(service, caller, wanted.id, _WRITE)
    for one in service.cloud.all(RoleDefinition):
        if one.name.lower() == wanted.name.lower() and one.id != wanted.id:
            raise CloudError(
                409,
                "RoleDefinitionWithSameNameExists",
                f"A custom role with the same name already exists in this directory: '{wanted.name[:80]}'.",
            )
    service.cloud.put(wanted)
    return definition_document(wanted, scope=where)


@router.delete(_ONE)
async def delete_definition(service: ServiceOf, caller: Caller, scope: str, name: str) -> Response:
    """Delete a custom role that nobody has; 204 where there is none."""
    where = read_scope(scope)
    authorize_at(service, caller, _DELETE, scope=where)
    found = _require_changeable(service, caller, name, _DELETE)
    if found is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    if any(one.role.lower() == found.key for one in service.cloud.all(RoleAssignment)):
        raise CloudError(
            400, "RoleDefinitionHasAssignments", "There are existing role assignments referencing role."
        )
    service.cloud.remove(found)
    return JSONResponse(definition_document(found, scope=where))


@router.get("/{scope:path}/providers/Microsoft.Authorization/permissions")
async def list_permissions(service: ServiceOf, caller: Caller, scope: str) -> dict[str, Any]:
    """Return what the caller's roles at a scope allow."""
    where = read_scope(scope)
    authorize_at(service, caller, "Microsoft.Authorization/permissions/read", scope=where)
    mine = roles_of(service.cloud, caller.principal)
    return {"value": [permission_document(role) for one, role in mine if is_within(where or "/", one.scope)]}


def _meets(role: RoleDefinition, scope: str) -> bool:
    return any(is_within(scope, one) or is_within(one, scope) for one in role.scopes)


def _require_changeable(service: Service, caller: Caller, name: str, action: str) -> RoleDefinition | None:
    """Return the custom role called `name` that the caller may change, None where there is none.

    Raises:
        CloudError: 403; it is built in, or the caller may not change it everywhere.
    """
    found = service.cloud.find(RoleDefinition, name)
    if found is not None and found.built_in:
        raise CloudError(
            403, "RoleDefinitionIsBuiltIn", f"The built-in role '{found.name}' can't be changed."
        )
    if found is not None:
        _authorize_everywhere(service, caller, found, action)
    return found


def _authorize_everywhere(service: Service, caller: Caller, role: RoleDefinition, action: str) -> None:
    for scope in role.scopes:
        authorize_at(service, caller, action, scope="" if scope == "/" else scope)
