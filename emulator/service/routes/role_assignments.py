"""Role assignments: who has which role where (docs/facts/azure.md 7 "RBAC commands")."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse

from emulator.cloud.documents import parse_filter
from emulator.cloud.records import RoleAssignment
from emulator.cloud.roles import assignment_document, assignments_at, read_assignment
from emulator.errors import CloudError
from emulator.service.core.context import Service, ServiceOf
from emulator.service.core.routing import BodyOf, arm_router
from emulator.service.identity.authentication import (
    TENANT_SCOPE,
    Caller,
    address_of,
    authorize_at,
    read_scope,
    require_group,
    tenant_of,
)
from emulator.service.parts.tokens import Claims

_FILTERS = frozenset({"atscope()", "assignedto()", "principalid"})
_READ, _WRITE, _DELETE = (
    f"Microsoft.Authorization/roleAssignments/{verb}" for verb in ("read", "write", "delete")
)
_ALL = "/{scope:path}/providers/Microsoft.Authorization/roleAssignments"
_ONE = f"{_ALL}/{{name}}"
router = arm_router()
router.tags = ["roles"]


@router.get(_ALL)
async def list_assignments(
    service: ServiceOf,
    caller: Caller,
    scope: str,
    chosen: Annotated[str | None, Query(alias="$filter")] = None,
) -> dict[str, Any]:
    """Return the role assignments that hold at a scope, and below it without `atScope()`."""
    where = read_scope(scope)
    authorize_at(service, caller, _READ, scope=where)
    conditions = parse_filter(chosen, known=_FILTERS)
    found = [] if where == TENANT_SCOPE else assignments_at(service.cloud, conditions, scope=where)
    return {"value": [assignment_document(one) for one in found]}


@router.get(_ONE)
async def show_assignment(service: ServiceOf, caller: Caller, scope: str, name: str) -> dict[str, Any]:
    """Return one role assignment."""
    where = read_scope(scope)
    authorize_at(service, caller, _READ, scope=where)
    found = _find(service, where, name)
    if found is None:
        raise CloudError(404, "RoleAssignmentNotFound", f"The role assignment '{name[:80]}' is not found.")
    return assignment_document(found)


@router.put(_ONE, status_code=HTTPStatus.CREATED)
async def put_assignment(
    request: Request, service: ServiceOf, caller: Caller, scope: str, name: str, body: BodyOf
) -> JSONResponse:
    """Give a principal a role at a scope."""
    where = read_scope(scope)
    authorize_at(service, caller, _WRITE, scope=where)
    words = where.split("/")
    if len(words) > 4:
        require_group(service, words[2], words[4])
    wanted = read_assignment(
        service.cloud,
        body,
        name=name,
        scope=where,
        tenant=tenant_of(service, caller, where),
        now=service.now(),
    )
    kept = _existing(service, wanted)
    if kept is not None:
        return JSONResponse(assignment_document(kept), HTTPStatus.OK)
    service.cloud.put(wanted)
    _note(request, service, caller, _WRITE, scope=assignment_document(wanted)["id"])
    return JSONResponse(assignment_document(wanted), HTTPStatus.CREATED)


@router.delete(_ONE)
async def delete_assignment(
    request: Request, service: ServiceOf, caller: Caller, scope: str, name: str
) -> Response:
    """Take a role away; 204 where nobody had it."""
    where = read_scope(scope)
    authorize_at(service, caller, _DELETE, scope=where)
    found = _find(service, where, name)
    if found is None:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    service.cloud.remove(found)
    document = assignment_document(found)
    _note(request, service, caller, _DELETE, scope=document["id"])
    return JSONResponse(document)


def _existing(service: Service, wanted: RoleAssignment) -> RoleAssignment | None:
    """Return the same assignment under the same name, None where there is nothing like it.

    Raises:
        CloudError: 409; the name means something else, or the same thing has another name.
    """
    same_name = _find(service, wanted.scope, wanted.id)
    if same_name is not None:
        if (same_name.role, same_name.principal) != (wanted.role, wanted.principal):
            raise CloudError(
                409,
                "RoleAssignmentUpdateNotPermitted",
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
            )
        return same_name
    meaning = (wanted.scope.lower(), wanted.role, wanted.principal)
    for one in service.cloud.all(RoleAssignment):
        if (one.scope.lower(), one.role, one.principal) == meaning:
            raise CloudError(
                409,
                "RoleAssignmentExists",
                f"The role assignment already exists. The ID of the existing role assignment is"
                f" {one.id.replace('-', '')}.",
            )
    return None


def _find(service: Service, scope: str, name: str) -> RoleAssignment | None:
    return service.cloud.find(RoleAssignment, f"{scope}|{name}")


def _note(request: Request, service: Service, caller: Claims, operation: str, *, scope: str) -> None:
    service.activity.note(
        operation, scope=scope, caller=caller.name, caller_id=caller.principal, address=address_of(request)
    )
