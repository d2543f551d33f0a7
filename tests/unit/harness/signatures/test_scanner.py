"""Tests of harness/signatures/scanner.py on the texts that matter most."""

import pytest

from emulator.errors import StateError
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import load_profile
from harness.signatures.model import ALWAYS_ARMED
from harness.signatures.rules import shipped_rules
from harness.signatures.scanner import Scanner

PANIC = b"[    2.000000] Kernel panic - not syncing: sysrq triggered crash\r\n"
OOPS = (
    b"[    5.000000] BUG: kernel NULL pointer dereference, address: 0000000000000000\r\n"
    b"[    5.000001] Oops: 0002 [#1] PREEMPT SMP\r\n"
    b"[    5.000002] RIP: 0010:memset+0x1/0x2\r\n"
    b"[    5.000003] Call Trace:\r\n"
    b"[    5.000004]  ? guessed+0x1/0x2\r\n"
    b"[    5.000005]  write_sysrq_trigger.cold+0x1f/0x2f\r\n"
    b"[    5.000006] ---[ end trace 0000000000000000 ]---\r\n"
)


def scan(data, rules=None):
    scanner = Scanner(rules)
    scanner.feed(data)
    return scanner.finish()


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"error: no such device: ab-cd.\r\nEntering rescue mode...\r\ngrub rescue> ", "grub-rescue"),
        (b"  Minimal BASH-like line editing is supported. For the\r\n\x1b[7;1Hgrub> ", "grub-shell"),
        (b"UEFI Interactive Shell v2.2\r\n\r\n\x1b[1mShell> ", "uefi-shell"),
        (b"No bootable device.\r\n", "no-boot-device"),
        (b"Enter 'help' for a list of built-in commands.\r\n\r\n(initramfs) ", "initramfs-shell"),
        (b"dracut:/# ", "dracut-shell"),
        (b"Give root password for maintenance\r\n(or press Control-D to continue): ", "maintenance-login"),
        (b'You are in emergency mode. After logging in, type "journalctl -xb"\r\n', "emergency-mode"),
        (b"[    1.5] systemd[1]: Freezing execution.\r\n", "init-frozen"),
        (PANIC, "panic"),
        (b"[    2.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\r\n", "panic"),
        (
            b"[    2.0] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n",
            "panic",
        ),
        (b"[    2.0] Kernel panic - not syncing: No working init found.  Try passing init=\r\n", "panic"),
        (b"[   25.1] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [sh:1]\r\n", "soft-lockup"),
        (b"[   25.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\r\n", "rcu-stall"),
        (b"[   25.1] rcu: INFO: rcu_sched self-detected stall on CPU\r\n", "rcu-stall"),
        (b"[   25.1] INFO: task sh:12 blocked for more than 120 seconds.\r\n", "hung-task"),
        (b"\r\n!SAC>", "sac-crash-prompt"),
        (b"Your device ran into a problem and needs to restart.\r\n", "bugcheck"),
    ],
)
def test_scanner_fires_an_armed_rule_at_once(data, rule):
    found = Scanner().feed(data)
    assert [finding.rule for finding in found] == [rule]
    assert rule in ALWAYS_ARMED


@pytest.mark.parametrize(
    "data",
    [
        b"[    1.0] NMI watchdog: Perf NMI watchdog permanently disabled\r\n",
        b"[    1.0] NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.\r\n",
        b"RIP: 0033:0x4512c9\r\n",
        b"[    5.0] RIP: 0010:native_safe_halt+0x6/0x10\r\n",
        b"type grub> to get a prompt\r\ngrub> is what GRUB shows\r\n",
        b"if it says grub rescue> you are lost\r\n",
        b"see the (initramfs) prompt\r\n",
        b"[    0.0] Command line: oops=panic panic=1 softlockup_panic=1\r\n",
        b"[    5.0] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---\r\n",
        b"[    5.0] traps: a.out[12] general protection fault ip:401126 sp:7ffd error:0 in a.out\r\n",
        b"[    0.1] rcu: Hierarchical RCU implementation.\r\n[    0.2] rcu_preempt kthread\r\n",
        b"SAC>",
        b"[    1.2] Memory cgroup out of memory: Killed process 12 (sh)\r\n",
    ],
)
def test_scanner_finds_nothing_in_text_that_others_take_for_a_panic(data):
    assert scan(data) == ()


def test_scanner_refines_the_title_when_more_lines_come():
    scanner = Scanner()
    first, rest = OOPS.split(b"\n", 1)
    (early,) = scanner.feed(first + b"\n")
    assert early.title == "BUG: unable to handle kernel NULL pointer dereference"
    assert not early.corrupted
    assert scanner.feed(rest) == []
    (final,) = scanner.finish()
    assert final.title == "BUG: unable to handle kernel NULL pointer dereference in write_sysrq_trigger"
    assert (final.start, final.end) == (0, len(OOPS) - 2)


