"""The store, on packages made here: what it builds, what it refuses, and what it leaves behind."""

import errno
import gzip
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from emulator.errors import ImageError, MissingPrerequisite, SpecError
from emulator.files import hold_lock
from emulator.images import store as store_module
from emulator.images.build import read_files
from emulator.images.catalog import Catalog, CatalogEntry, load_catalog
from emulator.images.image import Package, Progress
from emulator.images.store import ImageStore
from harness.commands import images as commands

APPLETS = b"\0[\0[[\0acpid\0getty\0init\0insmod\0login\0mount\0poweroff\0reboot\0sh\0stty\0\0"
RELEASE = "6.1.0-1-cloud-amd64"


def make_kernel() -> bytes:
    note = struct.pack("<III", 4, 8, 18) + b"Xen\0" + bytes(8)
    elf = bytearray(b"\x7fELF\x02\x01".ljust(64, b"\0"))
    struct.pack_into("<Q", elf, 0x20, 64)
    struct.pack_into("<HH", elf, 0x36, 56, 1)
    elf += struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4) + note
    payload = gzip.compress(bytes(elf), mtime=0) + bytes(4)
    image = bytearray(1024)
    image[0x1F1:0x1F2] = b"\1"
    image[0x202:0x208] = b"HdrS\x0f\x02"
    struct.pack_into("<II", image, 0x248, 0, len(payload))
    return bytes(image) + payload


