"""What a guest waits for: prompts of many systems, and text that only looks like one."""

import pytest

from emulator.guest_text.linux import LinuxProfile
from harness.guests.prompts import Prompt, find_prompt, is_prompt

PROFILE = LinuxProfile()
PROMPTS = {
    b"\r\nUbuntu 24.04 LTS vm ttyS0\r\n\r\nvm login: ": Prompt.LOGIN,
    b"FreeBSD/amd64 (vm) (ttyu0)\r\n\r\nlogin: ": Prompt.LOGIN,
    b"\x1b[H\x1b[J\x1b[1;31mvm\x1b[0m login: \x1b[0m": Prompt.LOGIN,
    b"vm login: root (automatic login)\r\n\r\n[root@vm ~]# ": Prompt.SHELL,
    b"Welcome to fish\r\n\rroot@vm ~> \x1b[K\r\x1b[12C": Prompt.SHELL,
    b"Please press Enter to activate this console.\r\n": Prompt.ENTER,
    b"vm login: \r\n[  OK  ] Started a late unit.\r\n": Prompt.LOGIN,
}
AFTER_A_NAME = {
    b"\r\nPassword: ": Prompt.PASSWORD,
    b"\r\nroot's Password:": Prompt.PASSWORD,
    b"\r\nPasswort: ": Prompt.PASSWORD,
    "\r\nMot de passe\u00a0: ".encode(): Prompt.PASSWORD,
    "\r\n密码：".encode(): Prompt.PASSWORD,
    b"\r\nPassword for root@vm: ": Prompt.PASSWORD,
    b"\r\n\r\nLogin incorrect\r\nvm login: ": Prompt.REFUSED,
    b"\r\nAuthentication failure\r\n": Prompt.REFUSED,
    b"\r\nYou are required to change your password immediately\r\nCurrent password: ": Prompt.RENEWAL,
    b"\r\n(current) UNIX password: ": Prompt.RENEWAL,
    b"\r\nLast login: Mon Nov 30 on ttyS0\r\n[root@vm ~]# ": Prompt.SHELL,
    b"\r\nvm:~ # ": Prompt.SHELL,
    b"\r\n\x1b[?2004h\x1b]0;root@vm: ~\x07\x1b[01;32mroot@vm\x1b[00m:\x1b[01;34m~\x1b[00m# ": Prompt.SHELL,
    b"\r\n\x1b]3008;start=1;type=shell\x1b\\root@vm:~# ": Prompt.SHELL,
    b"\r\n\x1b[1m\x1b[7m%\x1b[27m\x1b[1m\x1b[0m      \r \r\rvm% \x1b[K": Prompt.SHELL,
    b"\r\n\x1b[?2004h\rroot@vm ~> \x1b[K\r\x1b[12C": Prompt.SHELL,
    b"\r\n\xe2\x9d\xaf ": Prompt.SHELL,
    b"\r\n# ": Prompt.SHELL,
    b"\r\nvm login: ": Prompt.LOGIN,
}


@pytest.mark.parametrize("text", PROMPTS)
def test_prompt_before_anybody_has_logged_in(text):
    assert find_prompt(text, PROFILE, logging_in=False).what is PROMPTS[text]


@pytest.mark.parametrize("text", AFTER_A_NAME)
def test_prompt_after_a_name(text):
    assert find_prompt(text, PROFILE, logging_in=True).what is AFTER_A_NAME[text]


@pytest.mark.parametrize(
    "text",
    [
        b"grub> ",
        b"U-Boot# ",
        b"Shell> ",
        b"Checking disks: 45%",
        b"Please enter passphrase for disk vda3: ",
        b"Last login: ",
        b"login: root (automatic login)\r\n",
    ],
)
def test_nothing_is_typed_at_what_is_no_prompt_of_a_booted_guest(text):
    assert find_prompt(text, PROFILE, logging_in=False) is None


def test_question_that_only_a_person_can_answer_stays_one():
    assert find_prompt(b"\r\nVerification code: ", PROFILE, logging_in=True) is None


def test_certain_prompts_are_answered_sooner_than_others():
    rests = [
        find_prompt(text, PROFILE, logging_in=True).rest_s
        for text in (b"\r\nroot@vm:~# ", b"\r\nvm> ", b"\r\nready", b"\r\n\r\n")
    ]
    assert rests == sorted(set(rests))


def test_known_prompt_behind_a_command_ends_where_it_ends():
    text = b"\x1b[?2004hroot@vm:~# more"
    found = is_prompt(text, PROFILE)
    assert (found.what, found.rest_s, text[: found.end]) == (b"root@vm:~# ", 0.0, b"\x1b[?2004hroot@vm:~# ")


@pytest.mark.parametrize("text", [b"vm login: still busy\r\n", b"\r\nPassword: still busy\r\n"])
def test_prompt_of_a_guest_that_is_never_silent_stays_one(text):
    found = find_prompt(text, PROFILE, logging_in=b"login" not in text)
    assert found.what in {Prompt.LOGIN, Prompt.PASSWORD}
    assert found.stays
    later = find_prompt(text, PROFILE, logging_in=True, answered=True)
    assert later is None or later.rest_s > 4
