"""What QmpLink promises, on a made-up far end and on a real QEMU."""

import asyncio
import json
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack, contextmanager

import pytest

from emulator.clock import Deadline
from emulator.errors import ControlError, DeadlineExceeded, LabError
from emulator.machine.qmp import LoopThread, QmpLink

GREETING = {
    "QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": []}
}


def soon():
    return Deadline.after(20)


class FakeQemu:
    """Answers in QMP from a table; what it is not told to answer stays unanswered."""

    def __init__(self, sock):
        self.sock = sock

    def run(self):
        self.send(GREETING)
        buffered = ""
        while data := self.sock.recv(65536):  # qemu.qmp ends no message with a line feed
            buffered += data.decode()
            while buffered:
                try:
                    request, end = json.JSONDecoder().raw_decode(buffered)
                except ValueError:
                    break
                buffered = buffered[end:].lstrip()
                self.answer(request)

    def answer(self, request):
        match request["execute"]:
            case "qmp_capabilities":
                self.send({"return": {}, "id": request.get("id")})
            case "query-status":
                self.send({"return": {"status": "prelaunch", "running": False}, "id": request["id"]})
            case "cont":
                self.send({"event": "RESUME", "timestamp": {"seconds": 0, "microseconds": 0}})
                self.send({"return": {}, "id": request["id"]})
            case "quit":
                self.send({"return": {}, "id": request["id"]})
                event = {"event": "SHUTDOWN", "data": {"guest": False, "reason": "host-qmp-quit"}}
                self.send({**event, "timestamp": {"seconds": 0, "microseconds": 0}})
                self.sock.shutdown(socket.SHUT_RDWR)
            case "no-such-command":
                self.send({"error": {"class": "CommandNotFound", "desc": "not found"}, "id": request["id"]})

    def send(self, message):
        self.sock.sendall(json.dumps(message).encode() + b"\n")


@contextmanager
def fake_qemu():
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=FakeQemu(theirs).run)
    with ours, theirs:
        thread.start()
        try:
            yield ours
        finally:
            with theirs:
                theirs.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def real_qemu():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = ["qemu-system-x86_64", "-S", "-machine", "none", "-nodefaults", "-display", "none"]
        argv += ["-chardev", f"socket,id=q,fd={theirs.fileno()}", "-mon", "chardev=q,mode=control"]
        process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        try:
            yield ours
        finally:
            process.kill()
            process.wait()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.qemu)])
def far_end(request):
    assert request.param == "fake" or shutil.which("qemu-system-x86_64"), "apt-get install qemu-system-x86"
    with {"fake": fake_qemu, "real": real_qemu}[request.param]() as sock:
        yield sock


class Session:
    """A connected link and what it heard."""

    def __init__(self, sock):
        self.events = []
        self.loop = LoopThread("test")
        self.link = QmpLink(sock, on_event=lambda name, data: self.events.append((name, dict(data))))

    def run(self, work, deadline=None):
        return self.loop.run(work, what="no answer", deadline=deadline or soon())


@contextmanager
def open_session(sock):
    session = Session(sock)
    with session.loop:
        session.run(session.link.connect(soon()))
        try:
            yield session
        finally:
            session.run(session.link.close())


@pytest.fixture
def session(far_end):
    with open_session(far_end) as opened:
        yield opened


def test_link_returns_the_result_of_a_command(session):
    assert session.run(session.link.execute("query-status"))["running"] is False


def test_link_hands_on_an_event_before_the_answer_that_follows_it(session):
    session.run(session.link.execute("cont"))
    assert session.events == [("RESUME", {})]


def test_link_raises_what_qemu_refused_and_lives_on(session):
    with pytest.raises(ControlError, match=r"QEMU refused 'no-such-command': .*not .*found"):
        session.run(session.link.execute("no-such-command"))
    assert session.link.lost is None
    assert session.run(session.link.execute("query-status"))


def test_link_has_all_events_when_it_is_lost_after_quit(session):
    session.run(session.link.execute("quit"))
    session.run(session.link.wait_lost())
    assert session.events == [("SHUTDOWN", {"guest": False, "reason": "host-qmp-quit"})]
    assert session.link.lost == "the far end closed it"


def test_link_refuses_commands_when_it_is_lost(session):
    session.link.sever()
    session.run(session.link.wait_lost())
    with pytest.raises(ControlError, match="QMP ended before the answer to 'query-status'"):
        session.run(session.link.execute("query-status"))


def test_link_ends_a_pending_command_when_it_is_lost():
    with fake_qemu() as sock, open_session(sock) as session, ExitStack() as stack:
        stack.callback(session.link.sever)
        timer = threading.Timer(0.05, session.link.sever)
        timer.start()
        with pytest.raises(ControlError, match="before the answer to 'never-answered'"):
            session.run(session.link.execute("never-answered"))
        timer.join()
        stack.pop_all()


def test_link_times_out_when_no_answer_comes_and_lives_on():
    with fake_qemu() as sock, open_session(sock) as session:
        with pytest.raises(DeadlineExceeded, match=r"no answer within 0\.\d s"):
            session.run(session.link.execute("never-answered"), Deadline.after(0.05))
        assert session.run(session.link.execute("query-status"))


@pytest.mark.parametrize("greeting", [b"", b"login: \n", b"{}\n", b'{"QMP": 1}\n'])
def test_link_refuses_a_far_end_that_speaks_no_qmp(greeting):
    ours, theirs = socket.socketpair()
    with ours, theirs, LoopThread("test") as loop:
        theirs.sendall(greeting)
        theirs.shutdown(socket.SHUT_WR)
        link = QmpLink(ours, on_event=lambda *_: None)
        with pytest.raises(ControlError, match="QMP: Failed to establish session"):
            loop.run(link.connect(soon()), what="no answer", deadline=soon())
        assert link.lost


def test_link_gives_up_on_a_far_end_that_never_greets():
    ours, theirs = socket.socketpair()
    with ours, theirs, LoopThread("test") as loop:
        link = QmpLink(ours, on_event=lambda *_: None)
        with pytest.raises(DeadlineExceeded, match=r"no QMP greeting within 0\.\d s"):
            loop.run(link.connect(Deadline.after(0.05)), what="no answer", deadline=soon())
        assert link.lost


def test_loop_thread_ends_with_its_block_though_work_is_pending():
    async def forever():
        await asyncio.Event().wait()

    with LoopThread("short-lived") as loop, pytest.raises(DeadlineExceeded):
        loop.run(forever(), what="nothing", deadline=Deadline.after(0.01))
    assert "short-lived" not in [thread.name for thread in threading.enumerate()]


def test_loop_thread_says_so_when_it_does_not_end(monkeypatch):
    monkeypatch.setattr("emulator.machine.qmp.JOIN_S", 0.01)
    release = threading.Event()

    async def stuck():
        release.wait()

    loop = LoopThread("stuck")
    with loop:
        with pytest.raises(DeadlineExceeded):
            loop.run(stuck(), what="nothing", deadline=Deadline.after(0.01))
        with pytest.raises(LabError, match=r"thread stuck did not end within 0\.01 s"):
            loop.close()
        monkeypatch.undo()
        release.set()
