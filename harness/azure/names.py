"""Names and addresses of the console's protocol, and what a link's end means (azure.md 2, 3); pure."""

from __future__ import annotations

import re
from enum import StrEnum

from emulator.cloud.resource_id import ResourceId, instance_id, parse_resource_id, vm_id
from emulator.errors import SpecError

CLIENT = "/client"
NOT_TRUSTED = "Connection not trusted"
_CONNECTION_STRING = re.compile(r"wss://[^/?#\s]+/[^?#\s]*/client")
_COMMAND = re.compile(r"[a-z]+")
_GATEWAY = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)*\.serialconsole\.azure\.(com|us|cn)/")
NORMAL, GOING_AWAY, ABNORMAL, POLICY, INTERNAL = 1000, 1001, 1006, 1008, 1011
"""Close codes of RFC 6455, 7.4.1."""


def parse_vm(text: str, *, subscription: str, group: str) -> ResourceId:
    """Return the VM or scale-set instance that `text` names.

    Args:
        text: "VM", "SCALESET/INSTANCE" or a resource id.
        subscription: of a name that is no resource id.
        group: the same.

    Raises:
        SpecError: it can't be a name, or is the id of something else.
    """
    if text.startswith("/"):
        return _require_machine(parse_resource_id(text))
    words = text.split("/")
    if len(words) > 2 or not all(words):
        raise SpecError(f"VM is {text!r}; allowed: VM, SCALESET/INSTANCE, or a resource id")
    if not subscription:
        raise SpecError(f"VM is {text!r}, but no subscription is known; give --subscription or a resource id")
    named = (
        vm_id(subscription, group, text)
        if len(words) == 1
        else instance_id(subscription, group, scale_set=words[0], instance=words[1])
    )
    return _require_machine(parse_resource_id(str(named)))


def serial_port(vm: ResourceId) -> str:
    """Return the path of `vm`'s serial port 0."""
    return f"{vm}/providers/Microsoft.SerialConsole/serialPorts/0"


def require_connection_string(text: object, *, tls: bool = True) -> str:
    """Return what `connect` answered, if a link can be opened and commands be sent there.

    Raises:
        SpecError: it is no connection string; its text is not repeated, since it opens a console.
    """
    if not isinstance(text, str) or not (tls is False or _CONNECTION_STRING.fullmatch(text)):
        raise SpecError("the service's connection string does not read wss://HOST/…/client")
    return text


def admin_url(connection_string: str, command: str) -> str:
    """Return where an admin command of the session is posted.

    Raises:
        SpecError: `command` is none.
    """
    if not _COMMAND.fullmatch(command):
        raise SpecError(f"admin command is {command!r}; allowed: lower-case letters")
    base = connection_string.removesuffix(CLIENT)
    return f"http{base.removeprefix('ws')}/adminCommand/{command}"


def may_have_token(url: str, *, endpoint: str) -> bool:
    """Tell whether a token for `endpoint` may be sent to `url`: there, or to a gateway of Azure's."""
    return url.startswith(f"{endpoint}/") or _GATEWAY.match(url) is not None


class EndKind(StrEnum):
    """Why a link ended, as far as its close tells."""

    LEFT = "left"  # by us
    TAKEN = "taken"  # somebody else has the console now
    REFUSED = "refused"  # the service does not want this client: token, role, switch
    DROPPED = "dropped"  # anything that another try may mend


def judge_end(code: int, reason: str, *, ours: bool = False) -> EndKind:
    """Return what a close frame with `code` and `reason` means.

    Azure's own codes beside 1011 "Connection not trusted" are not published (azure.md 11); words decide
    where they are clear.
    """
    said = reason.lower()
    if ours:
        return EndKind.LEFT
    if "another user" in said or "another connection" in said or "taken over" in said:
        return EndKind.TAKEN
    if code == POLICY or reason.startswith(NOT_TRUSTED):
        return EndKind.REFUSED
    return EndKind.DROPPED


def _require_machine(found: ResourceId) -> ResourceId:
    kind = found.type.lower().removeprefix("microsoft.compute/")
    if kind not in {"virtualmachines", "virtualmachinescalesets/virtualmachines"}:
        raise SpecError(f"{found} is a {found.type}; need a VM or an instance of a scale set")
    return found
