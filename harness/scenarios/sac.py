"""Dialogues with SAC: its commands, its ten channels, cmd and PowerShell, events, lost characters."""

from __future__ import annotations

from emulator.guest_text.sac import encode_powershell
from emulator.sac.knobs import Hang, SacKnobs
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Ask, Expect, Reach, Rejoin, Run, Send, Shows, View
from harness.scenarios import sac_phrases as say

_SHELL = Reach(stage=Stage.SHELL)


def _ask(command: str, *shows: tuple[str, str]) -> Ask:
    return Ask(command=command, shows=tuple(say.line(text, says) for text, says in shows))


_LAUNCHED = ("The Command Prompt session was successfully launched", "the channel is launched")
_PROCESS = (r"1592 notepad\.exe", "the process")
_TIME = r"Date: 01/02/2030  Time \(GMT\): 03:0"

SCENARIOS = (
    say.scenario(
        "boot",
        Reach(stage=Stage.KERNEL),
        Reach(stage=Stage.SAC),
        Reach(stage=Stage.CMD),
        _ask("id", ("Computer Name: +[A-Z]", "its name"), ("Build Number: +[0-9]", "its build")),
        Alive(),
    ),
    say.scenario(
        "help",
        *say.PROMPT,
        _ask(
            "?", ("lock +Lock access", "the lock command"), ("crashdump +Crash the", "the crashdump command")
        ),
        _ask("what", ("Unrecognized command", "the refusal")),
        _ask("k", ("A parameter was incorrect or missing", "the refusal of its arguments")),
        _ask("ch -?", ("Status Legend", "the legend"), ("ch -sn <name>", "the way to a channel")),
        Alive(),
    ),
    say.scenario(
        "paging",
        *say.PROMPT,
        _ask("t", _PROCESS),
        _ask("p", ("Paging is now OFF", "that paging is off")),
        _ask("t", _PROCESS),
        _ask("f", ("Thread information is now", "what is listed of threads")),
        Alive(),
    ),
    say.scenario(
        "kill",
        *say.PROMPT,
        _ask("l 1592", ("successfully lowered the process priority", "the lowered priority")),
        _ask("r 1592", ("successfully raised the process priority", "the raised priority")),
        _ask("m 1592 4", ("successfully limited the available process memory", "the limit")),
        _ask("k 1592", ("successfully terminated the process", "its end")),
        _ask("k 1592", ("SAC failed to terminate the process", "that it is gone")),
        Alive(),
    ),
    say.scenario(
        "time",
        *say.PROMPT,
        _ask("s 01/02/2030 03:04", ("Date: 01/02/2030", "the new date")),
        _ask("s", (_TIME, "the date that was set")),
        _ask("s 01/02/1979 03:04", ("The year is restricted from 1980 to 2099", "the refusal")),
        _ask("s", (_TIME, "the date as it was")),
        Alive(),
    ),
    say.scenario(
        "ip",
        *say.PROMPT,
        _ask("i", (r"Net: 11, Ip=10\.0\.2\.15", "the address")),
        _ask("i 11 10.9.8.7 255.255.0.0 10.9.0.1", ("SAC successfully set the IP Address", "that it is set")),
        _ask("i", (r"Net: 11, Ip=10\.9\.8\.7  Subnet=255\.255\.0\.0", "the new address")),
        _ask("i 11 10.9.8.700 255.255.0.0 10.9.0.1", ("The specified IP address is invalid", "the refusal")),
        Alive(),
    ),
    say.scenario(
        "channels",
        *say.PROMPT,
        *(_ask("cmd", _LAUNCHED) for _ in range(9)),
        _ask("cmd", ("The maximum number of channels has been reached", "the refusal")),
        _ask("ch", (r"9 \(AV\) +Cmd0009", "the ninth channel")),
        _ask("ch -cn Cmd0005"),
        _ask("cmd", _LAUNCHED),
        _ask("ch", (r"\(AV\) +Cmd0010", "the name that was not used before")),
        _ask("ch -ci 0", ("The SAC channel cannot be closed", "the refusal")),
        _ask("ch -si 99", ("no channel present at the specified index", "that there is none")),
        Alive(),
    ),
    say.scenario(
        "lock",
        *say.PROMPT,
        _ask("lock", ("Locked access to all Command Prompt channels", "the lock")),
        _ask("cmd", ("Launching of Command Prompt channels is disabled", "the refusal")),
        Alive(),
    ),
    say.scenario(
        "cmd",
        _SHELL,
        Run(command="ver", shows=say.line("Microsoft Windows .Version", "its version")),
        Run(command="echo a word that has llamas", shows=say.line("a word that has llamas", "it whole")),
        Run(command="nonsense", status=9009),
        Alive(),
    ),
    say.scenario(
        "powershell",
        _SHELL,
        Run(
            command=encode_powershell("Write-Output 'it works'"),
            shows=say.line("it works", "what the script wrote"),
        ),
        Alive(),
    ),
    say.scenario(
        "login-refused",
        Reach(stage=Stage.LOGIN),
        Send(line="Administrator"),
        Expect(effects=(Shows(pattern="Domain  :", says="it asks for the domain", view=View.PLAIN),)),
        Send(line=""),
        Expect(effects=(Shows(pattern="Password: ", says="it asks for the password", view=View.PLAIN),)),
        Send(line="wrong", echo=False),
        Expect(effects=(say.line("Unable to authenticate", "the refusal"),)),
        Alive(),
        _SHELL,
        Run(command="ver"),
        Alive(),
    ),
    say.scenario("late", _SHELL, Rejoin(), Alive()),
    say.scenario(
        "events",
        Reach(stage=Stage.SAC),
        _ask("id", ("Computer Name: +[A-Z]", "its name")),
        Alive(),
        knobs=SacKnobs(event_while_typing=1),
    ),
    say.scenario(
        "eaten",
        _SHELL,
        Run(command="echo whole", shows=say.line("whole", "it whole")),
        Alive(),
        knobs=SacKnobs(eat_after_prompt=2, eat_ms=100),
    ),
    say.scenario(
        "doubled",
        _SHELL,
        Run(command="echo access", shows=say.line("access", "both letters")),
        Alive(),
        knobs=SacKnobs(lose_doubled_ms=100),
    ),
    say.scenario(
        "setup-channels",
        *say.PROMPT,
        _ask("ch", (r"\(AR\) +setuplog\.txt", "setup's log"), (r"\(AR\) +setupact\.log", "setup's actions")),
        Alive(),
        knobs=SacKnobs(setup_channels=True),
    ),
    say.scenario(
        "idle",
        _SHELL,
        Expect(effects=(say.line("<name>SAC</name>", "SAC has the terminal again"),)),
        Alive(),
        knobs=SacKnobs(idle_timeout_s=2),
    ),
    say.scenario(
        "cmd-timeout",
        *say.PROMPT,
        _ask("cmd", ("Timeout: Unable to launch a Command Prompt", "why there is none")),
        Alive(),
        knobs=SacKnobs(hang=Hang.CMD_TIMEOUT),
    ),
    say.scenario(
        "cmd-fails",
        *say.PROMPT,
        _ask("cmd", ("Failed with status 0xC0000001", "why there is none")),
        Alive(),
        knobs=SacKnobs(hang=Hang.CMD_FAILS),
    ),
)
