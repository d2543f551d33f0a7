"""Microsoft Graph, as far as `az role assignment` and `az ad` need it: principals in the caller's tenant."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from emulator.cloud.compute import Json
from emulator.cloud.directory import matching, render_principal
from emulator.cloud.records import Principal, PrincipalType
from emulator.cloud.refusals import refusal
from emulator.service.core.call import Call, CallOf
from emulator.service.core.context import BodyOf, CaseBlindRoute

IDS_MAX = 1000
_KINDS = {"users": PrincipalType.USER, "servicePrincipals": PrincipalType.SERVICE_PRINCIPAL}
Filter = Annotated[str | None, Query(alias="$filter", max_length=2048)]

router = APIRouter(route_class=CaseBlindRoute, tags=["graph"])


@router.get("/v1.0/me")
async def show_me(call: CallOf) -> Json:
    """Show the signed-in user."""
    for one in _principals(call, PrincipalType.USER):
        if one.id == call.caller.principal:
            return render_principal(one)
    raise refusal("BadRequest.me")


@router.get("/v1.0/users")
async def list_users(call: CallOf, chosen: Filter = None) -> Json:
    """List users."""
    return _list(call, kind="users", chosen=chosen)


@router.get("/v1.0/servicePrincipals")
async def list_service_principals(call: CallOf, chosen: Filter = None) -> Json:
    """List service principals."""
    return _list(call, kind="servicePrincipals", chosen=chosen)


@router.get("/v1.0/users/{name}")
async def show_user(call: CallOf, name: str) -> Json:
    """Show a user by object id or name."""
    return _show(call, PrincipalType.USER, name)


@router.get("/v1.0/servicePrincipals/{name}")
async def show_service_principal(call: CallOf, name: str) -> Json:
    """Show a service principal by object id."""
    return _show(call, PrincipalType.SERVICE_PRINCIPAL, name)


@router.post("/v1.0/directoryObjects/getByIds")
async def find_by_ids(call: CallOf, body: BodyOf) -> Json:
    """Return the principals with these object ids; unknown ones are left out."""
    ids = body.get("ids")
    if not isinstance(ids, list) or len(ids) > IDS_MAX:
        raise refusal("Request_BadRequest", most=IDS_MAX)
    wanted = {str(one).lower() for one in ids}
    found = [one for one in _principals(call) if one.id.lower() in wanted]
    return {"value": [render_principal(one, typed=True) for one in found]}


def _list(call: Call, *, kind: str, chosen: str | None) -> Json:
    found = matching(_principals(call, _KINDS[kind]), chosen)
    return {
        "@odata.context": f"{call.service.endpoint}/v1.0/$metadata#{kind}",
        "value": [render_principal(one) for one in found],
    }


def _show(call: Call, kind: PrincipalType, name: str) -> Json:
    for one in _principals(call, kind):
        if name.lower() in {one.id.lower(), one.name.lower()}:
            return render_principal(one)
    raise refusal("Request_ResourceNotFound", name=name)


def _principals(call: Call, kind: PrincipalType | None = None) -> list[Principal]:
    tenant = call.caller.tenant.lower()
    return [
        one
        for one in call.service.cloud.all(Principal)
        if one.tenant.lower() == tenant and kind in {None, one.type}
    ]
