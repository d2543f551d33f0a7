"""Which messages of a link are tokens, and never typed."""

import base64
import re

import pytest

from emulator.errors import CloudError
from emulator.service.console.token_guard import TokenGuard

HEADER = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"JWT"}').rstrip(b"=")
CLAIMS = base64.urlsafe_b64encode(b'{"aud":"https://localhost:8443","oid":"1"}').rstrip(b"=")
TOKEN = HEADER + b"." + CLAIMS + b"." + b"s" * 342


def guard_of(tried: list[str], *, good: bool) -> TokenGuard:
    def renew(token: str) -> None:
        tried.append(token)
        if not good or token != TOKEN.decode():
            raise CloudError(
                401, "ExpiredAuthenticationToken", "The access token expiry time is in the past."
            )

    return TokenGuard(renew, known="eyJknown-token.e30.sig")


@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize(
    "form", [b"%s", b" %s\r\n", b"Bearer %s", b"bearer  %s\n", b"Authorization: Bearer %s"]
)
def test_token_is_tried_and_not_typed(form: bytes, good: bool) -> None:
    tried: list[str] = []
    guard = guard_of(tried, good=good)
    assert [guard.sift(form % TOKEN), guard.sift(b"l"), guard.sift(b"shutdown-now-please\r")] == [
        b"", b"l", b"shutdown-now-please\r",
    ]  # fmt: skip
    assert tried == [TOKEN.decode()]


@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize("at", [12, 60, len(TOKEN) - 342, len(TOKEN) - 100, len(TOKEN) - 16])
def test_token_in_two_pieces_is_not_typed(at: int, good: bool) -> None:
    tried: list[str] = []
    guard = guard_of(tried, good=good)
    assert [guard.sift(one) for one in (TOKEN[:at], TOKEN[at:], b"ls\r")] == [b"", b"", b"ls\r"]
    assert tried[-1] == TOKEN.decode()


def test_known_token_is_dropped_without_a_trial() -> None:
    tried: list[str] = []
    assert guard_of(tried, good=False).sift(b"eyJknown-token.e30.sig") == b""
    assert not tried


@pytest.mark.parametrize(
    "data",
    [
        b"e",
        b"eyJ",
        b"echo " + TOKEN,
        TOKEN + b" x",
        b"eyJhbGciOiJIUzI1NiJ9\r",
        b"Bearer \r",
        b"\x1b[A",
        b"x" * 20_000,
    ],
)
def test_other_input_is_typed_as_it_is(data: bytes) -> None:
    assert guard_of([], good=True).sift(data) == data


def test_piece_that_was_none_is_typed_with_what_follows() -> None:
    guard = guard_of([], good=True)
    sent = [b"eyJhbGciOiJIUzI1NiJ9", b"x", b"\r", b"ls\r"]
    assert [guard.sift(one) for one in sent] == [b"", b"", b"eyJhbGciOiJIUzI1NiJ9x\r", b"ls\r"]


def test_refusal_is_logged_without_the_token(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        guard_of([], good=False).sift(TOKEN)
    assert "refused" in caplog.text
    assert not re.search("eyJ|sss", caplog.text)
