"""The guest's own files, and how they become an initramfs."""

from dataclasses import replace
from pathlib import Path

import pytest

from emulator.errors import ImageError, SpecError
from emulator.images.catalog import load_catalog
from emulator.images.recipe import (
    disk_files,
    find_applets,
    guest_nodes,
    load_recipe,
    silence_cursor_query,
)
from emulator.kernel_files.modules import Module

APPLETS = b"acpid\0getty\0init\0insmod\0login\0mount\0poweroff\0reboot\0sh\0stty\0"
BUSYBOX = b"\x7fELF\x1b[999;999H\x1b[6n\0 [\0[[\0" + APPLETS + b"\0more"


def nodes_of(image: str, spin: bytes | None = None):
    button = Module(name="button", depends=(), data=b"ko")
    nodes = guest_nodes(
        load_recipe(), load_catalog().entry(image), busybox=BUSYBOX, modules=[button], spin=spin
    )
    return {node.path: node for node in nodes}


def test_guest_carries_the_image_name_where_the_recipe_says_so():
    nodes = nodes_of("sid")
    assert nodes["etc/hostname"].data == b"sid\n"
    assert nodes["etc/issue"].data == b"ttylab sid\n"


@pytest.mark.parametrize(("image", "console"), [("sid", b"ttyS0"), ("trixie-arm64", b"ttyAMA0")])
def test_guest_has_its_console_and_the_reseed_program_of_its_architecture(image, console):
    nodes = nodes_of(image)
    assert nodes["init"].data.count(b"/sbin/getty -L 115200 " + console) == 1
    assert b"@" + b"CONSOLE@" not in nodes["init"].data
    code = load_catalog().entry(image).runs_on.code
    assert code.reseed in nodes["bin/reseed"].data


def test_guest_has_only_the_programs_executable_and_the_passwords_private():
    nodes = nodes_of("sid")
    assert [nodes[path].mode & 0o777 for path in ("init", "bin/busybox", "etc/acpi/PWRF/00000080")] == [
        0o755
    ] * 3
    assert [nodes[path].mode & 0o777 for path in ("etc/shadow", "etc/passwd", "root")] == [
        0o600,
        0o644,
        0o700,
    ]


def test_guest_links_every_applet_and_lists_its_modules():
    nodes = nodes_of("sid", spin=b"spin")
    assert nodes["bin/login"].data == b"busybox"
    assert nodes["lib/modules/order"].data == b"button\n"
    assert nodes["lib/modules/spin.ko"].data == b"spin"
    assert "lib/modules/spin.ko" not in nodes_of("sid")


def test_guest_shell_does_not_ask_for_the_cursor():
    assert b"\x1b[6n" not in nodes_of("sid")["bin/busybox"].data
    assert len(silence_cursor_query(BUSYBOX)) == len(BUSYBOX)


def test_applets_are_read_from_the_table():
    assert find_applets(BUSYBOX) == ["[", "[[", *APPLETS.decode().split("\0")[:-1]]


@pytest.mark.parametrize(
    ("busybox", "lacks"), [(b"", "acpid, getty"), (BUSYBOX.replace(b"login", b"logon"), "login")]
)
def test_applets_are_refused_when_one_that_the_guest_needs_is_missing(busybox: bytes, lacks: str):
    with pytest.raises(ImageError, match=f"busybox lacks: {lacks}"):
        find_applets(busybox)


def test_digest_changes_with_every_input():
    recipe, entry = load_recipe(), load_catalog().entry("sid")
    digests = {
        recipe.digest(entry),
        recipe.digest(replace(entry, kernel="1.0-1")),
        recipe.digest(replace(entry, suite="trixie")),
        replace(recipe, modules=("button",)).digest(entry),
        replace(recipe, files={**recipe.files, "init": b"#!/bin/sh\n"}).digest(entry),
        replace(recipe, files={**recipe.files, "etc/motd": b""}).digest(entry),
    }
    assert len(digests) == 6


def test_digest_stays_when_only_the_mirror_changes():
    recipe, entry = load_recipe(), load_catalog().entry("sid")
    assert recipe.digest(entry) == recipe.digest(replace(entry, mirror="http://mirror.example/debian"))


def test_digest_of_a_disk_changes_with_the_menu_and_no_other_does():
    recipe = load_recipe()
    other = replace(recipe, menu=b"set timeout=1\n")
    plain, disk = (load_catalog().entry(name) for name in ("bookworm", "bookworm-grub"))
    assert recipe.digest(plain) == other.digest(plain)
    assert recipe.digest(disk) != other.digest(disk)
    assert recipe.digest(disk) != recipe.digest(replace(disk, disk=False))


def test_disk_holds_menu_kernel_and_initramfs_under_debians_names():
    files = disk_files(load_recipe(), {"bzimage": b"kernel", "initrd": b"ramdisk"}, release="6.1.0-1")
    assert files["boot/vmlinuz-6.1.0-1"] == b"kernel"
    assert files["boot/initrd.img-6.1.0-1"] == b"ramdisk"
    menu = files["boot/grub/grub.cfg"]
    assert b"linux /boot/vmlinuz-6.1.0-1 console=tty0 console=ttyS0,115200 single $ttylab_words\n" in menu
    assert b"@" not in menu


def test_recipe_is_refused_when_it_is_not_there(tmp_path: Path):
    with pytest.raises(SpecError, match="no guest recipe"):
        load_recipe(tmp_path)
