"""One link against a WebSocket server that does what a test says."""

import http
import socket
import threading
from contextlib import contextmanager

import pytest
from websockets.sync.server import serve

from emulator.clock import Deadline
from emulator.errors import ConsoleClosed, DeadlineExceeded
from harness.azure.link import open_link
from harness.azure.names import EndKind
from harness.scenario.errors import ServiceRefused, ServiceUnreachable


def soon():
    return Deadline.after(20)


@contextmanager
def serving(talk, **options):
    """Serve `talk(connection)` on a free port and yield its URL."""
    with serve(talk, "127.0.0.1", 0, close_timeout=0.5, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/client"
        finally:
            server.shutdown()
            thread.join(20)


class Heard:
    """Takes what a link hands on."""

    def __init__(self):
        self.data, self.changed = bytearray(), threading.Condition()

    def __call__(self, data):
        with self.changed:
            self.data += data
            self.changed.notify_all()

    def wait(self, data):
        with self.changed:
            assert self.changed.wait_for(lambda: data in self.data, 20), bytes(self.data)


def azure(connection):
    """Be Azure: a first frame, a token, an echo in text and one in bytes."""
    connection.send("Connecting...\r\n")
    connection.send(f"token {connection.recv()}|")
    connection.send("")
    for message in connection:
        connection.send(message.decode())
        connection.send(message)


def test_link_shows_its_token_and_hands_on_the_guests_bytes_alone():
    heard = Heard()
    with serving(azure) as url, open_link(url, receive=heard, deadline=soon(), token="abc") as link:
        link.send(b"x" * 5000, soon())
        heard.wait(b"x" * 10_000)
        assert bytes(heard.data) == b"token abc|" + b"x" * 10_000
        assert link.end is None
    assert link.end.kind is EndKind.LEFT


def test_end_of_a_link_keeps_code_and_reason():
    ended = threading.Event()
    with serving(lambda connection: connection.close(1008, "role taken away")) as url:
        opened = open_link(url, receive=Heard(), deadline=soon(), headers={"A": "b"}, on_end=ended.set)
        with opened as link:
            assert ended.wait(20)
            assert (link.end.kind, str(link.end)) == (EndKind.REFUSED, "1008: role taken away")
            with pytest.raises(ConsoleClosed, match="role taken away"):
                link.send(b"x", soon())


def test_refused_upgrade_has_the_services_reason():
    def refuse(connection, request):
        body = '{"error":{"code":"SessionNotFound","message":"It has expired."}}'
        return connection.respond(http.HTTPStatus.NOT_FOUND, body)

    with (
        serving(azure, process_request=refuse) as url,
        pytest.raises(ServiceRefused, match=r"opening the link .*\(404\): SessionNotFound: It has expired\."),
        open_link(url, receive=Heard(), deadline=soon()),
    ):
        pass


def test_nobody_there_is_unreachable():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        opened = open_link(f"ws://127.0.0.1:{port}/client", receive=Heard(), deadline=Deadline.after(0.2))
        with pytest.raises(ServiceUnreachable, match=rf"ws://127\.0\.0\.1:{port} can't be reached"), opened:
            pass


def test_service_that_takes_nothing_does_not_hold_the_writer():
    release = threading.Event()
    with (
        serving(lambda _: release.wait(20), max_queue=1) as url,
        open_link(url, receive=Heard(), deadline=soon()) as link,
    ):
        with pytest.raises(DeadlineExceeded, match="took no more"):
            link.send(b"x" * (64 << 20), Deadline.after(0.5))
        link.close()  # returns although the service takes not even the close frame
        assert link.ended.is_set()
        release.set()


def test_receiver_that_fails_ends_the_link():
    def fail(data):
        raise BrokenPipeError(32, "Broken pipe")

    ended = threading.Event()
    with (
        serving(azure) as url,
        open_link(url, receive=fail, deadline=soon(), token="t", on_end=ended.set) as link,
    ):
        assert ended.wait(20)
        assert (link.end.kind, "Broken pipe" in link.end.reason) == (EndKind.DROPPED, True)