def make_deb(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"./{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    control = io.BytesIO()
    tarfile.open(fileobj=control, mode="w").close()
    members = {"debian-binary": b"2.0\n", "control.tar": control.getvalue(), "data.tar": data.getvalue()}
    deb = b"!<arch>\n"
    for name, content in members.items():
        deb += f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        deb += content + b"\n" * (len(content) % 2)
    return deb


def ko(name: str, depends: str = "") -> bytes:
    return f"\0vermagic=6.1\0name={name}\0depends={depends}\0".encode()


CONTENT = {
    "busybox-static": {"bin/busybox": b"ELF" + APPLETS, "usr/share/doc/copyright": b"GPL"},
    "linux-image-cloud-amd64": {"usr/share/doc/copyright": b"GPL"},
    f"linux-image-{RELEASE}": {
        f"boot/vmlinuz-{RELEASE}": make_kernel(),
        f"lib/modules/{RELEASE}/modules.builtin": b"kernel/drivers/char/virtio_console.ko\n",
        f"lib/modules/{RELEASE}/kernel/drivers/acpi/button.ko": ko("button", "rare-dep"),
        f"lib/modules/{RELEASE}/kernel/lib/rare-dep.ko": ko("rare_dep"),
        f"lib/modules/{RELEASE}/kernel/net/unwanted.ko": ko("unwanted"),
    },
}


class Archive:
    """Stands for the Debian archive; counts how often it is asked."""

    def __init__(self, content: dict[str, dict[str, bytes]] = CONTENT) -> None:
        self.content = content
        self.asked = 0
        self.fault: BaseException | None = None

    def __call__(self, entry: CatalogEntry, pool: Path, progress: Progress) -> Sequence[tuple[Package, Path]]:
        self.asked += 1
        if self.fault:
            raise self.fault
        pool.mkdir(parents=True, exist_ok=True)
        return [self._package(name, files, pool) for name, files in sorted(self.content.items())]

    def _package(self, name: str, files: dict[str, bytes], pool: Path) -> tuple[Package, Path]:
        deb = make_deb(files)
        package = Package(name=name, version="1:6.1.1-1", sha256=hashlib.sha256(deb).hexdigest())
        path = pool / package.file_name
        path.write_bytes(deb)
        return package, path


@pytest.fixture
def archive() -> Archive:
    return Archive()


def modest_catalog(*offers: str) -> Catalog:
    """The shipped catalog, offering no more than what CONTENT holds."""
    shipped = load_catalog()
    entries = {name: replace(entry, offers=frozenset(offers)) for name, entry in shipped.entries.items()}
    return replace(shipped, entries=entries)


@pytest.fixture
def store(tmp_path: Path, archive: Archive) -> ImageStore:
    return ImageStore(tmp_path / "images", catalog=modest_catalog("virtio_console"), fetch=archive)


def test_store_refuses_an_image_that_lacks_what_the_catalog_offers(tmp_path: Path, archive: Archive) -> None:
    store = ImageStore(tmp_path / "images", catalog=modest_catalog("i6300esb"), fetch=archive)
    with pytest.raises(ImageError, match="lacks what the catalog says it offers: i6300esb"):
        store.ensure("bookworm")
    assert not store.directory("bookworm").exists()


def everything_below(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.name != ".lock"}


def test_store_builds_an_image_with_its_provenance(store: ImageStore):
    image = store.ensure("bookworm")
    assert (image.kernel_release, image.kernel_version) == (RELEASE, "1:6.1.1-1")
    assert image.modules == ("button", "virtio_console")
    assert image.vmlinux.read_bytes()[:4] == b"\x7fELF"
    assert {
        name: hashlib.sha256((image.directory / name).read_bytes()).hexdigest() for name in image.sha256
    } == (image.sha256)
    provenance = json.loads(json.dumps(image.provenance()))
    assert provenance["packages"][0]["name"] == "busybox-static"
    assert provenance["sha256"] == image.sha256


def test_store_loads_dependencies_that_the_recipe_does_not_name(store: ImageStore):
    archive = gzip.decompress(store.ensure("bookworm").initrd.read_bytes())
    assert b"rare_dep\nbutton\n" in archive
    assert b"unwanted" not in archive


def test_store_builds_the_same_bytes_twice(tmp_path: Path):
    images = [
        ImageStore(tmp_path / name, catalog=modest_catalog(), fetch=Archive()).ensure("bookworm")
        for name in "ab"
    ]
    contents = [
        {path.name: path.read_bytes() for path in image.directory.iterdir() if path.name != "seal.json"}
        for image in images
    ]
    assert contents[0] == contents[1]
    assert images[0].sha256 == images[1].sha256


def test_store_asks_the_archive_once_and_tells_its_progress(store: ImageStore, archive: Archive):
    told: list[tuple[str, float]] = []
    store.ensure("bookworm", lambda stage, fraction: told.append((stage, fraction)))
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert told[-1] == ("ready", 1.0)
    assert store.ensure("bookworm") == store.open("bookworm")
    assert archive.asked == 1


def test_store_rebuilds_a_changed_recipe_without_the_archive(
    store: ImageStore, archive: Archive, tmp_path: Path
):
    first = store.ensure("bookworm")
    changed = store_module.load_recipe()
    changed = replace(changed, files={**changed.files, "etc/motd": b"hello\n"})
    second = ImageStore(store.root, catalog=modest_catalog(), fetch=archive, recipe=changed).ensure(
        "bookworm"
    )
    assert archive.asked == 1
    assert second.sha256["initrd"] != first.sha256["initrd"]
    assert store.open("bookworm") == first


def test_store_rebuilds_a_damaged_image_when_told_to(store: ImageStore, archive: Archive):
    image = store.ensure("bookworm")
    image.initrd.write_bytes(b"damage")
    assert store.ensure("bookworm", rebuild=True) == image
    assert (archive.asked, store.verify("bookworm")) == (1, [])


@pytest.mark.parametrize("name", ["bzimage", "vmlinux", "initrd"])
def test_store_refuses_an_image_with_a_changed_byte(store: ImageStore, name: str):
    path = getattr(store.ensure("bookworm"), name)
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        ImageError, match=rf"damaged: .*{name} has sha256 .*run: ttylab images build --rebuild"
    ):
        store.open("bookworm")
    with pytest.raises(ImageError, match="damaged"):
        store.ensure("bookworm")
    assert len(store.verify("bookworm")) == 1


def test_store_refuses_an_image_with_a_missing_file(store: ImageStore):
    store.ensure("bookworm").initrd.unlink()
    with pytest.raises(ImageError, match="initrd is missing"):
        store.open("bookworm")


