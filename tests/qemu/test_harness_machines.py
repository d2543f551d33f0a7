"""The fixtures on real guests: NMI, reset and power as a test writes them, and a menu on the screen."""

import pytest

from emulator.clock import Deadline
from harness.scenario.errors import GuestLeft
from harness.scenario.stages import Stage

pytestmark = pytest.mark.qemu


def soon() -> Deadline:
    return Deadline.after(120)


@pytest.mark.kernel_args("unknown_nmi_panic=1", "panic=1")
def test_guest_panics_on_nmi_reboots_and_survives_reset_and_power(machine, console, guest):
    with console.expecting("nmi-unknown", "panic", "reset"):
        machine.nmi(soon())
        panic = console.expect(rb"Kernel panic - not syncing: NMI: Not continuing[^\n]*\n", soon())
        console.wait_mark(frozenset({"RESET"}), soon(), since=0)
    guest.reach(Stage.SHELL, soon())
    assert console.transcript.arrival(panic.start) < console.transcript.now()

    since = len(machine.transcript.marks)
    machine.reset(soon())
    with pytest.raises(GuestLeft, match="qmp RESET"):  # nobody said that it may
        console.expect(rb"this never comes", soon())
    console.listener.forgive()
    console.wait_mark(frozenset({"RESET"}), soon(), since=since)

    with console.expecting("shutdown", "off"):
        machine.power_off(soon())
    machine.power_on(soon())
    guest.reach(Stage.SHELL, soon())
    assert guest.check_output("echo back", soon()) == b"back\r\n"


MENU = (
    r"draw() { printf '\033[H\033[J\033[2;30HGNU GRUB  version 2.06'; n=0; "
    r"for entry in Debian Advanced Firmware; do [ $n = $1 ] && printf '\033[7m'; "
    r"printf '\033[%d;3H %-20s \033[m' $((n + 5)) $entry; n=$((n + 1)); done; }"
)
LOOP = (
    r"at=0; draw 0; while read -rsn1 key; do case $key in A) at=$((at - 1)) ;; B) at=$((at + 1)) ;; "
    r"q) break ;; *) continue ;; esac; draw $at; done; printf '\033[H\033[J'"
)


def test_screen_follows_the_arrow_keys_of_a_menu(console, guest, screen):
    guest.check_output("dmesg -n 1", soon())  # a late kernel line would scroll the menu away
    assert guest.run(MENU, soon()).status == 0
    console.send_line(LOOP.encode(), soon())
    screen.wait_for("GNU GRUB", soon())
    for keys, entry in (
        (b"", "Debian"),
        (b"\x1b[B", "Advanced"),
        (b"\x1b[B", "Firmware"),
        (b"\x1b[A", "Advanced"),
    ):
        console.send(keys, soon(), echo=False)
        screen.wait_for(lambda shown, entry=entry: _chosen(shown) == entry, soon(), says=f"{entry} chosen")
    console.send(b"q", soon(), echo=False)
    screen.wait_for(lambda shown: shown.highlighted_row() is None, soon())
    console.expect(guest.profile.prompt, soon())
    guest.prove_life(soon())


def _chosen(screen) -> str:
    row = screen.highlighted_row()
    return "" if row is None else screen.lines()[row].strip()


@pytest.mark.from_state("shell")
def test_command_typed_before_the_prompt_gives_its_output_alone(console, guest):
    guest.send_line(b"sleep 1; echo first", soon())
    result = guest.run("echo second; echo third", soon())
    assert result.output == b"second\r\nthird\r\n"
    assert console.transcript.read(result.start, result.end) == b"second\r\nthird\r\n"
