"""What is said of a guest that came to no login prompt on ttyS0."""

import pytest

from emulator.machine.glance import Glance
from harness.play.silence import ends_on_screen, explain

KERNEL = b"[    0.000000] Linux version 6.1.0 (x) #1\r\n[    2.0] more\r\n"
PROMPT = Glance(rows=("Debian GNU/Linux 12 vm tty1", "vm login:"), cpu="is halted and waits")


@pytest.mark.parametrize(
    ("shown", "look", "starts_kernel", "parts"),
    [
        (
            b"",
            PROMPT,
            False,
            ("no byte came on ttyS0", "'vm login:'", "halted", "its console is the screen", "GRUB_"),
        ),
        (b"SeaBIOS\r\n", PROMPT, False, ("no kernel wrote on ttyS0", "add console=ttyS0,115200")),
        (KERNEL, PROMPT, False, ("nobody asks for a login there", "serial-getty@ttyS0")),
        (b"", Glance(cpu="loops at fff0"), False, ("the screen is empty", "the CPU loops at fff0")),
        (
            b"",
            Glance(graphics=(1280, 800), cpu="works"),
            False,
            ("a picture of 1280x800", "the CPU works", "if its console is"),
        ),
        (
            b"",
            Glance(rows=("Booting from Hard Disk...", "No bootable device.")),
            False,
            ("nothing boots from this",),
        ),
        (
            b"",
            Glance(rows=("GNU GRUB  version 2.06", "Debian")),
            False,
            ("its loader waits on the screen alone",),
        ),
        (b"", Glance(cpu="is halted and waits"), True, ("CONFIG_SERIAL_8250_CONSOLE",)),
        (b"", Glance(rows=("[    1.234567] Run /init",)), False, ("its console is the screen",)),
    ],
)
def test_silence_is_explained(shown, look, starts_kernel, parts):
    said = explain(shown, look, starts_kernel=starts_kernel)
    assert all(part in said for part in parts), said
    assert "\n" not in said


def test_guest_whose_kernel_speaks_needs_no_explanation():
    assert explain(KERNEL, Glance(rows=("[  2.0] x",)), starts_kernel=False) == ""


def test_screen_is_escaped():
    assert "\x1b" not in explain(b"", Glance(rows=("\x1b[31m",)), starts_kernel=False)


def test_guest_whose_kernel_spoke_is_said_to_be_stuck_if_it_is():
    said = explain(KERNEL, Glance(cpu="loops at a", is_stuck=True), starts_kernel=True)
    assert said == "the CPU loops at a"


@pytest.mark.parametrize(
    ("shown", "row", "ends"),
    [
        (b"", "No bootable device.", True),
        (b"SeaBIOS\r\n", "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs", True),
        (KERNEL, "[    1.2] Kernel panic - not syncing: it may restart", False),
        (b"", "Booting from Hard Disk...", False),
        (b"", "vm login:", False),
    ],
)
def test_screen_that_ends_a_boot(shown, row, ends):
    assert ends_on_screen(shown, Glance(rows=("SeaBIOS", row))) is ends
