"""How a cloud behaves where Azure's clouds and years differ, and what may be switched on; pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from emulator.errors import SpecError

SECONDS_MOST = 86_400
REPLAY_LINES_MOST = 1000


class Era(StrEnum):
    """The year whose rules hold.

    In 2020 managed boot-diagnostics storage was refused, and a role on the storage account was
    needed (U8, U10); both rules were dropped later (docs/facts/azure.md 8).
    """

    CURRENT = "current"
    Y2020 = "2020"


class CloudKind(StrEnum):
    """Azure's clouds (U5)."""

    PUBLIC = "public"
    GOVERNMENT = "government"
    CHINA = "china"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudFacts:
    """What differs between the clouds.

    Attributes:
        name: what `az cloud` calls it.
        locations: regions, the default first.
        console: "generally available", "preview" or "not available".
        storage_suffix: what the host names of storage accounts end in.
    """

    name: str
    locations: tuple[str, ...]
    console: str
    storage_suffix: str


@cache
def azure_facts() -> Mapping[str, Any]:
    """Return the tables of `azure.toml`: regions, clouds, providers, roles, documents as Azure has them."""
    path = resources.files("emulator.cloud").joinpath("azure.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def azure_document(kind: str, /, **facts: Any) -> dict[str, Any]:
    """Return a document of a kind, for the caller to add to; the `facts` fill the braces in its texts.

    A text that is no more than one fact becomes that fact, of whatever type.
    """
    document: dict[str, Any] = _filled(azure_facts()["documents"][kind], facts)
    return document


def _filled(value: Any, facts: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(one, facts) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, facts) for one in value]
    if isinstance(value, str):
        return (
            facts[value[1:-1]]
            if value[:1] + value[-1:] == "{}" and value[1:-1] in facts
            else value.format(**facts)
        )
    return value


CLOUD_FACTS: Mapping[CloudKind, CloudFacts] = {
    CloudKind(kind): CloudFacts(**facts | {"locations": tuple(facts["locations"])})
    for kind, facts in azure_facts()["clouds"].items()
}


class Fault(StrEnum):
    """Faults of the real service that users report; all are off by default (docs/facts/azure.md 3, 8, 10)."""

    REFUSED_TRUST = "refused-trust"
    LATE_FIRST_FRAME = "late-first-frame"
    DROPPED_LINK = "dropped-link"
    CONFLICT = "conflict"
    NO_RESPONSE = "no-response"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the service behaves; [settings] of cloud.toml.

    Attributes:
        era: the year whose rules hold.
        kind: which of Azure's clouds it is.
        faults: which faults are injected.
        session_s: how long a connection string can be used to open a link, seconds.
        token_wait_s: how long a link may wait for its token, seconds.
        idle_s: after how long without a byte in either direction a link is closed, seconds; None never
            closes it (ISS 70).
        token_s: lifetime of an access token, seconds.
        operation_s: how long a long-running operation takes at least, seconds.
        late_frame_s: how late the first frame is under LATE_FIRST_FRAME, seconds.
        drop_after_s: when a link is cut under DROPPED_LINK, seconds.
        silence_s: how long a connect waits for its failure under NO_RESPONSE, seconds.
        shutdown_s: how long a guest may take to obey its power button before its power is cut, seconds.
        identity_header: what clients of managed identities send as X-IDENTITY-HEADER; None makes a secret
            one at each start.
        replay_lines: how many of the guest's last lines a new link is shown. With 1 that is the unfinished
            line, its prompt; with more, a program that waits for a prompt would find an old one.

    Raises:
        SpecError: a value is out of bounds; the text names it and what is allowed.
    """

    era: Era = Era.CURRENT
    kind: CloudKind = CloudKind.PUBLIC
    faults: frozenset[Fault] = frozenset()
    session_s: float = 600.0
    token_wait_s: float = 60.0
    idle_s: float | None = None
    token_s: float = 3600.0
    operation_s: float = 0.0
    late_frame_s: float = 3.0
    drop_after_s: float = 10.0
    silence_s: float = 30.0
    shutdown_s: float = 60.0
    identity_header: str | None = field(default=None, repr=False)
    replay_lines: int = 1

    def __post_init__(self) -> None:
        """Refuse values out of bounds."""
        most = {one.name: SECONDS_MOST for one in fields(self) if one.name.endswith("_s")}
        for name, allowed in (most | {"replay_lines": REPLAY_LINES_MOST}).items():
            value = getattr(self, name)
            if value is not None and not 0 <= value <= allowed:
                raise SpecError(f"{name} is {value!r}; allowed: 0 to {allowed}")
        if self.identity_header == "":
            raise SpecError("identity_header is ''; allowed: none, or text")

    @property
    def cloud(self) -> CloudFacts:
        """What is specific to this cloud."""
        return CLOUD_FACTS[self.kind]


def require_public_host(host: str) -> str:
    """Return `host` if clients can derive their URLs from it.

    az makes the admin URL from the connection string by replacing every "wss" and "ws", so neither may occur
    in the host name, nor "/client" anywhere (docs/facts/azure.md 2). Raises SpecError if they would derive
    wrong URLs.
    """
    if "ws" in host.lower():
        raise SpecError(
            f'public host name is {host!r}; it must not contain "ws": az replaces every "ws" in the'
            ' connection string by "http"'
        )
    return host
