"""A real guest with the shells of Debian 12 behind a real agetty and login: files laid over image bookworm.

The kernel unpacks both archives of an initramfs one after the other. Each user has a shell, and a prompt as
some system has it.
"""

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator import places
from emulator.clock import Deadline
from emulator.files import write_whole
from emulator.guest_text.linux import LinuxProfile
from emulator.images.apt import AptSuite
from emulator.images.catalog import load_catalog
from emulator.images.image import Image
from emulator.kernel_files import cpio
from emulator.machine.machine import Machine, open_machine
from harness.guests.linux import LinuxGuest
from harness.play.session import Session
from harness.scenario.stages import Stage
from harness.snapshots.lab import Lab

PACKAGES = (
    "bash", "dash", "fish", "fish-common", "libaudit1", "libc6", "libcap-ng0", "libcap2", "libcrypt1",
    "libgcc-s1", "libpam-modules", "libpam0g", "libpcre2-32-0", "libpcre2-8-0", "libselinux1",
    "libstdc++6", "libtinfo6", "login", "ncurses-base", "util-linux", "zsh",
)  # fmt: skip
WANTED = (
    "bin/bash", "bin/dash", "bin/zsh", "bin/fish", "bin/login", "bin/agetty", "lib/x86_64-linux-gnu",
    "lib64", "lib/terminfo/v", "share/fish/functions", "share/fish/config.fish",
    "share/fish/__fish_build_paths.fish",
)  # fmt: skip
CONTEXT = (  # what systemd 258 sets: OSC 3008 when a command begins and ends
    "PS0='\\[\\033]3008;start=7d0c;user=root;hostname=vm;type=command;cwd=\\w\\033\\\\\\]'\n"
    "PROMPT_COMMAND='printf \"\\033]3008;end=7d0c;exit=success\\033\\\\\"'\n"
)
TITLED = (
    "PS1='\\[\\e]0;\\u@\\h: \\w\\a\\]\\[\\033[01;32m\\]\\u@\\h\\[\\033[00m\\]:"
    "\\[\\033[01;34m\\]\\w\\[\\033[00m\\]\\$ '\n"
)
PROMPTS = {
    "debian": ("/bin/bash", TITLED + CONTEXT),
    "rhel": ("/bin/bash", "PS1='[\\u@\\h \\W]\\$ '\n"),
    "suse": ("/bin/bash", "PS1='\\[$(tput bold)\\]\\h:\\w #\\[$(tput sgr0)\\] '\n"),
    "plain": ("/bin/dash", ""),
    "alpine": ("/bin/ash", "PS1='\\h:\\w\\$ '\n"),
    "openwrt": ("/bin/ash", "PS1='\\[\\e]0;\\u@\\h: \\w\\a\\]\\u@\\h:\\w\\$ '\n"),
    "freebsd": ("/bin/dash", "PS1='freebsd@vm:~ $ '\n"),
    "zsh": ("/bin/zsh", ""),
    "fish": ("/bin/fish", ""),
    "empty": ("/bin/dash", "PS1=\n"),
}
"""Users by name: shell and profile. All are root with the password `ttylab`."""
OTHERS = {"nopass": ("/bin/bash", ""), "expired": ("/bin/bash", ""), "mortal": ("/bin/bash", "")}
"""One without a password, one whose password is to be changed, and one who is not root."""
HASH = "$5$rounds=1000$ttylab$mfO5jx0Qku0uOjTD16LOLcoqg641Vjgqnbb0pzx2YSA"
PAM = """\
auth required pam_unix.so nullok
account required pam_unix.so
session optional pam_lastlog.so
session optional pam_motd.so motd=/etc/motd
password required pam_unix.so
"""


