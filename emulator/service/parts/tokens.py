"""What the service signs and only it accepts: access tokens (RS256 JWTs) and URLs of blobs."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from emulator.cloud.records import Principal, PrincipalType
from emulator.cloud.refusals import refusal

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def endpoints_of(endpoint: str) -> frozenset[str]:
    """Return all URLs of the service at `endpoint` ("https://HOST:PORT") in lower case."""
    port = urlsplit(endpoint).port
    tail = "" if port is None else f":{port}"
    return frozenset({endpoint.lower(), *(f"https://{name}{tail}" for name in LOCAL_NAMES)})


ALGORITHM = "RS256"
SKEW_S = 60.0
"""How far the clock of a token's issuer may be ahead of ours, seconds."""
TOKEN_MAX = 16_384
_TIME_MAX = 1e12
"""Later than any sensible time; comparing with it also excludes NaN."""
ARM_AUDIENCES = frozenset({"https://management.azure.com", "https://management.core.windows.net"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims of an accepted access token.

    Attributes:
        principal: object id.
        tenant: GUID.
        name: upn of a user, client id of a service principal.
        expires: seconds of Unix time.
        id: the token's id, never the token itself.
    """

    principal: str
    tenant: str
    name: str
    expires: float
    id: str


class TokenKey:
    """The key that signs tokens."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.id = hashlib.sha256(public).hexdigest()[:32]

    @classmethod
    def generate(cls) -> TokenKey:
        """Return a new key."""
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048))

    @classmethod
    def from_pem(cls, pem: bytes) -> TokenKey:
        """Return the key that `to_pem` wrote; raises ValueError if it is not an RSA key."""
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("the token key is not an RSA key")  # noqa: TRY004  # a file's content, not a type
        return cls(key)

    def to_pem(self) -> bytes:
        """Return the private key as PEM; keep it 0600."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def jwk(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key."""
        jwk: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return jwk | {"kid": self.id, "use": "sig", "alg": ALGORITHM}

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return `claims` as a signed JWT."""
        return jwt.encode(dict(claims), self._key, algorithm=ALGORITHM, headers={"kid": self.id})

    def read(self, token: str) -> dict[str, Any]:
        """Return the claims of a token, its times not checked; raises jwt.InvalidTokenError if not ours."""
        options: Any = {"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        claims: dict[str, Any] = jwt.decode(
            token, self._key.public_key(), algorithms=[ALGORITHM], options=options
        )
        return claims


class TokenDesk:
    """Issues access tokens and accepts them.

    Attributes:
        key: the key that signs.
        issuer: base of issuer names: the service's endpoint, without a slash at its end.
    """

    def __init__(self, key: TokenKey, *, issuer: str) -> None:
        self.key = key
        self.issuer = issuer
        self._audiences = endpoints_of(issuer) | ARM_AUDIENCES

    def issue(
        self, principal: Principal, *, audience: str, now: datetime, lifetime_s: float, client: str
    ) -> str:
        """Return an access token of `principal` for `audience`, a resource; `client` is the program's id."""
        issued = int(now.timestamp())
        user = principal.type is PrincipalType.USER
        named = {"upn": principal.name, "scp": "user_impersonation"} if user else {"idtyp": "app"}
        return self.key.sign(
            {
                "aud": audience,
                "iss": self.issuer_of(principal.tenant),
                "iat": issued,
                "nbf": issued,
                "exp": issued + int(lifetime_s),
                "tid": principal.tenant,
                "oid": principal.id,
                "sub": principal.id,
                "appid": principal.app_id or client,
                "name": principal.name,
                "uti": uuid.uuid4().hex,
                "ver": "1.0",
                **named,
            }
        )

    def issuer_of(self, tenant: str) -> str:
        """Return the name under which tokens of `tenant` are issued."""
        return f"{self.issuer}/{tenant}/"

    def accept(self, token: str, *, now: datetime) -> Claims:
        """Return the claims of an access token for Resource Manager.

        Raises:
            CloudError: 401; it is not ours, not for this audience, expired, or from the future.
        """
        claims = self._read(token)
        principal, tenant = _text(claims, "oid"), _text(claims, "tid")
        if claims.get("iss") != self.issuer_of(tenant):
            raise refusal("InvalidAuthenticationTokenIssuer")
        if str(claims.get("aud", "")).rstrip("/").lower() not in self._audiences:
            raise refusal("InvalidAuthenticationTokenAudience")
        expires = _time(claims, "exp")
        if expires <= now.timestamp():
            raise refusal("ExpiredAuthenticationToken")
        if max(_time(claims, "nbf"), _time(claims, "iat")) > now.timestamp() + SKEW_S:
            raise refusal("InvalidAuthenticationToken.early")
        name = str(claims.get("upn") or claims.get("appid") or principal)
        return Claims(principal=principal, tenant=tenant, name=name, expires=expires, id=_text(claims, "uti"))

    def _read(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_MAX:
            raise refusal("InvalidAuthenticationToken.long")
        try:
            return self.key.read(token)
        except (jwt.InvalidTokenError, ValueError):
            # The reason could help an attacker, and no message may contain the token.
            raise refusal("InvalidAuthenticationToken") from None


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise refusal("InvalidAuthenticationToken.claim", name=name)
    return value


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < _TIME_MAX:
        raise refusal("InvalidAuthenticationToken.claim", name=name)
    return float(value)


SCREENSHOTS_MAX = 64
_STAMP = "%Y-%m-%dT%H:%M:%SZ"


class Screenshots:
    """The last screenshot of each VM, for when it is off; the oldest are dropped if there are too many.

    The key is the VM's own GUID: whoever gets the name of a deleted VM does not get its screen.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def keep(self, key: str, bitmap: bytes) -> None:
        """Keep `bitmap` as the last screenshot of the VM with that GUID."""
        self._kept[key] = bitmap
        self._kept.move_to_end(key)
        while len(self._kept) > SCREENSHOTS_MAX:
            self._kept.popitem(last=False)

    def find(self, key: str) -> bytes | None:
        """Return the last screenshot of the VM with that GUID, or None."""
        return self._kept.get(key)

    def forget(self, key: str) -> None:
        """Drop the screenshot of the VM with that GUID."""
        self._kept.pop(key, None)


class BlobSigner:
    """Signs URLs of blobs, and checks them; whoever has one may read the blob until it expires.

    Attributes:
        screenshots: the last screenshots of VMs.
    """

    def __init__(self, key: bytes, *, endpoint: str) -> None:
        self.screenshots = Screenshots()
        self._key = key
        self._endpoint = endpoint

    def url(self, path: str, *, expires: datetime) -> str:
        """Return a URL that gives access to the blob at `path` ("/blobs/…") until `expires`, UTC."""
        stamp = expires.astimezone(UTC).strftime(_STAMP)
        query = urlencode(
            {"sv": "2021-08-06", "sr": "b", "sp": "r", "se": stamp, "sig": self._sign(path, stamp)}
        )
        return f"{self._endpoint}{quote(path)}?{query}"

    def allows(self, path: str, query: Mapping[str, str], *, now: datetime) -> bool:
        """Tell whether `query` is a signature of `path` and has not expired."""
        stamp = query.get("se", "")
        if not hmac.compare_digest(query.get("sig", "").encode(), self._sign(path, stamp).encode()):
            return False
        return now < datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)

    def _sign(self, path: str, stamp: str) -> str:
        return hmac.new(self._key, f"{path}\n{stamp}".encode(), hashlib.sha256).hexdigest()
