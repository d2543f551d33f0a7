"""Resource groups (docs/facts/azure.md 7, `az group`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse

from emulator.clock import pause
from emulator.cloud.documents import parse_filter, require_location
from emulator.cloud.records import ResourceGroup, RoleAssignment, ScaleSet, StorageAccount, VirtualMachine
from emulator.cloud.resource_id import group_scope, is_within, require_name
from emulator.cloud.roles import is_allowed, roles_of
from emulator.cloud.subscription_documents import Resource, group_document, meets
from emulator.errors import CloudError, SpecError
from emulator.service.core.context import Service, ServiceOf
from emulator.service.core.routing import BodyOf, arm_router
from emulator.service.identity.authentication import (
    Caller,
    address_of,
    authorize,
    authorize_member,
    require_group,
    require_subscription,
)
from emulator.service.parts.operations import OperationStatus

_GROUPS = "Microsoft.Resources/subscriptions/resourceGroups"
_FILTERS = frozenset({"name", "location", "tagname", "tagvalue"})
_ALL = "/subscriptions/{subscription}/resourceGroups"
_ONE = f"{_ALL}/{{group}}"
router = arm_router()
router.tags = ["groups"]


@router.get(_ALL)
async def list_groups(
    service: ServiceOf,
    caller: Caller,
    subscription: str,
    chosen: Annotated[str | None, Query(alias="$filter")] = None,
) -> dict[str, Any]:
    """Return the groups in which, or in a resource of which, the caller has a role."""
    authorize_member(service, caller, subscription)
    conditions = parse_filter(chosen, known=_FILTERS)
    found = (
        group_document(one)
        for one in service.cloud.all(ResourceGroup)
        if one.subscription.lower() == subscription.lower() and _sees(service, caller, one)
    )
    return {"value": [one for one in found if meets(one, conditions)]}


@router.get(_ONE)
async def show_group(service: ServiceOf, caller: Caller, subscription: str, group: str) -> dict[str, Any]:
    """Return a group."""
    authorize(service, caller, f"{_GROUPS}/read", scope=group_scope(subscription, group))
    return group_document(require_group(service, subscription, group))


@router.head(_ONE)
async def check_group(service: ServiceOf, caller: Caller, subscription: str, group: str) -> Response:
    """Tell by 204 or 404 whether a group is there."""
    scope = group_scope(subscription, group)
    authorize(service, caller, f"{_GROUPS}/read", scope=scope)
    found = service.cloud.find(ResourceGroup, scope)
    return Response(status_code=HTTPStatus.NOT_FOUND if found is None else HTTPStatus.NO_CONTENT)


@router.put(_ONE)
async def put_group(
    request: Request, service: ServiceOf, caller: Caller, subscription: str, group: str, body: BodyOf
) -> JSONResponse:
    """Make a group, or change its tags."""
    authorize(service, caller, f"{_GROUPS}/write", scope=group_scope(subscription, group))
    owner = require_subscription(service, caller, subscription).id
    _require_name(group)
    location = _location(service, body)
    found = service.cloud.find(ResourceGroup, group_scope(subscription, group))
    if found is not None and found.location.lower() != location:
        raise CloudError(
            409,
            "InvalidResourceGroupLocation",
            f"Invalid resource group location '{location}'. The Resource group already exists in location"
            f" '{found.location}'.",
        )
    wanted = ResourceGroup(
        subscription=owner, name=found.name if found else group, location=location, tags=_tags(body)
    )
    service.cloud.put(wanted)
    _note(request, service, caller, "write", wanted)
    return JSONResponse(group_document(wanted), HTTPStatus.OK if found else HTTPStatus.CREATED)


@router.patch(_ONE)
async def change_group(
    request: Request, service: ServiceOf, caller: Caller, subscription: str, group: str, body: BodyOf
) -> dict[str, Any]:
    """Change a group's tags."""
    authorize(service, caller, f"{_GROUPS}/write", scope=group_scope(subscription, group))
    found = require_group(service, subscription, group)
    wanted = replace(found, tags=_tags(body)) if "tags" in body else found
    service.cloud.put(wanted)
    _note(request, service, caller, "write", wanted)
    return group_document(wanted)


