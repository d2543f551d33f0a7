"""Names and addresses of the console's protocol, and what a link's end means; pure.

See docs/facts/azure.md 2, 3.
"""

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

    Azure's own codes beside 1011 "Connection not trusted" are not published (docs/facts/azure.md 11); words
    decide where they are clear.
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


FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0
STEADY_S = 10.0
"""A link that lived so long was a good one: what follows begins anew, seconds."""
TRUST_TRIES = 3
"""The live service refuses good tokens now and then (docs/facts/azure.md 3, F5)."""
WINDOW = 65_536
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Reconnection:
    """Counts failures in a row, and says how long to pause before the next try.

    Attributes:
        window_s: how long after the first failure in a row one goes on trying, seconds; 0 never tries.
    """

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._failures = 0
        self._refusals = 0
        self._waited_s = 0.0

    def was_good(self, lived_s: float) -> None:
        """Note that a link lived for so long before it ended."""
        if lived_s >= STEADY_S:
            self._failures, self._refusals, self._waited_s = 0, 0, 0.0

    def pause_after(self, kind: EndKind, reason: str = "") -> float | None:
        """Return how many seconds to wait before the next try; None where there must be none."""
        if kind is EndKind.REFUSED:
            self._refusals += 1
            if not reason.startswith(NOT_TRUSTED) or self._refusals >= TRUST_TRIES:
                return None
        elif kind is not EndKind.DROPPED:
            return None
        pause = min(FIRST_PAUSE_S * 2.0**self._failures, LONGEST_PAUSE_S)
        if self._waited_s + pause > self.window_s:
            return None
        self._failures += 1
        self._waited_s += pause
        return pause


class PatternWatch:
    """Looks for a pattern in a stream, whatever its chunks; matches longer than WINDOW are not found."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self._tail = bytearray()

    def feed(self, data: bytes) -> bool:
        """Tell whether the pattern has come, with `data` or before in the last WINDOW bytes."""
        self._tail += data
        found = self._pattern.search(self._tail) is not None
        del self._tail[:-WINDOW]
        return found


def watch_for(pattern: str) -> PatternWatch | None:
    """Return a watch for a regular expression on bytes; None for "".

    Raises:
        SpecError: it is no regular expression.
    """
    if not pattern:
        return None
    try:
        return PatternWatch(re.compile(pattern.encode(), re.DOTALL))
    except re.error as error:
        raise SpecError(f"--until is {pattern!r}: {error}") from error


def parse_time(text: str, *, option: str) -> float:
    """Return seconds from "30s", "500ms", "2m", "1h" or a number.

    Raises:
        SpecError: it is none of these.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise SpecError(f"{option} is {text!r}; allowed: a number with ms, s, m or h behind it, as 30s")
    return float(found[1]) * _UNITS[found[2]]