def test_store_refuses_an_image_with_a_damaged_manifest(store: ImageStore):
    (store.ensure("bookworm").directory / "manifest.json").write_text("{}")
    with pytest.raises(ImageError, match="damaged manifest"):
        store.open("bookworm")
    assert "damaged manifest" in store.verify("bookworm")[0]
    assert store.list() == ()


def test_store_opens_an_image_that_was_touched_but_not_changed(store: ImageStore):
    image = store.ensure("bookworm")
    image.initrd.touch()
    assert store.open("bookworm") == image


def test_store_says_how_to_build_what_is_not_built(store: ImageStore):
    with pytest.raises(ImageError, match="image sid is not built; run: ttylab images build sid"):
        store.open("sid")
    assert store.verify("sid") == ["sid: not built"]
    with pytest.raises(SpecError, match="unknown image 'hurd'"):
        store.ensure("hurd")


def test_store_reports_a_changed_package(store: ImageStore):
    package = store.ensure("bookworm").packages[0]
    (store.root / "pool" / package.file_name).write_bytes(b"other")
    assert store.verify("bookworm") == [
        f"bookworm: {store.root / 'pool' / package.file_name} is not the package"
    ]


@pytest.mark.parametrize(
    "fault", [ImageError("no network"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")]
)
def test_store_holds_nothing_when_fetching_fails(store: ImageStore, archive: Archive, fault: BaseException):
    archive.fault = fault
    expected = KeyboardInterrupt if isinstance(fault, KeyboardInterrupt) else ImageError
    with pytest.raises(expected):
        store.ensure("bookworm")
    assert everything_below(store.root) == set()


def test_store_holds_no_half_made_image_when_the_disk_is_full(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
):
    real = Path.write_bytes

    def write_until_full(path: Path, data: bytes) -> int:
        if path.name == "initrd":
            real(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", write_until_full)
    with pytest.raises(ImageError, match=r"bookworm can't be built: No space left on device: .*initrd"):
        store.ensure("bookworm")
    assert list((store.root / "bookworm").iterdir()) == []
    monkeypatch.undo()
    assert store.verify(store.ensure("bookworm").name) == []


def test_store_holds_no_half_made_image_when_the_build_is_interrupted(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
):
    def interrupt(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("emulator.images.build.extract_vmlinux", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.ensure("bookworm")
    assert list((store.root / "bookworm").iterdir()) == []


def test_store_clears_away_what_a_killed_build_left(store: ImageStore):
    leftover = store.root / "bookworm" / ".build-killed"
    leftover.mkdir(parents=True)
    store.ensure("bookworm")
    assert not leftover.exists()


def test_store_refuses_a_root_that_can_not_be_written(tmp_path: Path, archive: Archive):
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="can't be written"):
        ImageStore(tmp_path / "file" / "images", catalog=modest_catalog(), fetch=archive).ensure("bookworm")


@pytest.mark.parametrize(
    ("package", "path", "complaint"),
    [
        (f"linux-image-{RELEASE}", f"boot/vmlinuz-{RELEASE}", "0 files that could be the kernel"),
        (
            f"linux-image-{RELEASE}",
            f"lib/modules/{RELEASE}/kernel/lib/rare-dep.ko",
            "lacks the modules rare_dep",
        ),
        ("busybox-static", "bin/busybox", "0 files that could be the busybox"),
    ],
)
def test_store_refuses_packages_that_lack_a_part(tmp_path: Path, package: str, path: str, complaint: str):
    files = {name: data for name, data in CONTENT[package].items() if name != path}
    with pytest.raises(ImageError, match=complaint):
        ImageStore(tmp_path, catalog=modest_catalog(), fetch=Archive({**CONTENT, package: files})).ensure(
            "bookworm"
        )


def test_store_prunes_what_no_image_needs_and_keeps_the_rest(store: ImageStore):
    image = store.ensure("bookworm")
    kept = everything_below(store.root)
    for path in (
        "bookworm/0123456789abcdef/initrd",
        "gone/x/initrd",
        "pool/old_1_amd64.deb",
        "sid/.build-x/image",
    ):
        (store.root / path).parent.mkdir(parents=True, exist_ok=True)
        (store.root / path).touch()
    removed = {path.relative_to(store.root).as_posix() for path in store.prune()}
    assert removed == {"bookworm/0123456789abcdef", "gone/x", "pool/old_1_amd64.deb", "sid/.build-x"}
    assert everything_below(store.root) == kept
    assert store.open("bookworm") == image


def test_store_prunes_everything_when_nothing_is_to_be_kept(store: ImageStore):
    store.ensure("bookworm")
    store.prune(keep=())
    assert everything_below(store.root) == set()
    assert store.prune() == ()
    assert store.list() == ()


def test_deb_is_refused_when_damaged(tmp_path: Path):
    path = tmp_path / "a.deb"
    path.write_bytes(make_deb({"a": b"x" * 9000})[:-4000])
    with pytest.raises(ImageError, match=r"a\.deb: damaged package"):
        read_files(path, lambda _: True)


def test_deb_reader_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPrerequisite, match="apt-get install dpkg"):
        read_files(tmp_path / "a.deb", lambda _: True)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, store: ImageStore):
    monkeypatch.setattr(commands, "ImageStore", lambda: store)
    return lambda *arguments: CliRunner().invoke(commands.app, arguments)


def test_command_lists_what_is_built_and_what_is_not(cli, store: ImageStore):
    store.ensure("bookworm")
    rows = {row["name"]: row for row in json.loads(cli("list", "--json").stdout)}
    assert list(rows) == list(load_catalog().names)
    assert rows["bookworm"]["built"]
    assert rows["bookworm"]["kernel_release"] == RELEASE
    assert (rows["sid"]["built"], rows["sid"]["size"], rows["sid"]["kernel_version"]) == (False, 0, None)
    table = cli("list").stdout
    assert RELEASE in table
    assert "not built" in table


def test_command_builds_verifies_and_prunes(cli, store: ImageStore):
    assert cli("build", "bookworm").exit_code == 0
    assert cli("verify").stdout == "bookworm: ok\n"
    assert cli("prune").stdout == "Nothing to remove.\n"
    assert "removed" in cli("prune", "--all").stdout


def test_command_verify_fails_when_an_image_is_damaged(cli, store: ImageStore):
    store.ensure("bookworm").initrd.write_bytes(b"damage")
    result = cli("verify")
    assert isinstance(result.exception, ImageError)
    assert "initrd has sha256" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("--all", "bookworm"), ("hurd",), ("bookworm", "hurd")])
