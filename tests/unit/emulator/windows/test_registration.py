"""What a user's file is: ISOs by three kinds of names, image files made by wimlib, disks; what is refused."""

import struct
import subprocess
from dataclasses import replace
from io import BytesIO

import pytest

from emulator.errors import SpecError
from emulator.machine.machine import open_machine
from emulator.machine.spec import Firmware
from emulator.sac.image import write_sac_disk
from emulator.windows.image import Level, WindowsImage
from emulator.windows.registration import (
    RegistrationOptions,
    builds_of,
    find_edition,
    name_of,
    propose_disk,
    propose_iso,
    read_editions,
    read_media,
    release_of,
    require_file,
)
from emulator.windows.registry import WindowsRegistry, identify
from harness.cli import main
from tests.support.disk_heads import BASIC, EFI, RESERVED, gpt, mbr
from tests.support.windows_media import CORE, DESKTOP, write_iso, write_media, write_wim


@pytest.fixture(scope="module")
def wim(tmp_path_factory):
    return write_wim(tmp_path_factory.mktemp("wim") / "install.wim", CORE, DESKTOP).read_bytes()


# -- image files -------------------------------------------------------------------------------


def test_editions_are_those_that_wimlib_wrote(wim):
    first, second = read_editions(BytesIO(wim), origin="x")
    assert (first.index, first.image_name, first.kind, first.build) == (1, CORE, "Server Core", "20348")
    assert (second.index, second.image_name, second.edition) == (2, DESKTOP, "ServerStandard")
    assert first.name == "Windows Server 2022 Serverstandard 1"


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("1", 1),
        ("2", 2),
        (CORE, 1),
        ("serverstandardcore", 1),
        ("SERVERSTANDARD", 2),
        ("Serverstandard 2", 2),
    ],
)
def test_edition_is_found_by_number_name_and_part(wim, wanted, index):
    editions = read_editions(BytesIO(wim), origin="x")
    assert find_edition(editions, wanted, origin="x").index == index


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("3", "names no edition of x; allowed: one of 1 Windows"),
        ("windows server", "names several editions of x"),
        (" ", "--edition is empty; x has: 1 Windows"),
    ],
)
def test_unclear_edition_is_refused_with_those_there_are(wim, wanted, text):
    with pytest.raises(SpecError) as caught:
        find_edition(read_editions(BytesIO(wim), origin="x"), wanted, origin="x")
    assert text in str(caught.value)


def forged(wim, xml, *, length=None, offset=None):
    data = bytearray(wim)
    place = len(data) if offset is None else offset
    size = len(xml) if length is None else length
    struct.pack_into("<QQQ", data, 0x48, size | 2 << 56, place, size)
    return bytes(data) + xml


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda wim: b"", "not a Windows image file: it begins with b''"),
        (lambda wim: b"PK\3\4" + wim, "not a Windows image file"),
        (lambda wim: wim[:100], "truncated: 100 bytes of a header of 208"),
        (lambda wim: wim[:-50], "truncated"),
        (lambda wim: forged(wim, b"", length=0), "has 0 bytes; allowed: 1 to 16777216"),
        (lambda wim: forged(wim, b"", length=2**55), "allowed: 1 to 16777216"),
        (lambda wim: forged(wim, b"", length=9, offset=2**63), "truncated"),
        (lambda wim: forged(wim, b"\xff\xfe\x00\xd8"), "is damaged"),
        (lambda wim: forged(wim, "<WIM>".encode("utf-16")), "is damaged"),
        (lambda wim: forged(wim, "<WIM/>".encode("utf-16")), "list of editions is empty"),
        (lambda wim: forged(wim, "<WIM><IMAGE/></WIM>".encode("utf-16")), "has the index ''"),
        (lambda wim: forged(wim, "<!DOCTYPE a [<!ENTITY b 'c'>]><WIM/>".encode("utf-16")), "has a DTD"),
    ],
)
def test_damaged_image_file_is_refused(wim, damage, text):
    with pytest.raises(SpecError) as caught:
        read_editions(BytesIO(damage(wim)), origin="the file")
    assert str(caught.value).startswith("the file: ")
    assert text in str(caught.value)


def test_no_terminal_obeys_an_editions_name(wim):
    xml = "<WIM><IMAGE INDEX='1'><NAME>\u202ee\x9bvil</NAME></IMAGE></WIM>".encode("utf-16")
    (edition,) = read_editions(BytesIO(forged(wim, xml)), origin="x")
    assert edition.name == "?e?vil"


# -- ISOs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["udf", "joliet", "iso"])
def test_media_are_read_by_whatever_names_they_have(tmp_path, way):
    media = read_media(write_media(tmp_path / "server.iso", CORE, DESKTOP, way=way))
    assert [one.image_name for one in media.editions] == [CORE, DESKTOP]
    assert media.boot.lower().startswith("boot.wim")
    assert builds_of(media) == ("20348",)


def test_winpe_has_nothing_to_install(tmp_path):
    media = read_media(write_media(tmp_path / "pe.iso"))
    assert (media.install, media.editions) == ("", ())


def test_iso_of_something_else_is_refused(tmp_path):
    path = write_iso(tmp_path / "linux.iso", {"/isolinux/linux": b"x"})
    with pytest.raises(SpecError, match=r"--iso .*linux\.iso: not Windows' media: neither sources/boot\.wim"):
        read_media(path)