def test_scanner_calls_a_report_without_trace_corrupted():
    (finding,) = scan(OOPS.split(b"Call Trace")[0])
    assert finding.corrupted
    assert finding.corrupted_reason == "no function to blame in the report"


def test_scanner_calls_the_panic_after_an_oops_a_suppressed_but_fatal_consequence():
    oops, panic = scan(OOPS + b"[    6.0] Kernel panic - not syncing: Fatal exception\r\n")
    assert (oops.suppressed, oops.fatal) == (False, False)
    assert (panic.suppressed, panic.fatal) == (True, True)


def test_panic_is_a_consequence_only_of_its_own_cause():
    """Whatever else was found before it, a panic is what ended the boot."""
    fatal = b"[    6.0] Kernel panic - not syncing: Fatal exception\r\n"
    nmi = b"[    5.0] Uhhuh. NMI received for unknown reason 30 on CPU 0.\r\n"
    hang = b"[    5.0] INFO: task sh:12 blocked for more than 120 seconds.\r\n"
    hung = b"[    6.0] Kernel panic - not syncing: hung_task: blocked tasks\r\n"
    assert [finding.suppressed for finding in scan(nmi + fatal)] == [False, False]
    assert [finding.suppressed for finding in scan(hang + hung)] == [False, False]


@pytest.mark.parametrize("code", ["0x00000100", "0x0000000b", "0x00007f00"])
def test_init_that_ends_is_never_suppressed(code):
    line = f"[    2.0] Kernel panic - not syncing: Attempted to kill init! exitcode={code}\r\n".encode()
    (finding,) = scan(line)
    assert (finding.suppressed, finding.fatal) == (False, True)
    assert not scan(OOPS + line)[-1].suppressed


def test_scanner_reports_the_same_panic_when_nothing_came_before():
    (panic,) = scan(b"[    6.0] Kernel panic - not syncing: Fatal exception\r\n")
    assert not panic.suppressed


def test_scanner_reads_only_the_lines_of_the_cpu_that_prints():
    lines = OOPS.replace(b"] ", b"][  T99] ").splitlines(keepends=True)
    other = b"[    5.0][  C1] Call Trace:\r\n[    5.0][  C1]  innocent+0x1/0x2\r\n"
    (finding,) = scan(other.join(lines))
    assert finding.title.endswith(" in write_sysrq_trigger")


def test_scanner_keeps_the_whole_span_of_an_opening():
    data = (
        b"before\r\n[    1.0] ------------[ cut here ]------------\r\n"
        b"[    1.0] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\r\n"
    )
    (finding,) = scan(data)
    assert finding.start == data.index(b"[    1.0] ---")


def test_scanner_span_of_a_prompt_ends_with_it():
    data = b"\r\n(initramfs) cat /proc/cmdline\r\n"
    (finding,) = scan(data)
    assert data[finding.start : finding.end] == b"(initramfs) "


def test_scanner_reports_a_prompt_once_in_a_boot():
    scanner = Scanner()
    assert len(scanner.feed(b"(initramfs) ls\r\n(initramfs) ")) == 1
    scanner.cut(27 + 1)
    assert len(scanner.feed(b"(initramfs) ")) == 1


def test_cut_separates_the_findings_of_two_boots():
    scanner = Scanner()
    scanner.feed(PANIC)
    (before,) = scanner.cut(len(PANIC))
    scanner.feed(PANIC)
    assert [finding.start for finding in scanner.findings] == [0, len(PANIC)]
    assert [finding.start for finding in scanner.boot_findings] == [len(PANIC)]
    assert before.start == 0


def test_cut_ends_the_report_of_the_boot_before():
    first, rest = OOPS.split(b"\n", 1)
    scanner = Scanner()
    scanner.feed(first + b"\n")
    (finding,) = scanner.cut(len(first) + 1)
    scanner.feed(rest)
    assert finding.corrupted
    assert scanner.findings[0] == finding


def test_cut_inside_the_last_line_scans_its_rest_as_the_new_boot():
    scanner = Scanner()
    scanner.feed(b"half a lin(initramfs) ")
    assert scanner.findings == ()
    scanner.cut(10)
    assert [finding.start for finding in scanner.boot_findings] == [10]


def test_cut_says_no_to_a_place_before_the_last_line():
    scanner = Scanner()
    scanner.feed(b"one\ntwo")
    with pytest.raises(StateError, match="a cut at 2 is too late; the scanner can cut from 4 to 7"):
        scanner.cut(2)


