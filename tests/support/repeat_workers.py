"""Workers that do without guests; processes of their own import them from here."""

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from emulator.errors import SpecError
from harness.repeat.summary import Ending
from harness.repeat.workers import Job
from harness.scenario.verdict import Status

DIES_AT = 2


def _ends(link: Connection, status: Status) -> None:
    while True:
        try:
            repetition = link.recv()
        except EOFError:
            return
        link.send(Ending(repetition=repetition, status=status, message=str(os.getpid())))


def passes(link: Connection, job: Job) -> None:
    """Pass every repetition; the message is this process's id."""
    _ends(link, Status.PASSED)


def fails(link: Connection, job: Job) -> None:
    """Fail every repetition."""
    _ends(link, Status.FAILED)


def dies(link: Connection, job: Job) -> None:
    """Pass every repetition but one, which kills the process."""
    while True:
        repetition = link.recv()
        if repetition.number == DIES_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        link.send(Ending(repetition=repetition, status=Status.PASSED, message=str(os.getpid())))


def dies_at_once(link: Connection, job: Job) -> None:
    """End before anything is asked for."""


def refuses(link: Connection, job: Job) -> None:
    """Say that the cell can't be made into a machine."""
    link.recv()
    link.send(SpecError("no such machine"))
    link.recv()


def hangs(link: Connection, job: Job) -> None:
    """Take a repetition, make its directory, and never end it, whatever signal asks for."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    repetition = link.recv()
    (Path(job.run_dir) / repetition.name).mkdir(parents=True)
    (Path(job.run_dir) / "begun").touch()
    while True:
        signal.pause()
