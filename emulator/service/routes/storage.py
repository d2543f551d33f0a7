"""Microsoft.Storage/storageAccounts, as far as boot diagnostics and their clients need it.

See docs/facts/azure.md 4.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from emulator.cloud.boot_diagnostics import (
    is_account_name,
    patch_account,
    put_account,
    render_account,
    render_keys,
)
from emulator.cloud.compute import Json
from emulator.cloud.records import StorageAccount
from emulator.cloud.refusals import refusal
from emulator.cloud.resource_id import ResourceId, storage_account_id
from emulator.service.compute.calls import Document, Expand, ResourceName, SubscriptionName, add_lists
from emulator.service.core.call import Call, CallOf
from emulator.service.core.context import arm_router

TYPE = "Microsoft.Storage/storageAccounts"
_IN_SUBSCRIPTION = "/subscriptions/{subscription}/providers/Microsoft.Storage"
_IN_GROUP = f"/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{TYPE}"
_ACCOUNT = f"{_IN_GROUP}/{{name}}"

router: APIRouter = arm_router()


def locate_account(subscription: SubscriptionName, group: ResourceName, name: ResourceName) -> ResourceId:
    """Return the id of the account in the path."""
    return storage_account_id(subscription, group, name)


Target = Annotated[ResourceId, Depends(locate_account)]


@router.get(_ACCOUNT)
async def read_account(call: CallOf, target: Target, expand: Expand = None) -> Json:  # noqa: ARG001  # nothing can be expanded
    """Show an account."""
    return _render(call, call.find(StorageAccount, target, action="read"))


@router.put(_ACCOUNT)
async def put_storage_account(call: CallOf, target: Target, body: Document) -> Response:
    """Make an account, or replace its description; it exists at once."""
    call.authorize(f"{TYPE}/write", target)
    call.require_group(target.subscription, target.group)
    old = call.service.cloud.find(StorageAccount, target.key)
    document = put_account(body, name=target.name, old=None if old is None else old.document)
    taken = next((one for one in call.service.cloud.all(StorageAccount) if one.id.name == target.name), None)
    if old is None and taken is not None:
        raise refusal("StorageAccountAlreadyTaken", name=target.name)
    created = call.service.now() if old is None else old.created
    return _put(call, StorageAccount(id=target, document=document, created=created))


@router.patch(_ACCOUNT)
async def patch_storage_account(call: CallOf, target: Target, body: Document) -> Response:
    """Change part of an account's description."""
    account = call.find(StorageAccount, target, action="write")
    document = patch_account(body, old=account.document)
    return _put(call, StorageAccount(id=account.id, document=document, created=account.created))


@router.delete(_ACCOUNT)
async def delete_account(call: CallOf, target: Target) -> Response:
    """Delete an account; 204 where there is none."""
    call.authorize(f"{TYPE}/delete", target)
    account = call.service.cloud.find(StorageAccount, target.key)
    if account is None:
        return Response(status_code=204)
    call.service.cloud.remove(account)
    call.note(f"{TYPE}/delete", target)
    return Response(status_code=200)


@router.post(f"{_ACCOUNT}/listKeys")
async def list_keys(call: CallOf, target: Target, expand: Expand = None) -> Json:  # noqa: ARG001  # no Kerberos keys
    """Show the keys of an account."""
    account = call.find(StorageAccount, target, action="listKeys/action")
    call.note(f"{TYPE}/listKeys/action", target)
    return render_keys(account)


@router.post(f"{_IN_SUBSCRIPTION}/checkNameAvailability")
async def check_name(subscription: SubscriptionName, call: CallOf, body: Document) -> Json:
    """Tell whether an account can have a name."""
    call.enter(subscription)
    name = body.get("name")
    if not isinstance(name, str) or not is_account_name(name):
        message = "Storage account names are 3 to 24 characters: lower-case letters and digits."
        return {"nameAvailable": False, "reason": "AccountNameInvalid", "message": message}
    if any(one.id.name == name for one in call.service.cloud.all(StorageAccount)):
        message = f"The storage account named {name} is already taken."
        return {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
    return {"nameAvailable": True}


def _put(call: Call, account: StorageAccount) -> Response:
    call.service.cloud.put(account)
    call.note(f"{TYPE}/write", account.id)
    return JSONResponse(_render(call, account))


def _render(call: Call, account: StorageAccount) -> Json:
    return render_account(account, kind=call.service.settings.kind)


def _list(call: Call, scope: str) -> Json:
    return {"value": [_render(call, one) for one in call.readable(StorageAccount, scope)]}


add_lists(router, TYPE, _list)