def test_findings_after_a_start_offset_are_in_stream_offsets():
    scanner = Scanner(start=1000)
    (finding,) = scanner.feed(PANIC)
    assert (finding.start, finding.end) == (1000, 1000 + len(PANIC) - 2)


def test_scanner_stops_opening_reports_of_a_guest_that_warns_for_ever():
    line = b"[    1.0] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\r\n"
    assert len(scan(line * 700)) == 500
    assert [finding.rule for finding in scan(line * 700 + PANIC)][-1] == "panic"


def test_scanner_escapes_what_the_guest_puts_into_a_title():
    (finding,) = scan(b"[    2.0] Kernel panic - not syncing: \x1b]0;owned\x07\xfe \xe2\x80\xae\\x1b bad\r\n")
    assert finding.title == "kernel panic: \\xfe \\u202e\\\\x1b bad"


def test_bugcheck_takes_its_name_from_the_lines_below():
    data = (
        b'<INSTANCE CLASSNAME="BLUESCREEN">\r\n<PROPERTY NAME="STOPCODE" TYPE="string"><VALUE>"0xD1"'
        b"</VALUE></PROPERTY><machine-info>\r\n</machine-info>\r\n\r\n!SAC>\r\n"
        b"Your PC ran into a problem and needs to restart.\r\n"
        b"If you call a support person, give them this info:\r\nDRIVER_IRQL_NOT_LESS_OR_EQUAL\r\n\r\n"
        b"myfault.sys\r\n"
    )
    (finding,) = scan(data)
    assert (finding.title, finding.kind) == ("bugcheck 0xD1: DRIVER_IRQL_NOT_LESS_OR_EQUAL", "BUGCHECK")
    assert finding.alt_titles == ("bugcheck: DRIVER_IRQL_NOT_LESS_OR_EQUAL",)


@pytest.mark.parametrize("name", PROFILES)
def test_bugcheck_of_every_release_is_titled_with_code_and_name(name):
    profile = load_profile(name)
    texts = [
        profile.texts["xml.head"].wire,
        profile.texts["xml.bugcheck_open"].wire.replace(b"%X", b"80"),
        b"<machine-info>\r\n</machine-info>\r\n",
        profile.texts["xml.bugcheck_close"].wire + b"\r\n" + profile.texts["bugcheck.prompt"].wire,
        profile.texts["bugcheck.problem"].wire,
        profile.texts["bugcheck.give"].wire.replace(b"%s", b"NMI_HARDWARE_FAILURE"),
        b"0x00000000004F4454\r\n",
    ]
    (finding,) = scan(b"".join(texts))
    assert finding.title == "bugcheck 0x80: NMI_HARDWARE_FAILURE"


def test_bugcheck_that_is_cut_off_is_titled_with_its_code():
    (finding,) = scan(
        b'<INSTANCE CLASSNAME="BLUESCREEN">\r\n<PROPERTY NAME="STOPCODE"><VALUE>"0xE2"</VALUE>\r\n'
    )
    assert finding.title == "bugcheck 0xE2"


def test_nmi_that_the_guest_survives_is_found_and_not_fatal():
    data = (
        b"[    7.0] Uhhuh. NMI received for unknown reason 30 on CPU 0.\r\n"
        b"[    7.0] Dazed and confused, but trying to continue\r\n"
    )
    (finding,) = scan(data)
    assert (finding.kind, finding.fatal) == ("NMI_UNKNOWN", False)


def test_every_armed_rule_exists():
    assert {rule.id for rule in shipped_rules().rules} >= ALWAYS_ARMED


def test_every_fatal_rule_is_armed():
    assert {rule.id for rule in shipped_rules().rules if rule.fatal} <= ALWAYS_ARMED


def test_line_of_an_earlier_report_ends_what_began_in_between():
    usercopy = b"[    1.000002] usercopy: Kernel memory overwrite attempt detected to kernel text\r\n"
    between = b"[    1.000006] BUG: KASAN: use-after-free in qux+0x1/0x2\r\n"
    own = b"[    1.000002] kernel BUG at mm/x.c:12!\r\n"
    rest = b"[    1.000006] Read of size 8 at addr 1234567812345678 by task x/1\r\n"
    whole = {(one.rule, one.title) for one in scan(usercopy + between + own + rest)}
    assert ("kasan", "KASAN: use-after-free in qux") in whole
    assert ("kasan", "KASAN: use-after-free in qux") in {
        (one.rule, one.title) for one in scan(between + own + rest)
    }
    assert "kernel-bug" not in {rule for rule, _ in whole}
