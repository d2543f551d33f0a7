"""Processes: children that die with us and are signalled without a race, and what /proc says of others."""

from __future__ import annotations

import ctypes
import hashlib
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from emulator.clock import Deadline
from emulator.errors import LaunchError, MissingPrerequisite

_DEATH_SIGNAL, _SET, _GET = 1, 41, 42  # prctl(2): PR_SET_PDEATHSIG, PR_SET_THP_DISABLE, PR_GET_THP_DISABLE
_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def forbid_huge_pages() -> Iterator[None]:
    """Deny huge pages to children that are started in the `with`; this process keeps its own setting.

    A kernel without the setting is left alone.
    """
    prctl = ctypes.CDLL(None).prctl
    zero = ctypes.c_ulong(0)
    with _ONE_AT_A_TIME:
        forbidden = prctl(_GET, zero, zero, zero, zero) != 0  # already, or there is no such setting
        if not forbidden:
            prctl(_SET, ctypes.c_ulong(1), zero, zero, zero)
        try:
            yield
        finally:
            if not forbidden:
                prctl(_SET, zero, zero, zero, zero)


def die_with_parent() -> None:
    """Have the kernel kill this process, just forked, when the thread that forked it ends."""
    parent = multiprocessing.parent_process()
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, ctypes.c_ulong(signal.SIGKILL))
    if parent is not None and os.getppid() != parent.pid:  # it ended before it was asked to tell
        os.kill(os.getpid(), signal.SIGKILL)


MARKER_VARIABLE = "TTYLAB_MACHINE"
"""Environment variable of the child with the machine's id, by which `ttylab gc` knows it."""
STDERR_TAIL = 2000
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a QEMU ended.

    Attributes:
        code: exit code, negative for a signal.
        reason: QEMU's word in its SHUTDOWN event ("guest-shutdown", "host-qmp-quit"), else
            "killed by signal 9" or "exit code 1".
        expected: whether ttylab asked for it or the guest switched itself off.
        by_guest: whether the guest did.
    """

    code: int
    reason: str
    expected: bool
    by_guest: bool = False

    @property
    def signal(self) -> int | None:
        """The signal that ended it, if one did."""
        return -self.code if self.code < 0 else None


def judge_exit(code: int, *, shutdown: Mapping[str, object] | None, asked: bool) -> Exit:
    """Say how a QEMU ended, by its exit code (negative for a signal) and the data of QMP's SHUTDOWN, if any.

    `asked` says whether ttylab had begun to end it.
    """
    if code < 0:
        return Exit(code=code, reason=f"killed by signal {-code}", expected=asked)
    if shutdown is None or code != 0:
        return Exit(code=code, reason=f"exit code {code}", expected=asked and code == 0)
    by_guest = shutdown.get("guest") is True
    reason = str(shutdown.get("reason", "shutdown"))
    return Exit(code=code, reason=reason, expected=asked or by_guest, by_guest=by_guest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What it takes to spawn QEMU.

    Attributes:
        argv: the command line.
        pass_fds: descriptors that it names, inherited under the same numbers.
        stderr_path: where its stderr is appended.
        marker: the machine's id, the value of its MARKER_VARIABLE.
        begins: the mark of its start, and further facts for it.
        huge_pages: whether it may have transparent huge pages.
    """

    argv: tuple[str, ...]
    pass_fds: Sequence[int]
    stderr_path: Path
    marker: str
    begins: tuple[str, Mapping[str, object]] = ("started", MappingProxyType({}))
    huge_pages: bool = True

    @property
    def sha256(self) -> str:
        """Hash of the command line: of its words, each ended by a NUL."""
        words = (word.encode("utf-8", "surrogateescape") + b"\0" for word in self.argv)
        return hashlib.sha256(b"".join(words)).hexdigest()


class QemuProcess:
    """A spawned QEMU; made by `spawn`, ended by itself or by a signal, then reaped once.

    The kernel sends the parent-death signal when the *thread* that forked ends (prctl(2)), so call
    `spawn` from a thread that lives as long as the machine.

    Attributes:
        pid: its process id.
        pidfd: readable from the moment it ends until `reap`.
    """

    def __init__(self, child: subprocess.Popen[bytes], *, stderr_path: Path) -> None:
        self.pid = child.pid
        self.pidfd = os.pidfd_open(child.pid)
        self._child = child
        self._stderr_path = stderr_path

    @classmethod
    def spawn(cls, launch: Launch) -> QemuProcess:
        """Start QEMU in a process group of its own, with the parent-death signal set to SIGKILL.

        It gets no session: QEMU 7.2 opens the console's slave without O_NOCTTY, so a session leader would own
        the pty, and its end would hang the pty up with the last bytes in it.

        Raises:
            MissingPrerequisite: setpriv is not installed.
            LaunchError: the kernel refused; nothing is left.
        """
        words = (*parent_death_words(), *launch.argv)
        try:
            with nullcontext() if launch.huge_pages else forbid_huge_pages():
                child = _popen(words, launch)
        except OSError as error:
            reason = f"QEMU could not be started: {error.strerror}"
            raise LaunchError(reason, argv=launch.argv, exit_code=None, stderr=b"") from error
        with ExitStack() as undo:
            undo.callback(child.wait)
            undo.callback(child.kill)
            process = cls(child, stderr_path=launch.stderr_path)
            # It may have ended at once, or the host forbids prlimit: a core file is a nuisance, not a fault.
            with suppress(ProcessLookupError, PermissionError):
                resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
            undo.pop_all()
        return process

    @property
    def exit_code(self) -> int | None:
        """Exit code once reaped, negative for a signal; None before."""
        return self._child.returncode

    @property
    def stderr(self) -> bytes:
        """The end of QEMU's stderr; empty if that can't be read."""
        return stderr_tail(self._stderr_path)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; a process that has ended gets none."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def reap(self) -> int:
        """Take the exit code and close the pidfd; blocks until the process has ended."""
        code = self._child.wait()
        os.close(self.pidfd)
        return code


