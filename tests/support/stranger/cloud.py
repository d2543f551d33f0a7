"""A cloud image: Debian's cloud-init on Debian's Python, in an initramfs that GRUB starts from a disk.

It has no password until cloud-init finds one on a NoCloud CD. What no login needs is left out, since TCG
executes every instruction of it.
"""

import compileall
import hashlib
import py_compile
import re
import struct
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import lz4.block

from emulator import places
from emulator.files import write_whole
from emulator.images.apt import AptSuite
from emulator.images.build import read_files
from emulator.images.catalog import load_catalog
from emulator.kernel_files import cpio
from tests.support.stranger import makers

PACKAGES = (
    "cloud-init", "libblkid1", "libc6", "libcrypt1", "libexpat1", "libffi8", "liblzma5",
    "libpython3.11-minimal", "libpython3.11-stdlib", "libssl3", "libuuid1", "libyaml-0-2",
    "python3-certifi", "python3-chardet", "python3-configobj", "python3-idna", "python3-jinja2",
    "python3-json-pointer", "python3-jsonpatch", "python3-markupsafe", "python3-netifaces",
    "python3-requests", "python3-six", "python3-urllib3", "python3-yaml", "python3.11-minimal",
    "util-linux", "zlib1g",
)  # fmt: skip
_LEFT_OUT = re.compile(
    r"usr/share/(?!python3|cloud)|etc/|lib/systemd|lib/udev|usr/lib/python3.11/(test|lib2to3|idlelib|ensurepip|pydoc_data|distutils|tkinter|unittest|asyncio|curses|dbm|sqlite3|wsgiref|venv|turtledemo)/"
    r"|usr/lib/x86_64-linux-gnu/(gconv|perl|ossl|engines)|usr/lib/python3/dist-packages/.*/tests?/"
)
_BLOCK = 8 << 20
_PROGRAMS = ("sbin/blkid", "usr/bin/python3.11", "usr/bin/cloud-init")
_MODULES = (
    *("virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"),
    *("cdrom", "isofs"),
)
_INIT = b"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
for module in %s; do insmod /modules/$module.ko; done 2>/dev/null
python3.11 /usr/bin/cloud-init init
exec /bin/init
""" % b" ".join(name.encode() for name in _MODULES)
_CHPASSWD = b"""#!/usr/bin/python3.11
import crypt, sys
names = dict(line.rstrip("\\n").split(":", 1) for line in sys.stdin)
lines = [line.split(":") for line in open("/etc/shadow")]
new = [[one[0], crypt.crypt(names[one[0]]), *one[2:]] if one[0] in names else one for one in lines]
open("/etc/shadow", "w").writelines(":".join(one) for one in new)
"""  # Debian's own needs PAM and its files
_CONFIG = """
datasource_list: [NoCloud]
datasource: {NoCloud: {fs_label: cidata}}
disable_root: false
manage_etc_hosts: false
network: {config: disabled}
cloud_init_modules: [set_hostname, users-groups, set-passwords]
cloud_config_modules: []
cloud_final_modules: []
system_info: {distro: debian}
"""


def cloud_disk(path: Path) -> Path:
    """Write a qcow2 with cloud-init that boots through GRUB; its initramfs is kept in the cache."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    kept = places.cache() / "tests" / f"cloud-{key}.lz4"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, _packed(cpio.write_archive(_nodes())))
    return makers.grub_disk(path, initrd=kept.read_bytes())


def _packed(archive: bytes) -> bytes:
    """Return an archive as a kernel unpacks it soonest: lz4's legacy frame (lz4, doc/lz4_Frame_format.md)."""
    blocks = (archive[at : at + _BLOCK] for at in range(0, len(archive), _BLOCK))
    packed = [lz4.block.compress(each, mode="high_compression", store_size=False) for each in blocks]
    return b"".join([struct.pack("<I", 0x184C2102), *(struct.pack("<I", len(one)) + one for one in packed)])


def _nodes() -> list[cpio.Node]:
    with TemporaryDirectory() as place:
        root = Path(place) / "root"
        suite = AptSuite(Path(place) / "apt", load_catalog().entry("bookworm"))
        suite.update()
        for package in suite.find(PACKAGES):
            deb = suite.fetch(package, places.images() / "pool")
            subprocess.run(["dpkg-deb", "-x", deb, root], check=True, timeout=60)
        compileall.compile_dir(
            root / "usr/lib",
            quiet=2,
            workers=0,
            legacy=True,  # beside the source, which then is not needed
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        found = {node.path: node for node in (_node(path, root) for path in sorted(root.rglob("*"))) if node}
    own = {
        "init": cpio.file("init", _INIT, 0o755),
        "sbin/chpasswd": cpio.file("sbin/chpasswd", _CHPASSWD, 0o755),
        "etc/cloud/cloud.cfg": cpio.file("etc/cloud/cloud.cfg", _CONFIG.encode()),
        "etc/shadow": cpio.file("etc/shadow", b"root:!:19000:0:99999:7:::\n", 0o600),
        "etc/os-release": cpio.file(
            "etc/os-release", b'ID=debian\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\n'
        ),
        **{f"modules/{name}.ko": cpio.file(f"modules/{name}.ko", data) for name, data in _modules().items()},
    }
    base = {node.path: node for node in makers.nodes()}
    return list({**base, **found, **own}.values())


def _node(path: Path, root: Path) -> cpio.Node | None:
    name = path.relative_to(root).as_posix()
    is_program = "/bin/" in f"/{name}" or "/sbin/" in f"/{name}"
    is_compiled = path.suffix == ".py" and path.with_suffix(".pyc").exists()
    if is_compiled or _LEFT_OUT.match(name) or (is_program and name not in _PROGRAMS):
        return None
    if path.is_symlink():
        return cpio.symlink(name, str(path.readlink()))
    return cpio.file(name, path.read_bytes(), path.stat().st_mode & 0o755) if path.is_file() else None


def _modules() -> dict[str, bytes]:
    wanted = re.compile(rf".*/(?P<name>{'|'.join(_MODULES)})\.ko").fullmatch
    found: dict[str, bytes] = {}
    for package, deb in makers.debs("bookworm-grub")[1]:
        if package.name.startswith("linux-image-"):
            found |= {Path(name).stem: data for name, data in read_files(deb, wanted).items()}
    return found
