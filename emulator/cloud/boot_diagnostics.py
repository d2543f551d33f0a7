"""Boot diagnostics: the boot log, and storage accounts as far as they are needed for it; pure.

See docs/facts/azure.md 4 "Storage", 8 "Audit", U8, U13. The boot log is what the guest wrote on COM1, with a
line for each access to its console, as Azure logs them there.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from emulator.cloud.compute import Json, stamp
from emulator.cloud.documents import merge, own_part, require_location, require_storable, require_types, table
from emulator.cloud.records import StorageAccount
from emulator.cloud.refusals import refusal
from emulator.cloud.settings import CLOUD_FACTS, CloudKind, azure_document
from emulator.console.marks import Mark, MarkKind

TLS_VERSIONS = ("TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3")
_NAME = re.compile(r"[a-z0-9]{3,24}")
_COMPUTED = frozenset(
    {"provisioningState", "primaryEndpoints", "primaryLocation", "statusOfPrimary", "creationTime"}
)
_TYPES: Mapping[tuple[str, ...], type | tuple[type, ...]] = {
    ("tags",): Mapping,
    ("kind",): str,
    ("sku",): Mapping,
    ("sku", "name"): str,
    ("properties",): Mapping,
    ("properties", "networkAcls"): Mapping,
    ("properties", "networkAcls", "defaultAction"): str,
    ("properties", "networkAcls", "ipRules"): list,
    ("properties", "isHnsEnabled"): bool,
    ("properties", "allowSharedKeyAccess"): bool,
    ("properties", "minimumTlsVersion"): str,
}


def render_account(account: StorageAccount, *, kind: CloudKind) -> Json:
    """Return a storage account as its GET answers; it has only those ipRules that the client put."""
    usual, own = azure_document("storage_account"), dict(table(account.document, "properties"))
    created, suffix = stamp(account.created), CLOUD_FACTS[kind].storage_suffix
    return {
        "sku": {"tier": "Standard", "name": "Standard_LRS", **table(account.document, "sku")},
        "kind": account.document.get("kind", "StorageV2"),
        "id": str(account.id),
        "name": account.id.name,
        "type": account.id.type,
        "location": account.document.get("location", ""),
        "tags": dict(table(account.document, "tags")),
        "properties": {
            **usual,
            **own,
            "networkAcls": {**usual["networkAcls"], **table(own, "networkAcls")},
            "keyCreationTime": {"key1": created, "key2": created},
            "provisioningState": "Succeeded",
            "creationTime": created,
            "primaryEndpoints": {
                service: f"https://{account.id.name}.{service}.{suffix}/"
                for service in ("blob", "queue", "table", "file")
            },
            "primaryLocation": account.document.get("location", ""),
            "statusOfPrimary": "available",
        },
    }


def render_keys(account: StorageAccount) -> Json:
    """Return the keys of `account`: they have the right form, and open nothing."""
    return {
        "keys": [
            {
                "creationTime": stamp(account.created),
                "keyName": name,
                "value": base64.b64encode(hashlib.sha512(f"{account.key}/{name}".encode()).digest()).decode(),
                "permissions": "FULL",
            }
            for name in ("key1", "key2")
        ]
    }


def put_account(body: Mapping[str, Any], *, name: str, old: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the document that a PUT makes; raises CloudError 400 if it or the name is no account's."""
    require_storable(body)
    require_account_name(name)
    document = {**({} if old is None else old), **own_part(body, computed=_COMPUTED)}
    document["location"] = require_location(document)
    _check(document)
    return document


def patch_account(body: Mapping[str, Any], *, old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document that a PATCH makes of `old`; raises CloudError as `put_account` does."""
    require_storable(body)
    document = own_part(merge(old, body), computed=_COMPUTED)
    document["location"] = require_location(document)
    _check(document)
    return document


def is_account_name(name: str) -> bool:
    """Tell whether `name` is valid for an account: 3 to 24 lower-case letters and digits."""
    return _NAME.fullmatch(name) is not None


def require_account_name(name: str) -> None:
    """Check a name; raises CloudError 400 AccountNameInvalid."""
    if not is_account_name(name):
        raise refusal("AccountNameInvalid", name=name)


def _check(document: Mapping[str, Any]) -> None:
    require_types(document, _TYPES)
    properties = table(document, "properties")
    version = properties.get("minimumTlsVersion", "TLS1_2")
    action = table(properties, "networkAcls").get("defaultAction", "Allow")
    for name, value, allowed in (
        ("minimumTlsVersion", version, TLS_VERSIONS),
        ("networkAcls.defaultAction", action, ("Allow", "Deny")),
    ):
        if value not in allowed:
            raise refusal("InvalidRequestPropertyValue", value=value, name=name, allowed=", ".join(allowed))


def render_boot_log(data: bytes, *, first: int, marks: Sequence[Mark], epoch: datetime) -> bytes:
    """Return `data`, the guest's output from offset `first` on, with a line at the place of each LINK mark.

    None of the guest's bytes is changed, moved or left out. Each mark has its own line: CR LF come before it
    if the guest has not ended its line. `epoch` is when the transcript's clock was 0, UTC.
    """
    parts: list[bytes] = []
    done = 0
    for mark in marks:
        place = mark.offset - first
        if mark.kind is not MarkKind.LINK or not 0 <= place <= len(data):
            continue
        place = max(place, done)
        parts.append(data[done:place])
        done = place
        # GRUB ends its lines with "\n\r".
        guest_ended = place == 0 or data[max(0, place - 4) : place].rstrip(b"\r").endswith(b"\n")
        fresh = guest_ended or (parts[-1] == b"" and len(parts) > 1)
        parts.append((b"" if fresh else b"\r\n") + render_session_line(mark, epoch=epoch))
    parts.append(data[done:])
    return b"".join(parts)


def render_session_line(mark: Mark, *, epoch: datetime) -> bytes:
    """Return the line of a mark: when, what, by whom; it is always one line of ASCII."""
    when = (epoch + timedelta(seconds=mark.at)).strftime("%Y-%m-%dT%H:%M:%SZ")
    said = [mark.name, *(str(mark.detail[name]) for name in ("command",) if name in mark.detail)]
    by = str(mark.detail.get("by", "unknown"))
    text = f"[{when}] Serial console: {' '.join(said)} by {by}"
    return text.encode("unicode_escape") + b"\r\n"
