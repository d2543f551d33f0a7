"""The limits as plain ASGI: hosts, slow and interrupted bodies, what passes untouched."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from emulator.errors import CloudError
from emulator.service.https.middleware import (
    BodyLimit,
    HostGuard,
    Observation,
    ResponseHeaders,
    SavedFirst,
    host_of,
    hosts_of,
    route_of,
    shown_path,
)
from emulator.service.parts.metrics import Metrics
from emulator.service.parts.saving import Saving

LENGTH = [(b"content-length", b"6")]


def answer(error: CloudError) -> Response:
    return JSONResponse({"code": error.code}, error.status)


async def echo(scope, receive, send) -> None:
    message = await receive()
    await PlainTextResponse(message.get("body", b""))(scope, receive, send)


def ask(app, messages, headers=(), kind: str = "http", method: str = "POST"):
    """Return what `app` sends for a request whose client says `messages` and then nothing more."""
    sent = []
    waiting: Iterator[dict] = iter(messages)

    async def receive() -> dict:
        for message in waiting:
            return message
        return await asyncio.Event().wait()

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": kind, "method": method, "path": "/x", "headers": list(headers)}
    asyncio.run(app(scope, receive, send))
    return sent


def part(body: bytes, *, more: bool = False) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


def test_body_that_does_not_come_is_408() -> None:
    start, body = ask(BodyLimit(echo, answer=answer, body_s=0.01), [part(b"x", more=True)], LENGTH)
    assert start["status"] == 408
    assert body["body"] == b'{"code":"RequestTimeout"}'
    assert (b"connection", b"close") in start["headers"]


def test_body_in_parts_reaches_the_app_as_one() -> None:
    app = BodyLimit(echo, answer=answer)
    assert ask(app, [part(b"abc", more=True), part(b"def")], LENGTH)[1]["body"] == b"abcdef"


def test_client_that_leaves_within_its_body_is_answered_nothing() -> None:
    app = BodyLimit(echo, answer=answer)
    assert ask(app, [part(b"abc", more=True), {"type": "http.disconnect"}], LENGTH) == []


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"", b"\xb2"])
def test_length_that_is_no_number_is_400(length: bytes) -> None:
    sent = ask(BodyLimit(echo, answer=answer), [], [(b"content-length", length)])
    assert sent[0]["status"] == 400


def test_request_without_a_body_is_not_read_ahead() -> None:
    assert ask(BodyLimit(echo, answer=answer), [part(b"later")])[1]["body"] == b"later"


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost:80", "localhost"),
        ("[::1]:443", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("", ""),
        ("localhost:port", ""),
        ("user@localhost", ""),
        ("localhost/path", ""),
        ("localhost?x", ""),
        ("[::1", ""),
        ("[zz::1]", ""),
    ],
)
def test_host_of_a_header_is_read_strictly(header: str, host: str) -> None:
    assert host_of(header) == host


def test_hosts_of_an_endpoint_are_its_own_and_the_local_ones() -> None:
    assert hosts_of("https://lab.test:8443") == {"lab.test", "localhost", "127.0.0.1", "::1"}


def test_other_scopes_pass_the_middlewares() -> None:
    seen = []

    async def note(scope, receive, send) -> None:
        seen.append(scope["type"])

    for app in (
        HostGuard(note, hosts=["localhost"], answer=answer),
        BodyLimit(note, answer=answer),
        ResponseHeaders(note),
        Observation(note, metrics=Metrics()),
    ):
        ask(app, [], kind="lifespan")
    assert seen == ["lifespan"] * 4


def test_websocket_of_another_host_is_closed_before_it_opens() -> None:
    app = HostGuard(echo, hosts=["localhost"], answer=answer)
    sent = ask(app, [], [(b"host", b"evil.test")], kind="websocket")
    assert [one["type"] for one in sent] == ["websocket.close"]


def test_path_in_the_log_hides_sessions_and_controls() -> None:
    assert shown_path("/n/c/sessions/secret/client") == "/n/c/sessions/*/client"
    assert shown_path("/a\x1b[2J\nb") == "/a\\x1b[2J\\nb"
    assert len(shown_path("/" + "x" * 5000)) == 300


def test_route_of_an_unknown_path_is_none() -> None:
    assert route_of({}) == "none"


def test_defect_is_counted_as_500() -> None:
    metrics = Metrics()

    async def fail(scope, receive, send) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(Observation(fail, metrics=metrics), [])
    assert b'ttylab_requests_total{method="POST",route="none",status="500"} 1.0' in metrics.render()


def test_metrics_watch_shows_what_it_reads() -> None:
    metrics = Metrics()
    metrics.watch("ttylab_things", "Things.", lambda: 7)
    assert b"ttylab_things 7.0" in metrics.render()


class FullDisk(Saving):
    def __init__(self, *noted: int) -> None:
        self._noted = iter(noted)

    def noted(self) -> int:
        return next(self._noted)

    async def saved(self) -> None:
        raise CloudError(503, "ServiceUnavailable", "disk full")


@pytest.mark.parametrize(
    ("method", "noted", "status"),
    [("GET", 1, 200), ("PUT", 1, 503), ("DELETE", 1, 503), ("POST", 1, 200), ("POST", 2, 503)],
)
def test_change_that_is_not_saved_is_not_acknowledged(method: str, noted: int, status: int) -> None:
    saving = FullDisk(1, noted, noted, noted)
    sent = ask(SavedFirst(echo, saving=saving, answer=answer), [part(b"abc")], method=method)
    assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], b"abc" in sent[1]["body"]) == (status, status == 200)
