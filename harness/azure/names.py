"""Names and URLs of the console's protocol, what a link's end means, and when to reconnect; pure.

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

    `text` is "VM", "SCALESET/INSTANCE" or a resource id; a name is looked for in `subscription` and `group`.
    Raises SpecError if it can't be a name, or is the id of something else.
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


def require_connection_string(text: object) -> str:
    """Return `text`, the answer of `connect`, if it is a connection string.

    Raises:
        SpecError: it is not one; the message does not repeat it, since it could open a console.
    """
    if not isinstance(text, str) or not _CONNECTION_STRING.fullmatch(text):
        raise SpecError("the service's connection string is not of the form wss://HOST/…/client")
    return text


def admin_url(connection_string: str, command: str) -> str:
    """Return the URL to which an admin command of the session is posted.

    Raises:
        SpecError: `command` is not the name of a command.
    """
    if not _COMMAND.fullmatch(command):
        raise SpecError(f"admin command is {command!r}; allowed: lower-case letters")
    base = connection_string.removesuffix(CLIENT)
    return f"http{base.removeprefix('ws')}/adminCommand/{command}"


def may_have_token(url: str, *, endpoint: str) -> bool:
    """Tell whether a token for `endpoint` may be sent to `url`: there, or to a gateway of Azure's."""
    return url.startswith(f"{endpoint}/") or _GATEWAY.match(url) is not None


class EndKind(StrEnum):
    """Why a link ended, as far as its close frame tells."""

    LEFT = "left"  # by us
    TAKEN = "taken"  # somebody else took the console
    REFUSED = "refused"  # the service does not want this client: token, role, switch
    DROPPED = "dropped"  # anything that a new try may fix


def judge_end(code: int, reason: str, *, ours: bool = False) -> EndKind:
    """Return the meaning of a close frame with `code` and `reason`.

    Azure does not publish its codes other than 1011 "Connection not trusted" (docs/facts/azure.md 11); the
    reason decides if it is clear.
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
"""A link that lived at least this long was a good one, after which counting starts again, seconds."""
TRUST_TRIES = 3
"""The live service refuses good tokens now and then (docs/facts/azure.md 3, F5)."""
WINDOW = 65_536
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Reconnection:
    """Counts failures in a row, and says how long to pause before the next try.

    Attributes:
        window_s: how long to keep trying after the first failure in a row, seconds; 0 never tries.
    """

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._failures = 0
        self._refusals = 0
        self._waited_s = 0.0

    def was_good(self, lived_s: float) -> None:
        """Note that a link lived for `lived_s` seconds before it ended."""
        if lived_s >= STEADY_S:
            self._failures, self._refusals, self._waited_s = 0, 0, 0.0

    def pause_after(self, kind: EndKind, reason: str = "") -> float | None:
        """Return how long to wait before the next try, seconds; None for no further try."""
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
    """Looks for a pattern in a stream, across its chunks; matches longer than WINDOW are not found."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self._tail = bytearray()

    def feed(self, data: bytes) -> bool:
        """Tell whether the pattern is in `data` or in the last WINDOW bytes before it."""
        self._tail += data
        found = self._pattern.search(self._tail) is not None
        del self._tail[:-WINDOW]
        return found


def watch_for(pattern: str) -> PatternWatch | None:
    """Return a watch for a regular expression on bytes, or None for "".

    Raises:
        SpecError: it is not a regular expression.
    """
    if not pattern:
        return None
    try:
        return PatternWatch(re.compile(pattern.encode(), re.DOTALL))
    except re.error as error:
        raise SpecError(f"--until is {pattern!r}: {error}") from error


def parse_time(text: str, *, option: str) -> float:
    """Return seconds from "30s", "500ms", "2m", "1h" or a number; raises SpecError if it is none of these."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise SpecError(f"{option} is {text!r}; allowed: a number followed by ms, s, m or h, as in 30s")
    return float(found[1]) * _UNITS[found[2]]
