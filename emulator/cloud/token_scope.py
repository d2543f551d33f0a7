"""Which resource a token is asked for: OAuth's `scope` and version 1's `resource`; pure."""

from __future__ import annotations

import re

from emulator.cloud.directory import GUID
from emulator.cloud.endpoints import GRAPH_RESOURCE
from emulator.errors import CloudError

OPENID_SCOPES = frozenset({"openid", "profile", "offline_access", "email"})
_DEFAULT = "/.default"
_URI = re.compile(r"(https|api)://[A-Za-z0-9._:/\[\]-]{1,400}")


def resource_of_client_scope(scope: str) -> str:
    """Return the resource of a client-credentials scope, `RESOURCE/.default`.

    Raises:
        CloudError: AADSTS70011, or AADSTS500011 for a resource that can't be one.
    """
    words = scope.split()
    if len(words) != 1 or not words[0].endswith(_DEFAULT):
        raise _invalid_scope(scope)
    return require_resource(words[0].removesuffix(_DEFAULT))


def resource_of_user_scope(scope: str) -> str:
    """Return the one resource that the scopes of a user's sign-in are of; Graph where there is none.

    Raises:
        CloudError: as `resource_of_client_scope`; AADSTS70011 for two resources.
    """
    resources = {
        word.removesuffix(_DEFAULT) if word.endswith(_DEFAULT) else word.rpartition("/")[0]
        for word in scope.split()
        if word.lower() not in OPENID_SCOPES
    }
    if not resources:
        return GRAPH_RESOURCE
    if len(resources) > 1 or "" in resources:
        raise _invalid_scope(scope)
    return require_resource(resources.pop())


def require_resource(resource: str) -> str:
    """Return `resource` if a token can be for it.

    Raises:
        CloudError: AADSTS500011.
    """
    if not (_URI.fullmatch(resource) or GUID.fullmatch(resource)):
        raise CloudError(
            400,
            "invalid_resource",
            f"AADSTS500011: The resource principal named {resource[:80]} was not found in the tenant.",
        )
    return resource


def _invalid_scope(scope: str) -> CloudError:
    return CloudError(
        400,
        "invalid_scope",
        "AADSTS70011: The provided request must include a 'scope' input parameter. The provided value for the"
        f" input parameter 'scope' is not valid. The scope {scope[:200]} is not valid.",
    )
