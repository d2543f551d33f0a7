"""Resource groups (docs/facts/azure.md 7, `az group`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from emulator.clock import pause
from emulator.cloud.compute import Json
from emulator.cloud.documents import parse_filter, require_location
from emulator.cloud.records import ResourceGroup, RoleAssignment, ScaleSet, StorageAccount, VirtualMachine
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import group_scope, is_within, require_name
from emulator.cloud.roles import roles_of
from emulator.cloud.subscription_documents import Resource, group_document, meets
from emulator.errors import CloudError, EmulatorError, SpecError
from emulator.service.compute.calls import Filter
from emulator.service.core.call import RETRY_AFTER_S, Call, CallOf
from emulator.service.core.context import BodyOf, Service, arm_router
from emulator.service.parts.operations import OperationStatus

_GROUPS = "Microsoft.Resources/subscriptions/resourceGroups"
_FILTERS = frozenset({"name", "location", "tagname", "tagvalue"})
_ALL = "/subscriptions/{subscription}/resourceGroups"
_ONE = f"{_ALL}/{{group}}"
router = arm_router()
router.tags = ["groups"]


@router.get(_ALL)
async def list_groups(call: CallOf, subscription: str, chosen: Filter = None) -> Json:
    """Return the groups in which, or in a resource of which, the caller has a role."""
    call.enter(subscription)
    conditions = parse_filter(chosen, known=_FILTERS)
    found = (
        group_document(one)
        for one in call.service.cloud.all(ResourceGroup)
        if one.subscription.lower() == subscription.lower() and _sees(call, one)
    )
    return {"value": [one for one in found if meets(one, conditions)]}


@router.get(_ONE)
async def show_group(call: CallOf, subscription: str, group: str) -> Json:
    """Return a group."""
    return group_document(_find(call, subscription, group, verb="read"))


@router.head(_ONE)
async def check_group(call: CallOf, subscription: str, group: str) -> Response:
    """Tell by 204 or 404 whether a group exists."""
    scope = group_scope(subscription, group)
    call.authorize(f"{_GROUPS}/read", scope)
    found = call.service.cloud.find(ResourceGroup, scope)
    return Response(status_code=HTTPStatus.NOT_FOUND if found is None else HTTPStatus.NO_CONTENT)


@router.put(_ONE)
async def put_group(call: CallOf, subscription: str, group: str, body: BodyOf) -> JSONResponse:
    """Make a group, or change its tags."""
    scope = group_scope(subscription, group)
    call.authorize(f"{_GROUPS}/write", scope)
    owner = call.require_subscription(subscription).id
    try:
        require_name("the resource group's name", group)
    except SpecError as error:
        raise CloudError(400, "InvalidResourceGroup", str(error)) from None
    location = _location(call.service, body)
    found = call.service.cloud.find(ResourceGroup, scope) and call.require_group(subscription, group)
    if found is not None and found.location.lower() != location:
        raise refusal("InvalidResourceGroupLocation", location=location, present=found.location)
    wanted = ResourceGroup(
        subscription=owner, name=found.name if found else group, location=location, tags=_tags(body)
    )
    call.service.cloud.put(wanted)
    call.note(f"{_GROUPS}/write", wanted.scope)
    return JSONResponse(group_document(wanted), HTTPStatus.OK if found else HTTPStatus.CREATED)


@router.patch(_ONE)
async def change_group(call: CallOf, subscription: str, group: str, body: BodyOf) -> Json:
    """Change a group's tags."""
    call.authorize(f"{_GROUPS}/write", group_scope(subscription, group))
    found = call.require_group(subscription, group)
    wanted = replace(found, tags=_tags(body)) if "tags" in body else found
    call.service.cloud.put(wanted)
    call.note(f"{_GROUPS}/write", wanted.scope)
    return group_document(wanted)


@router.delete(_ONE, status_code=HTTPStatus.ACCEPTED)
async def delete_group(call: CallOf, subscription: str, group: str) -> Response:
    """Begin to delete a group with everything in it."""
    found = _find(call, subscription, group, verb="delete")
    call.note(f"{_GROUPS}/delete", found.scope)
    service = call.service
    service.cloud.put(replace(found, deleting=True))
    operation = service.operations.start(
        _empty(service, found), subscription=subscription, location=found.location
    )
    operation.callers.add(call.caller.principal)
    place = f"{service.endpoint}/subscriptions/{found.subscription}/operationresults/{operation.id}"
    return _accepted(f"{place}?api-version={call.api_version}")


@router.get("/subscriptions/{subscription}/operationresults/{operation}")
async def show_result(request: Request, call: CallOf, subscription: str, operation: str) -> Response:
    """Tell by 202 or 200 how far a deletion is."""
    found = call.find_operation(operation, subscription)
    if found is None:
        raise refusal("OperationNotFound", operation=operation)
    if found.error is not None:
        raise found.error
    if found.status is OperationStatus.IN_PROGRESS:
        return _accepted(f"{call.service.endpoint}{request.url.path}?{request.url.query}")
    return Response(status_code=HTTPStatus.OK)


def _find(call: Call, subscription: str, group: str, *, verb: str) -> ResourceGroup:
    call.authorize(f"{_GROUPS}/{verb}", group_scope(subscription, group))
    return call.find_group(subscription, group)


async def _empty(service: Service, group: ResourceGroup) -> None:
    """Delete everything in `group` and the group itself; if something can't be deleted, the rest stays."""
    try:
        await _delete_content(service, group)
    except EmulatorError:
        service.cloud.put(group)
        raise
    service.cloud.remove(group)


async def _delete_content(service: Service, group: ResourceGroup) -> None:
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


def _accepted(location: str) -> Response:
    headers = {"Location": location, "Retry-After": RETRY_AFTER_S}
    return Response(status_code=HTTPStatus.ACCEPTED, headers=headers)


def _sees(call: Call, group: ResourceGroup) -> bool:
    roles = roles_of(call.service.cloud, call.caller.principal)
    return any(is_within(one.scope, group.scope) for one, _ in roles) or call.may(
        f"{_GROUPS}/read", group.scope
    )


def _location(service: Service, body: Mapping[str, Any]) -> str:
    location, allowed = require_location(body), service.settings.cloud.locations
    if location not in allowed:
        raise refusal("LocationNotAvailableForResourceGroup", location=location, allowed=",".join(allowed))
    return location


def _tags(body: Mapping[str, Any]) -> dict[str, str]:
    tags = body.get("tags") or {}
    if not isinstance(tags, Mapping) or not all(isinstance(value, str) for value in tags.values()):
        raise refusal("InvalidTagsContent")
    return dict(tags)
