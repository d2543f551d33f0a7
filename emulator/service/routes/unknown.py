"""Refusals of classic resources (U9) and of unknown providers and types; these routes must come last."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from emulator.cloud.refusals import refusal
from emulator.errors import CloudError
from emulator.service.compute.calls import SubscriptionName
from emulator.service.core.call import CallOf
from emulator.service.core.context import arm_router

KNOWN = frozenset(
    {
        "microsoft.authorization",
        "microsoft.compute",
        "microsoft.insights",
        "microsoft.managedidentity",
        "microsoft.network",
        "microsoft.resources",
        "microsoft.serialconsole",
        "microsoft.storage",
    }
)

router: APIRouter = arm_router()
Namespace = Annotated[str, Path(max_length=200)]


async def refuse_in_group(
    subscription: SubscriptionName,
    group: Annotated[str, Path(max_length=200)],  # noqa: ARG001  # part of the path
    namespace: Namespace,
    rest: str,
    call: CallOf,
) -> Response:
    """Refuse a resource in a group."""
    call.enter(subscription)
    raise unknown_type(namespace, rest, call.api_version)


async def refuse_in_subscription(
    subscription: SubscriptionName, namespace: Namespace, rest: str, call: CallOf
) -> Response:
    """Refuse a resource in a subscription."""
    call.enter(subscription)
    raise unknown_type(namespace, rest, call.api_version)


def unknown_type(namespace: str, rest: str, api_version: str) -> CloudError:
    """Return the error for `namespace`/`rest`."""
    kind = "/".join(rest.split("/")[0::2])[:200]
    if namespace.lower().startswith("microsoft.classic"):
        return refusal("ClassicDeploymentNotSupported", namespace=namespace, kind=kind)
    if namespace.lower() in KNOWN:
        return refusal("InvalidResourceType", kind=kind, namespace=namespace, api_version=api_version)
    return refusal("InvalidResourceNamespace", namespace=namespace)


for _method in ("GET", "PUT", "PATCH", "POST", "DELETE"):
    router.add_api_route(
        "/subscriptions/{subscription}/resourceGroups/{group}/providers/{namespace}/{rest:path}",
        refuse_in_group,
        methods=[_method],
        name=f"refuse_{_method.lower()}_in_group",
    )
    router.add_api_route(
        "/subscriptions/{subscription}/providers/{namespace}/{rest:path}",
        refuse_in_subscription,
        methods=[_method],
        name=f"refuse_{_method.lower()}_in_subscription",
    )
