"""cmd and powershell in a channel: login, commands, and what real consoles lose."""

import base64
import re

import pytest

from tests.support.sac_guest import CMD_PROMPT, open_sac, soon

pytestmark = pytest.mark.qemu


@pytest.fixture
def rig(tmp_path):
    with open_sac(tmp_path) as opened:
        opened.reach_prompt()
        opened.enter_cmd()
        yield opened


def test_login_shows_the_password_as_stars(tmp_path):
    with open_sac(tmp_path, password="Geheim1", username="ada", domain="LAB") as rig:
        rig.reach_prompt()
        rig.open_channel()
        rig.press(b"ADA\r")
        rig.see("cmd.domain")
        rig.press(b"lab\r")
        rig.see("cmd.password")
        rig.press(b"Geheim1\r")
        assert rig.see("cmd.version").before == b"*******\r\n\r\n"
        assert b"Geheim1" not in rig.machine.transcript.read()


@pytest.mark.parametrize(
    "answers",
    [
        (b"Administrator", b"", b"wrong"),
        (b"nobody", b"", b"Passw0rd!"),
        (b"Administrator", b"ELSE", b"Passw0rd!"),
    ],
)
def test_login_is_refused_and_the_channel_closes(tmp_path, answers):
    with open_sac(tmp_path) as rig:
        rig.reach_prompt()
        rig.open_channel()
        for answer in answers:
            rig.press(answer + b"\r")
        rig.see("cmd.refused")
        rig.press(b" ")
        rig.expect(rb"Name:                  SAC\r\n")


ANSWERS = {
    b"echo RC=%ERRORLEVEL%": rb"RC=0\r\n",
    b"echo": rb"ECHO is on\.\r\n",
    b"echo.x": rb"x\r\n",
    b"hostname": rb"WIN-TTYLAB\r\n",
    b"ver": rb"\r\nMicrosoft Windows \[Version 10\.0\.20348\.587\]\r\n",
    b"whoami": rb"win-ttylab\\administrator\r\n",
    b"set NOPE": rb"Environment variable NOPE not defined\r\n",
    b"set A=b c": rb"",
    b"echo %A% %computername%": rb"b c WIN-TTYLAB\r\n",
    b"nope.exe": rb"'nope\.exe' is not recognized as an internal or external command,\r\noperable .*",
    b"cd nowhere": rb"The system cannot find the path specified\.\r\n",
    b"type nothing.txt": rb"The system cannot find the file specified\.\r\n",
    b"type C:\\windows\\win.ini": rb"; for 16-bit app support\r\n.*",
    b"ipconfig": rb".*IPv4 Address.*: 10\.0\.2\.15\r\n.*",
    b"tasklist": rb".*sacsess\.exe +1120 Services +0 +4,100 K\r\n.*",
    b"taskkill /F /PID 1592": rb"SUCCESS: The process with PID 1592 has been terminated\.\r\n",
    b"taskkill /IM nobody.exe": rb'ERROR: The process "nobody\.exe" not found\.\r\n',
    b"taskkill": rb"ERROR: Invalid syntax\..*",
    b"mode con cols=132 lines=50": rb"",
    b"mode con": rb".*Lines:          50\r\n    Columns:        132\r\n.*",
    b"dir C:\\": rb".*<DIR>          Windows\r\n.*1 File\(s\) .*",
    b"dir C:\\nothing": rb".*File Not Found\r\n",
    b"shutdown /a": rb"Unable to abort the system shutdown because no shutdown was in progress\.\(1116\)\r\n",
    b"shutdown": rb"Usage: shutdown.*",
    b"rem nothing": rb"",
    b"wevtutil qe System": rb"",
}


def test_commands_answer(rig):
    wrong = {}
    for line, pattern in ANSWERS.items():
        answer = rig.shell(line)
        if not re.fullmatch(pattern + rb"\r\n", answer, re.DOTALL):
            wrong[line] = answer
    assert wrong == {}


def test_error_level_is_that_of_the_last_command(rig):
    rig.shell(b"nope")
    assert rig.shell(b"echo RC=%ERRORLEVEL%") == b"RC=9009\r\n\r\n"
    assert rig.shell(b"nope & echo one && echo two || echo three").endswith(b"one\r\ntwo\r\n\r\n")
    rig.shell(b"ver")
    assert rig.shell(b"echo RC=%ERRORLEVEL%") == b"RC=0\r\n\r\n"


def test_directory_changes_and_the_prompt_follows(rig):
    rig.press(b"cd \\users\r")
    rig.expect(rb"C:\\users>")
    rig.press(b"cd ..\r")
    rig.expect(rb"C:\\>")
    rig.press(b"prompt $P$$ \r")
    rig.expect(rb"C:\\\$ ")
    rig.press(b"cd windows\r")
    rig.expect(rb"\r\nC:\\windows\$ ")
    rig.press(b"prompt a$Gb$_ready:\r")
    rig.expect(rb"\r\na>b\r\nready:")
    rig.press(b"prompt\r")
    rig.expect(rb"C:\\windows>")


def test_line_feed_is_no_enter_and_backspace_erases(rig):
    rig.press(b"echo ab\nc\x08d")
    rig.expect(rb"echo abc\x08 \x08d")
    rig.press(b"\x1b[A\r")
    rig.expect(rb"abd\[A\r\n\r\n")  # an arrow arrives as letters


