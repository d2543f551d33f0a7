"""The other end of `console.sock` and `control.sock`."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from emulator.clock import Deadline
from emulator.console.links import LINE_MAX
from emulator.errors import ConsoleClosed, ControlError, LabError, SpecError


@contextmanager
def open_link(
    path: Path, *, mode: Literal["read", "write"], start: Literal["start", "end"] | int, deadline: Deadline
) -> Iterator[socket.socket]:
    """Attach to a console; what the socket gives is the guest's bytes from `start` on.

    The socket is blocking and has no timeout; its end is the console's end.

    Raises:
        ConsoleClosed: nobody serves there, or no longer.
        SpecError: the server refused `mode` or `start`.
    """
    with _connect(path, ConsoleClosed, deadline) as link:
        answer = _exchange(link, {"mode": mode, "from": start}, ConsoleClosed)
        if "error" in answer:
            raise SpecError(f"{path}: {answer['error']}")
        link.settimeout(None)
        yield link


def request_control(path: Path, request: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
    """Ask the machine's owner to do something and return its answer.

    Raises:
        ControlError: nobody serves there, it refused, or it did not answer in time.
    """
    with _connect(path, ControlError, deadline) as link:
        answer = _exchange(link, request, ControlError)
    if "error" in answer:
        raise ControlError(str(answer["error"]))
    return answer


@contextmanager
def _connect(path: Path, fault: type[LabError], deadline: Deadline) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(max(deadline.remaining(), 0.001))
        try:
            link.connect(os.fspath(path))
        except OSError as error:
            raise fault(f"{path}: no machine answers here: {error}") from error
        yield link


def _exchange(link: socket.socket, request: dict[str, Any], fault: type[LabError]) -> dict[str, Any]:
    """Send a line and read one, byte by byte: what follows it belongs to the caller."""
    line = bytearray()
    try:
        link.sendall(json.dumps(request).encode() + b"\n")
        while not line.endswith(b"\n") and len(line) <= LINE_MAX:
            if not (byte := link.recv(1)):
                raise fault("the machine ended before it answered")
            line += byte
        answer: Any = json.loads(line)
    except OSError as error:
        raise fault(f"the machine did not answer: {error}") from error
    except ValueError as error:
        raise fault(f"the machine's answer is not JSON: {bytes(line[:80])!r}") from error
    if not isinstance(answer, dict):
        raise fault(f"the machine's answer is not an object: {bytes(line[:80])!r}")
    return answer