@pytest.mark.parametrize("content", [b"", b"x" * 100, bytes(1 << 20), b"QFI\xfb" + bytes(40000)])
def test_what_is_no_iso_is_refused(tmp_path, content):
    path = tmp_path / "x.iso"
    path.write_bytes(content)
    with pytest.raises(SpecError, match="not an ISO image"):
        read_media(path)


@pytest.mark.parametrize("keep", [0x8006, 0x8800, 0x9000, 300_000])
def test_iso_that_is_cut_short_is_refused(tmp_path, keep):
    path = write_media(tmp_path / "server.iso", CORE)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SpecError, match=r"server\.iso: .*(?:damaged|truncated|not Windows)"):
        read_media(path)


def test_file_must_be_there(tmp_path):
    with pytest.raises(SpecError, match=r"--iso .*/nope: there is no such file"):
        require_file(tmp_path / "nope", option="--iso")
    with pytest.raises(SpecError, match=r"--disk .*: is a directory, not a file"):
        require_file(tmp_path, option="--disk")


# -- disks -------------------------------------------------------------------------------------


# -- proposals ---------------------------------------------------------------------------------


def test_iso_is_proposed_with_the_release_of_its_build(tmp_path):
    path = write_media(tmp_path / "WS 2019 Eval.iso", CORE, build="17763")
    proposal = propose_iso(path, RegistrationOptions())
    image = proposal.image
    assert (image.name, image.release, image.firmware, image.disk_format) == (
        "ws-2019-eval", "2019", "ovmf", None
    )  # fmt: skip
    assert proposal.notes == ()


def test_unknown_build_is_noted_and_a_wish_is_obeyed(tmp_path):
    path = write_media(tmp_path / "future.iso", CORE, build="99999")
    (note,) = propose_iso(path, RegistrationOptions()).notes
    assert note.startswith("build 99999 is of no release that ttylab knows: taken for 2022")
    options = RegistrationOptions(name="f", release="2025", tpm=True, firmware=Firmware.SEABIOS)
    wished = propose_iso(path, options)
    assert (wished.image.name, wished.image.release, wished.image.tpm) == ("f", "2025", True)
    assert wished.notes == ()


def test_disk_is_proposed_with_what_it_says_and_notes(tmp_path):
    path = tmp_path / "ws.raw"
    path.write_bytes(gpt(EFI, RESERVED, BASIC))
    proposal = propose_disk(path, RegistrationOptions(release="2022", password="Secret-99"))
    assert (proposal.image.disk_format, proposal.image.firmware) == ("raw", "ovmf")
    assert proposal.notes == ()
    assert path.stat().st_size == proposal.image.identity.size
    path.write_bytes(mbr(0x83))
    notes = propose_disk(path, RegistrationOptions()).notes
    assert [note.split(":")[0].split(",")[0] for note in notes] == [
        "its release is not known",
        "it has none of the partitions that Windows makes",
        "no password was given",
    ]


def test_disk_of_the_sac_guest_never_passes_for_windows(tmp_path):
    path = tmp_path / "sac.raw"
    write_sac_disk(path)
    proposal = propose_disk(path, RegistrationOptions(release="2022"))
    assert proposal.image.is_sac_guest
    assert any("not Windows" in note for note in proposal.notes)
    assert replace(proposal.image, is_sac_guest=False).provenance() != proposal.image.provenance()


def test_format_that_is_not_the_files_is_refused(tmp_path):
    path = tmp_path / "ws.raw"
    path.write_bytes(mbr(7))
    with pytest.raises(SpecError, match=r"--format vhdx: .*ws\.raw is raw"):
        propose_disk(path, RegistrationOptions(disk_format="vhdx"))


def test_names_and_releases(tmp_path):
    assert name_of(tmp_path / "20348.169_SERVER_EVAL.iso") == "20348-169-server-eval"
    assert name_of(tmp_path / "___.iso") == "windows"
    assert len(name_of(tmp_path / ("a-" * 60))) <= 40
    assert release_of(("1", "26100")) == "2025"
    assert release_of(()) is None


def test_disk_that_rests_on_a_host_file_is_refused_at_each_door(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "base").write_bytes(bytes(mbr(7)))
    disk = tmp_path / "ws.qcow2"
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(tmp_path / "base"), "-F", "raw", str(disk)]
    subprocess.run(words, check=True, timeout=30)
    assert main(["images", "add-windows", "--disk", str(disk)]) == 2
    said = capsys.readouterr().err
    assert f"disk {disk}: it rests on the backing file '{tmp_path / 'base'}'" in said
    assert (said.count("\n"), WindowsRegistry().images()) == (1, {})
    image = WindowsImage(
        name="ws",
        level=Level.DISK,
        path=disk,
        disk_format="qcow2",
        identity=identify(disk),
        release="2019",
        firmware=Firmware.SEABIOS,
    )
    WindowsRegistry().add(image)  # by an older ttylab, or by hand
    assert main(["boot", "ws"]) == 2
    assert "it rests on the backing file" in capsys.readouterr().err
    opened = open_machine(image.spec(image.usual_board), run_dir=tmp_path / "run")
    with pytest.raises(SpecError, match="it rests on the backing file"), opened:
        pytest.fail("it was started")
    whole = tmp_path / "whole.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "qcow2", disk, whole], check=True, timeout=30)
    before = whole.read_bytes()
    assert main(["images", "add-windows", "--disk", str(whole)]) == 0
    assert whole.read_bytes() == before