def test_delete_erases_a_word_and_ctrl_c_the_line(rig):
    rig.press(b"echo one two\x7f\r")
    rig.expect(rb"\r\none \r\n")
    rig.expect(CMD_PROMPT)
    rig.press(b"echo never\x03")
    rig.expect(rb"\^C\r\n" + CMD_PROMPT)


def test_line_feed_can_be_enter(tmp_path):
    with open_sac(tmp_path, lf_ignored=False) as rig:
        rig.reach_prompt()
        rig.enter_cmd()
        rig.press(b"hostname\n")
        rig.expect(rb"\r\nWIN-TTYLAB\r\n")


def test_long_line_wraps_and_can_be_erased(rig):
    rig.press(b"echo " + b"x" * 100 + b"\x08" * 100 + b"short\r")
    rig.expect(rb"\r\nshort\r\n")
    screen = rig.screen()
    screen.update()
    assert "C:\\Windows\\system32>echo short" in screen.lines()


def test_screen_mode_draws_cells(tmp_path):
    with open_sac(tmp_path, profile="2019") as rig:
        rig.reach_prompt()
        rig.open_channel()
        rig.log_in()
        screen = rig.screen()
        screen.wait_for("C:\\Windows\\system32>", soon())
        rig.press(b"hostname\r")
        screen.wait_for(re.compile(r"^WIN-TTYLAB$", re.MULTILINE), soon())
        tail = rig.machine.transcript.read()
        assert b"\r\n" not in tail[tail.rindex(b"Use any other key") + 60 :]


def test_characters_after_the_prompt_are_eaten(tmp_path):
    with open_sac(tmp_path, eat_after_prompt=3, eat_ms=600_000) as rig:
        rig.reach_prompt()
        rig.enter_cmd()
        rig.press(b"xyzhostname\r")
        rig.expect(rb"hostname\r\nWIN-TTYLAB")


def test_doubled_characters_are_lost_when_they_come_fast(tmp_path):
    with open_sac(tmp_path, lose_doubled_ms=10_000, password="Pasword") as rig:
        rig.reach_prompt()
        rig.open_channel()
        rig.log_in(b"Password")
        rig.expect(CMD_PROMPT)
        rig.press(b"echo Access\r")
        rig.expect(rb"\r\nAces\r\n")


def test_echo_is_late_when_it_shall_be(tmp_path):
    with open_sac(tmp_path, echo_ms=20) as rig:
        rig.reach_prompt()
        rig.enter_cmd()
        rig.press(b"hostname\r")
        rig.expect(rb"hostname\r\nWIN-TTYLAB")


def encoded(script):
    return base64.b64encode(script.encode("utf-16-le"))


def test_powershell_runs_what_it_is_given(rig):
    rig.press(b"powershell -NoProfile -EncodedCommand " + encoded('Write-Output "ü ok"; hostname') + b"\r")
    rig.expect(rb"\r\n\? ok\r\nWIN-TTYLAB\r\n")
    rig.expect(CMD_PROMPT)
    assert b"not properly encoded" in rig.shell(b"powershell -enc ???")
    assert rig.shell(b"powershell -Command hostname") == b"WIN-TTYLAB\r\n\r\n"


def test_powershell_has_a_prompt_of_its_own(rig):
    rig.press(b"powershell\r")
    rig.see("cmd.powershell")
    prompt = rb"PS C:\\Windows\\system32> "
    for line, answer in {
        b'$ProgressPreference = "SilentlyContinue"': b"",
        b"$?": rb"True\r\n",
        b"Get-Nothing": rb"Get-Nothing : The term 'Get-Nothing' is not recognized[^\r]*\r\n",
        b"$LASTEXITCODE": rb"1\r\n",
        b"Get-Process": rb"[^$]*WmiPrvSE\.exe\r\n",
        b"Write-Output 'a b'": rb"a b\r\n",
    }.items():
        rig.expect(prompt)
        rig.press(line + b"\r")
        rig.expect(re.escape(line) + rb"\r\n" + answer)
    rig.expect(prompt)
    rig.press(b"exit\r")
    rig.expect(CMD_PROMPT)


def test_2003_has_no_powershell(tmp_path):
    with open_sac(tmp_path, profile="2003") as rig:
        rig.reach_prompt()
        rig.open_channel()
        rig.log_in()
        screen = rig.screen()
        screen.wait_for("C:\\WINDOWS\\system32>", soon())
        rig.press(b"powershell\r")
        screen.wait_for("'powershell' is not recognized", soon())


@pytest.mark.parametrize(
    ("line", "mark"), [(b"shutdown /s /t 0", "SHUTDOWN"), (b"shutdown -r -t 0", "RESET")]
)
def test_shutdown_ends_the_system(rig, line, mark):
    rig.press(line + b"\r")
    rig.see("sac.going_down")
    rig.wait_mark(mark)


def test_planned_shutdown_can_be_aborted(rig):
    rig.shell(b"shutdown /r /t 100")
    rig.shell(b"shutdown /a")
    assert rig.shell(b"echo RC=%ERRORLEVEL%") == b"RC=0\r\n\r\n"
