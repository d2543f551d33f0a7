"""What counts as a guest's answer to a stimulus, and what does not."""

import pytest

from emulator.guest_text.expected import EVIDENCE_MAX, NMI, RESET, ExpectedSearch, expected_of_sysrq

HELP = b"[   12.345678] sysrq: HELP : loglevel(0-9) reboot(b) crash(c)\r\n"
PANIC = b"[    9.110001] Kernel panic - not syncing: sysrq triggered crash\r\n"
REFUSED = b"[    9.1100011] x\r\n[    9.110001] sysrq: This sysrq operation is disabled.\r\n"


def find(expected, data, *, pieces=1):
    search = ExpectedSearch(expected)
    size = -(-len(data) // pieces) or 1
    for start in range(0, len(data), size):
        search.feed(data[start : start + size])
    return search


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        (
            b"[    8.0] x\r\n[    8.123456] Uhhuh. NMI received for unknown reason 21 on CPU 0.\r\n",
            "Uhhuh. NMI received for unknown reason 21 on CPU 0.",
        ),
        (
            b"[    8.123456][    T0] Dazed and confused, but trying to continue\r\n",
            "Dazed and confused, but ",
        ),
        (b"NMI: PCI system error (SERR) for reason b1 on CPU 0.\r\n", "NMI: PCI system error"),
        (b"[   15.000000] Kernel panic - not syncing: NMI: Not continuing\r\n", "Kernel panic - not syncing"),
        (b"\r\n!SAC>\r\nYour PC ran into a problem and needs to restart.\r\n", "Your PC ran into a problem"),
        (b"!!!! X64 Exception Type - 02(NMI - NMI Interrupt)  CPU\r\n", "!!!! X64 Exception Type - 02"),
        (b"*** STOP: 0x00000080 (0x004F4454\r\n", "*** STOP: 0x00000080"),
    ],
)
@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_nmi_is_seen_by_the_guests_own_words(text, evidence, pieces):
    assert find(NMI, text, pieces=pieces).evidence.startswith(evidence)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"root@ttylab:~# ls\r\n",
        b"grep: NMI received for unknown reason\r\n",
        b"echo Kernel panic - not syncing: joke\r\n",
        b"[    8.123456] Uhhuh. NMI received for unknown reason 21",  # no end yet
        b"Your PC works\r\n",
        b"*** STOP: 0x000000D1\r\n",
    ],
)
def test_nmi_is_not_seen_in_other_text(text):
    search = find(NMI, text)
    assert (search.evidence, search.hint, search.silent) == (None, None, not text)


def test_sysrq_is_seen_in_the_middle_of_a_prompt():
    assert find(expected_of_sysrq("h"), b"ttylab login: " + HELP).evidence.startswith("sysrq: HELP : log")
    assert find(expected_of_sysrq("h"), b"SysRq : HELP : log\n").evidence == "SysRq : HELP : log"


@pytest.mark.parametrize("text", [b"h", b"echo sysrq: HELP\r\n", b"tail: sysrq: x\r\n"])
def test_sysrq_is_not_seen_in_other_text(text):
    assert find(expected_of_sysrq("h"), text).evidence is None


@pytest.mark.parametrize(
    ("key", "line"), [("b", b"[    1.000000] sysrq: Resetting\r\n"), ("o", b"sysrq: Power Off\r\n")]
)
def test_sysrq_with_a_known_effect_waits_for_it_and_takes_its_line_when_nothing_else_comes(key, line):
    search = find(expected_of_sysrq(key), line)
    assert search.evidence is None
    assert search.hint.startswith("sysrq: ")


@pytest.mark.parametrize(("key", "event"), [("b", "RESET"), ("o", "SHUTDOWN"), ("c", "GUEST_PANICKED")])
def test_sysrq_with_a_known_effect_is_seen_by_the_event_of_qemu(key, event):
    search = ExpectedSearch(expected_of_sysrq(key))
    search.note([("RESUME", ""), ("STOP", "guest-x")])
    assert search.evidence is None
    search.note([("RESUME", ""), (event, "guest-x"), (event, "")])
    assert search.evidence == f"{event} (guest-x)"
    search = ExpectedSearch(expected_of_sysrq(key))
    search.note([(event, "")])
    assert search.evidence == event


def test_sysrq_c_is_seen_by_the_panic_and_a_refusal_ends_every_wait():
    assert find(expected_of_sysrq("c"), PANIC).evidence.startswith("Kernel panic")
    for key in "bcohm1":
        search = find(expected_of_sysrq(key), REFUSED)
        assert (search.evidence, search.refused) == ("sysrq: This sysrq operation is disabled.", True)
        assert search.hint is None


def test_effect_before_a_refusal_counts_and_an_old_kernel_refuses_in_its_own_way():
    search = find(expected_of_sysrq("h"), HELP + REFUSED)
    assert (search.evidence[:11], search.refused) == ("sysrq: HELP", False)
    assert find(expected_of_sysrq("m"), b"SysRq : This sysrq operation is disabled.\n").refused
    assert not find(expected_of_sysrq("m"), b"echo sysrq: This sysrq operation is disabled.\n").refused


@pytest.mark.parametrize(("key", "event"), [("b", "RESET"), ("c", "RESET"), ("o", "SHUTDOWN")])
def test_what_the_host_did_is_no_effect_of_a_system_request(key, event):
    search = ExpectedSearch(expected_of_sysrq(key))
    search.note([(event, "host-qmp-system-reset"), (event, "host-qmp-quit")])
    assert search.evidence is None


def test_reset_button_is_pushed_by_the_host():
    search = ExpectedSearch(RESET)
    search.note([("RESET", "host-qmp-system-reset")])
    assert search.evidence == "RESET (host-qmp-system-reset)"


def test_reset_is_no_text_and_no_other_event():
    search = find(RESET, b"RESET\r\nreset\r\n")
    search.note([("RESUME", ""), ("reset", "")])
    assert search.evidence is None


def test_evidence_has_nothing_that_a_terminal_obeys_and_an_end():
    said = b"Kernel panic - not syncing: a\x1b[2J\xff\\"
    assert find(NMI, said + b"\r\n").evidence == "Kernel panic - not syncing: a\\x1b[2J\\xff\\\\"
    assert len(find(NMI, said + b"x" * 1000 + b"\n").evidence) == EVIDENCE_MAX


def test_search_keeps_only_the_end_of_a_line_without_end():
    search = ExpectedSearch(NMI)
    for _ in range(100):
        search.feed(b"x" * 1000)
    assert len(search._line) <= 4096