def _etc() -> dict[str, str]:
    users = {"root": ("/bin/bash", "")} | PROMPTS | OTHERS
    number = {"mortal": 1001}
    lines = [f"{name}:x:{number.get(name, 0)}:0::/home/{name}:{shell}" for name, (shell, _) in users.items()]
    hashes, days = {"nopass": ""}, {"expired": 0}
    shadow = [f"{name}:{hashes.get(name, HASH)}:{days.get(name, 20000)}:0:99999:7:::" for name in users]
    return {
        "etc/passwd": "\n".join(lines) + "\n",
        "etc/shadow": "\n".join(shadow) + "\n",
        "etc/profile": "export PATH=/bin:/sbin LC_ALL=C\nstty rows 24 cols 80\n",
        "etc/pam.d/login": PAM,
        "etc/login.defs": "MAIL_DIR /var/mail\nLOGIN_TIMEOUT 60\nLOGIN_RETRIES 5\n",
        "etc/motd": "Welcome\nroot@lies:~# \nyour login: none, Password: none\n",
        "etc/issue": "\\e[1;31mWarning\\e[0m: authorised users \\l\nlogin: as root, no Password: needed\n",
    }


def _files(root: Path) -> list[cpio.Node]:
    """Return the wanted files of packages that were unpacked in `root`, in the image's flat layout."""
    nodes: dict[str, cpio.Node] = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix().removeprefix("usr/")
        name = name.replace("sbin/", "bin/", 1) if name.startswith("sbin/") else name
        if not name.startswith(tuple(WANTED)) or "/gconv/" in name or "/perl" in name:
            continue
        if path.is_symlink():
            nodes[name] = cpio.symlink(name, str(path.readlink()))
        elif path.is_file():
            nodes[name] = cpio.file(name, path.read_bytes(), path.stat().st_mode & 0o755)
    return list(nodes.values())


def open_overlay() -> bytes:
    """Return the archive; it is made once, of packages from where images come from."""
    path = (
        places.cache() / "tests" / f"shells-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]}.gz"
    )
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, make_overlay())
    return path.read_bytes()


def make_overlay() -> bytes:
    """Return the archive, made anew."""
    entry = load_catalog().entry("bookworm")
    pool = places.images() / "pool"
    with TemporaryDirectory() as place:
        suite, root = AptSuite(Path(place) / "apt", entry), Path(place) / "root"
        suite.update()
        for package in suite.find(PACKAGES):
            subprocess.run(["dpkg-deb", "-x", suite.fetch(package, pool), root], check=True, timeout=60)
        nodes = _files(root)
    own = [
        cpio.file(name, text.encode(), 0o600 if name.endswith("shadow") else 0o644)
        for name, text in _etc().items()
    ]
    homes = [cpio.directory(f"home/{name}", 0o755) for name in (*PROMPTS, *OTHERS)]
    profiles = [cpio.file(f"home/{name}/.profile", text.encode()) for name, (_, text) in PROMPTS.items()]
    links = [
        cpio.symlink("bin/getty", "agetty"),
        cpio.file("var/log/lastlog", b""),
        cpio.file("home/zsh/.zshrc", b""),
    ]
    return cpio.write_initramfs([*nodes, *own, *homes, *profiles, *links])


@contextmanager
def open_shells_guest(lab: Lab, place: Path) -> Iterator[Machine]:
    """Boot the guest, up to its login prompt."""
    image = lab.guest_image("bookworm")
    assert isinstance(image, Image)
    initrd = place / "initrd"
    initrd.write_bytes(image.initrd.read_bytes() + open_overlay())
    spec = replace(image.spec(image.usual_board), initrd=initrd, memory_mib=512, name="shells")
    with open_machine(spec, run_dir=place, qemu=lab.qemu(spec), accelerator=lab.choice(spec)) as machine:
        LinuxGuest(Session(machine.console)).reach(Stage.LOGIN, Deadline.after(120))
        yield machine


@contextmanager
def log_in(machine: Machine, user: str, password: str = "ttylab") -> Iterator[LinuxGuest]:
    """Log a user in at a new login prompt, and out at the end."""
    session = Session(machine.console, start=len(machine.console.transcript))
    session.send(b"\x04", Deadline.after(5), echo=False)  # an end of input brings a new prompt
    guest = LinuxGuest(session, LinuxProfile(user=user.encode(), password=password.encode()))
    try:
        guest.reach(Stage.SHELL, Deadline.after(60))
        yield guest
    finally:
        session.listener.forgive()
        session.send(b"\x03\x15exit\r", Deadline.after(5), echo=False)
        session.wait_quiet(0.5, Deadline.after(30))