def stderr_tail(path: Path) -> bytes:
    """Return the last bytes of a file, empty if it can't be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - STDERR_TAIL))
            return file.read()
    except OSError:
        return b""


def parent_death_words() -> tuple[str, ...]:
    """Return the words before a program by which the kernel kills it when the thread that started it ends.

    Without them 1-2 QEMUs outlived each killed worker, with them none (docs/facts/qemu.md 8).

    Raises:
        MissingPrerequisite: setpriv is not installed.
    """
    program = shutil.which("setpriv")
    if program is None:
        raise MissingPrerequisite("setpriv", remedy="apt-get install util-linux")
    return (program, "--pdeathsig", "KILL", "--")


def _popen(words: Sequence[str], launch: Launch) -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    handle = os.open(launch.stderr_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            pass_fds=tuple(launch.pass_fds),
            process_group=0,  # Ctrl-C at our terminal is only for us
            env={**environment, MARKER_VARIABLE: launch.marker},
        )
    finally:
        os.close(handle)


_REAP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a program wrote, and its exit code: negative for a signal, None if the deadline ended it."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes


def run_bounded(argv: Sequence[str], *, deadline: Deadline, feed: bytes = b"") -> Finished:
    """Run `argv` with `feed` as its input until it ends; at the deadline it and its children are killed.

    It also dies with the calling thread (PDEATHSIG), so an interrupted test leaves nothing behind.

    Raises:
        OSError: `setpriv` can't be started; if only the program in `argv` is missing, that is exit code 127.
    """
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(feed, timeout=deadline.remaining())
    except subprocess.TimeoutExpired:
        return _killed(process)
    except BaseException:
        _killed(process)
        raise
    return Finished(exit_code=process.returncode, stdout=stdout, stderr=stderr)


def _killed(process: subprocess.Popen[bytes]) -> Finished:
    # The whole session: a child that inherited the pipes would keep us reading.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        stdout, stderr = process.communicate(timeout=_REAP_S)
    except subprocess.TimeoutExpired as stuck:
        # Stuck in the kernel: nothing can reap it now; init will when we end.
        stdout, stderr = stuck.stdout or b"", stuck.stderr or b""
    return Finished(exit_code=None, stdout=stdout, stderr=stderr)


PROC = Path("/proc")
DEAD_STATES = frozenset("ZXx")
STATE_WORDS = {
    "T": "stopped",
    "t": "stopped by a debugger",
    "D": "in an uninterruptible wait",
    "Z": "a zombie",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStat:
    """A process at one moment.

    Attributes:
        state: the kernel's letter: R, S, D, T, Z ...
        start_ticks: when it started, in clock ticks since the host's boot.
        cpu_s: CPU that it has used, in seconds.
    """

    state: str
    start_ticks: int
    cpu_s: float = 0.0

    @property
    def alive(self) -> bool:
        """Whether it can still do anything."""
        return self.state not in DEAD_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Exactly one process: a pid alone names nobody, since the kernel reuses it."""

    pid: int
    start_ticks: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """Return the identity of the process that has `pid` now, or None."""
        stat = read_stat(pid)
        return None if stat is None else cls(pid=pid, start_ticks=stat.start_ticks, boot_id=boot_id())

    def alive(self) -> bool:
        """Tell whether this very process lives; a zombie does not."""
        stat = read_stat(self.pid)
        me = (self.start_ticks, self.boot_id)
        return stat is not None and stat.alive and (stat.start_ticks, boot_id()) == me


def parse_stat(text: bytes) -> ProcessStat:
    """Read a line of /proc/PID/stat: proc(5), fields 3, 14, 15 and 22.

    The name in field 2 may hold blanks and parentheses, so the last ')' ends it.
    """
    fields = text[text.rindex(b")") + 1 :].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return ProcessStat(state=fields[0].decode("ascii"), start_ticks=int(fields[19]), cpu_s=cpu_s)


def read_stat(pid: int) -> ProcessStat | None:
    """Return a process's present state, None if there is no such process."""
    try:
        return parse_stat((PROC / str(pid) / "stat").read_bytes())
    except (OSError, ValueError, IndexError):
        return None


def describe_state(pid: int) -> str:
    """Return a phrase for messages, such as "stopped (state T)"."""
    stat = read_stat(pid)
    if stat is None:
        return "gone"
    return f"{STATE_WORDS.get(stat.state, 'alive')} (state {stat.state})"


def boot_id() -> str:
    """Return the id of this boot of the host."""
    return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def find_marked(variable: str, value: str) -> int | None:
    """Return the pid of a live process of this user whose environment has `variable=value`, or None."""
    marker = f"{variable}={value}".encode()
    for entry in PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if entry.stat().st_uid == os.getuid() and marker in (entry / "environ").read_bytes().split(b"\0"):
                stat = read_stat(int(entry.name))
                if stat is not None and stat.alive:
                    return int(entry.name)
    return None
