"""Principals as Microsoft Graph shows them, as far as `az role` and `az ad` look; pure.

Entra's metadata name our own endpoint as Graph, so that az never asks Microsoft's who `app` is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from emulator.cloud.records import Principal, PrincipalType
from emulator.errors import CloudError

_CONDITION = re.compile(
    r"(?:(?P<field>userPrincipalName|appId|displayName|id)\s+eq\s+|startswith\((?P<prefix>displayName),\s*"
    r"|servicePrincipalNames/any\(\s*\w+\s*:\s*\w+\s+eq\s+)'(?P<value>(?:[^']|'')*)'\)?",
    re.IGNORECASE,
)
FILTER_MAX = 2048


def render_principal(principal: Principal, *, typed: bool = False) -> dict[str, Any]:
    """Return a user or a service principal; `typed` adds "@odata.type", as lists of mixed objects have it."""
    user = principal.type is PrincipalType.USER
    kind = {"@odata.type": f"#microsoft.graph.{'user' if user else 'servicePrincipal'}"} if typed else {}
    shown = {**kind, "id": principal.id, "displayName": principal.name}
    if user:
        return {**shown, "userPrincipalName": principal.name, "mail": None}
    client = principal.app_id or principal.name
    return {
        **shown,
        "appId": client,
        "appOwnerOrganizationId": principal.tenant,
        "accountEnabled": True,
        "servicePrincipalNames": [client],
        "servicePrincipalType": "ManagedIdentity" if principal.secret is None else "Application",
    }


def matching(principals: Iterable[Principal], filter_text: str | None) -> list[Principal]:
    """Return those that a `$filter` takes; the filters are those that az sends.

    Raises:
        CloudError: 400; it is another one.
    """
    chosen = list(principals)
    for condition in re.split(r"\s+and\s+", filter_text[:FILTER_MAX]) if filter_text else ():
        match = _CONDITION.fullmatch(condition.strip())
        if match is None:
            raise CloudError(
                400, "Request_UnsupportedQuery", f"Unsupported or invalid query filter: {condition[:80]}"
            )
        chosen = [one for one in chosen if _matches(one, match)]
    return chosen


def _matches(principal: Principal, match: re.Match[str]) -> bool:
    wanted = match["value"].replace("''", "'").lower()
    if match["prefix"]:
        return principal.name.lower().startswith(wanted)
    if match["field"] and match["field"].lower() == "id":
        return principal.id.lower() == wanted
    if match["field"] and match["field"].lower() in {"userprincipalname", "displayname"}:
        return principal.name.lower() == wanted
    return (principal.app_id or principal.name).lower() == wanted
