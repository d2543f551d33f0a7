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


def _add_routes(kind: str, type_: PrincipalType) -> None:
    """Add the routes of one kind of principals: all of them, and one by object id or name."""

    @router.get(f"/v1.0/{kind}", name=f"list_{kind}")
    async def list_principals(call: CallOf, chosen: Filter = None) -> Json:
        """List the principals of this kind that the filter chooses."""
        found = matching(_principals(call, type_), chosen)
        context = f"{call.service.endpoint}/v1.0/$metadata#{kind}"
        return {"@odata.context": context, "value": [render_principal(one) for one in found]}

    @router.get(f"/v1.0/{kind}/{{name}}", name=f"show_{kind}")
    async def show_principal(call: CallOf, name: str) -> Json:
        """Show a principal of this kind by object id or name."""
        for one in _principals(call, type_):
            if name.lower() in {one.id.lower(), one.name.lower()}:
                return render_principal(one)
        raise refusal("Request_ResourceNotFound", name=name)


for _kind, _type in _KINDS.items():
    _add_routes(_kind, _type)


@router.post("/v1.0/directoryObjects/getByIds")
async def find_by_ids(call: CallOf, body: BodyOf) -> Json:
    """Return the principals with these object ids; unknown ones are left out."""
    ids = body.get("ids")
    if not isinstance(ids, list) or len(ids) > IDS_MAX:
        raise refusal("Request_BadRequest", most=IDS_MAX)
    wanted = {str(one).lower() for one in ids}
    found = [one for one in _principals(call) if one.id.lower() in wanted]
    return {"value": [render_principal(one, typed=True) for one in found]}


def _principals(call: Call, kind: PrincipalType | None = None) -> list[Principal]:
    tenant = call.caller.tenant.lower()
    return [
        one
        for one in call.service.cloud.all(Principal)
        if one.tenant.lower() == tenant and kind in {None, one.type}
    ]