def test_command_build_refuses_what_makes_no_sense_before_it_builds(cli, archive: Archive, arguments):
    assert isinstance(cli("build", *arguments).exception, SpecError)
    assert archive.asked == 0


def test_store_rebuilds_an_image_whose_manifest_is_damaged(store: ImageStore):
    store.ensure("bookworm")
    manifest = store.directory("bookworm") / "manifest.json"
    for damage in (b"", b"\xff\0", b"{", b"[" * 99_999, bytes(20 << 20)):
        manifest.write_bytes(damage)
        assert str(manifest) in store.damaged()["bookworm"]
        with pytest.raises(
            ImageError, match=r"manifest\.json.*; run: ttylab images build --rebuild bookworm"
        ):
            store.open("bookworm")
        assert store.ensure("bookworm").name == "bookworm"
        assert store.damaged() == {}
    manifest.unlink()
    manifest.mkdir()
    assert "is a directory, not a file" in store.damaged()["bookworm"]
    assert store.ensure("bookworm").name == "bookworm"


def test_store_collects_what_killed_builds_left_but_not_while_one_runs(store: ImageStore):
    store.ensure("bookworm")
    left = [store.root / "bookworm" / ".key.x.partial", store.root / "pool" / ".apt-x"]
    for path in left:
        path.mkdir()
    with hold_lock(store.root / ".lock", wait_s=0):
        assert store.collect() == ()
    assert store.collect(dry_run=True) == tuple(left)
    store.ensure("bookworm", rebuild=True)
    assert not any(path.exists() for path in left)
    left[0].mkdir()
    assert store.collect() == (left[0],)
    assert store.collect() == ()