@router.delete(_ONE, status_code=HTTPStatus.ACCEPTED)
async def delete_group(
    request: Request, service: ServiceOf, caller: Caller, subscription: str, group: str
) -> Response:
    """Begin to delete a group with everything in it."""
    authorize(service, caller, f"{_GROUPS}/delete", scope=group_scope(subscription, group))
    found = require_group(service, subscription, group)
    _note(request, service, caller, "delete", found)
    operation = service.operations.start(
        _empty(service, found), subscription=subscription, location=found.location
    )
    place = f"{service.endpoint}/subscriptions/{found.subscription}/operationresults/{operation.id}"
    version = request.query_params["api-version"]
    return _accepted(f"{place}?api-version={version}")


@router.get("/subscriptions/{subscription}/operationresults/{operation}")
async def show_result(
    request: Request, service: ServiceOf, caller: Caller, subscription: str, operation: str
) -> Response:
    """Tell by 202 or 200 how far a deletion is."""
    authorize_member(service, caller, subscription)
    found = service.operations.find(operation, subscription=subscription)
    if found is None:
        raise CloudError(404, "OperationNotFound", f"The operation '{operation[:80]}' could not be found.")
    if found.error is not None:
        raise found.error
    if found.status is OperationStatus.IN_PROGRESS:
        return _accepted(f"{service.endpoint}{request.url.path}?{request.url.query}")
    return Response(status_code=HTTPStatus.OK)


async def _empty(service: Service, group: ResourceGroup) -> None:
    await pause(service.settings.operation_s)
    vms = service.cloud.all(VirtualMachine)
    resources: list[Resource] = [*vms, *service.cloud.all(ScaleSet), *service.cloud.all(StorageAccount)]
    for one in resources:
        if is_within(str(one.id), group.scope):
            await service.fleet.discard(one.key)
            service.cloud.remove(one)
    for assignment in service.cloud.all(RoleAssignment):
        if is_within(assignment.scope, group.scope):
            service.cloud.remove(assignment)
    service.cloud.remove(group)


def _accepted(location: str) -> Response:
    # Without Retry-After az waits 30 s for each poll (docs/facts/azure.md 4).
    return Response(status_code=HTTPStatus.ACCEPTED, headers={"Location": location, "Retry-After": "1"})


def _sees(service: Service, caller: Caller, group: ResourceGroup) -> bool:
    below = any(is_within(one.scope, group.scope) for one, _ in roles_of(service.cloud, caller.principal))
    return below or is_allowed(service.cloud, caller.principal, action=f"{_GROUPS}/read", scope=group.scope)


def _require_name(group: str) -> None:
    try:
        require_name("the resource group's name", group)
    except SpecError as error:
        raise CloudError(400, "InvalidResourceGroup", str(error)) from None


def _location(service: Service, body: Mapping[str, Any]) -> str:
    location, allowed = require_location(body), service.settings.cloud.locations
    if location not in allowed:
        raise CloudError(
            400,
            "LocationNotAvailableForResourceGroup",
            f"The provided location '{location[:40]}' is not available for resource group. List of available"
            f" regions is '{','.join(allowed)}'.",
        )
    return location


def _tags(body: Mapping[str, Any]) -> dict[str, str]:
    tags = body.get("tags") or {}
    if not isinstance(tags, Mapping) or not all(isinstance(value, str) for value in tags.values()):
        raise CloudError(400, "InvalidTagsContent", "'tags' must be an object whose values are text.")
    return dict(tags)


def _note(request: Request, service: Service, caller: Caller, verb: str, group: ResourceGroup) -> None:
    service.activity.note(
        f"{_GROUPS}/{verb}",
        scope=group.scope,
        caller=caller.name,
        caller_id=caller.principal,
        address=address_of(request),
    )
