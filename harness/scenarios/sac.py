"""Dialogues with SAC: its commands, its ten channels, cmd and PowerShell, events, lost characters."""

from __future__ import annotations

from emulator.guest_text.sac import encode_powershell
from emulator.sac.knobs import Hang, SacKnobs
from harness.scenario.scenario import Scenario, Severity
from harness.scenario.stages import Stage
from harness.scenario.steps import Alive, Ask, Expect, Reach, Rejoin, Run, Send, Shows, Step, View
from harness.scenarios import sac_phrases as say

_DEFAULT = SacKnobs()
_SHELL = Reach(stage=Stage.SHELL)


def _talk(
    name: str,
    title: str,
    description: str,
    *steps: Step,
    knobs: SacKnobs = _DEFAULT,
    modules: frozenset[str] = frozenset(),
    severity: Severity = Severity.NORMAL,
) -> Scenario:
    return say.scenario(
        name,
        title,
        description,
        *steps,
        severity=severity,
        knobs=knobs,
        modules=say.KNOBS if knobs != _DEFAULT else modules,
    )


def _ask(command: str, *shows: tuple[str, str]) -> Ask:
    return Ask(command=command, shows=tuple(say.line(text, says) for text, says in shows))


_LAUNCHED = ("The Command Prompt session was successfully launched", "the channel is launched")
_PROCESS = (r"1592 notepad\.exe", "the process")
_TIME = r"Date: 01/02/2030  Time \(GMT\): 03:0"

SCENARIOS = (
    _talk(
        "boot",
        "A SAC guest boots to its prompt and says what it is",
        "Boots, waits for machine-info and the SAC prompt, and asks `id`: name, GUID and build must be "
        "those that the guest announced. Nothing else can be judged without this.",
        Reach(stage=Stage.KERNEL),
        Reach(stage=Stage.SAC),
        Reach(stage=Stage.CMD),
        _ask("id", ("Computer Name: +[A-Z]", "its name"), ("Build Number: +[0-9]", "its build")),
        Alive(),
        severity=Severity.BLOCKER,
    ),
    _talk(
        "help",
        "SAC lists its commands, page by page, and refuses what it does not know",
        "Asks for the list of commands, which is longer than a page on some releases, then gives a command "
        "that does not exist and one without its arguments. An operator relies on these three answers.",
        *say.PROMPT,
        _ask(
            "?", ("lock +Lock access", "the lock command"), ("crashdump +Crash the", "the crashdump command")
        ),
        _ask("what", ("Unrecognized command", "the refusal")),
        _ask("k", ("A parameter was incorrect or missing", "the refusal of its arguments")),
        _ask("ch -?", ("Status Legend", "the legend"), ("ch -sn <name>", "the way to a channel")),
        Alive(),
    ),
    _talk(
        "paging",
        "Long output of SAC comes page by page, and all at once without paging",
        "Asks for the list of processes with paging on, where each page waits for Enter, and with paging "
        "off. Both must show the last process: a driver that ignores the pages hangs here.",
        *say.PROMPT,
        _ask("t", _PROCESS),
        _ask("p", ("Paging is now OFF", "that paging is off")),
        _ask("t", _PROCESS),
        _ask("f", ("Thread information is now", "what is listed of threads")),
        Alive(),
        modules=say.KNOBS,  # the process is the SAC guest's
    ),
    _talk(
        "kill",
        "SAC ends a process and changes priorities and memory of others",
        "Lowers, raises and limits a process, kills it, and kills it once more, which must fail: this is "
        "what SAC is for on a server that is out of memory.",
        *say.PROMPT,
        _ask("l 1592", ("successfully lowered the process priority", "the lowered priority")),
        _ask("r 1592", ("successfully raised the process priority", "the raised priority")),
        _ask("m 1592 4", ("successfully limited the available process memory", "the limit")),
        _ask("k 1592", ("successfully terminated the process", "its end")),
        _ask("k 1592", ("SAC failed to terminate the process", "that it is gone")),
        Alive(),
        modules=say.KNOBS,
    ),
    _talk(
        "time",
        "SAC sets the clock within the years that it accepts",
        "Sets date and time, reads them again, and tries the year 1979, which must be refused: a wrong "
        "clock can make logins fail on a server that is not reachable in another way.",
        *say.PROMPT,
        _ask("s 01/02/2030 03:04", ("Date: 01/02/2030", "the new date")),
        _ask("s", (_TIME, "the date that was set")),
        _ask("s 01/02/1979 03:04", ("The year is restricted from 1980 to 2099", "the refusal")),
        _ask("s", (_TIME, "the date as it was")),
        Alive(),
    ),
    _talk(
        "ip",
        "SAC lists and sets the network's addresses",
        "Lists the addresses, sets others, lists them again, and gives an invalid one, which must be "
        "refused: this is the way back to a server whose network was misconfigured.",
        *say.PROMPT,
        _ask("i", (r"Net: 11, Ip=10\.0\.2\.15", "the address")),
        _ask("i 11 10.9.8.7 255.255.0.0 10.9.0.1", ("SAC successfully set the IP Address", "that it is set")),
        _ask("i", (r"Net: 11, Ip=10\.9\.8\.7  Subnet=255\.255\.0\.0", "the new address")),
        _ask("i 11 10.9.8.700 255.255.0.0 10.9.0.1", ("The specified IP address is invalid", "the refusal")),
        Alive(),
        modules=say.KNOBS,
    ),
    _talk(
        "channels",
        "SAC has ten channels, numbers them without reuse, and closes them",
        "Opens nine CMD channels beside SAC's own; the eleventh channel must be refused. Closes one and "
        "opens another, which must get a new name. SAC's own channel can't be closed.",
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
    _talk(
        "lock",
        "SAC locks its CMD channels",
        "Gives `lock`, after which a CMD channel must be refused until the next boot: this is what an "
        "operator does before leaving a console that others can reach.",
        *say.PROMPT,
        _ask("lock", ("Locked access to all Command Prompt channels", "the lock")),
        _ask("cmd", ("Launching of Command Prompt channels is disabled", "the refusal")),
        Alive(),
    ),
    _talk(
        "cmd",
        "A CMD channel takes a login and runs commands with their status",
        "Opens a channel, logs in, runs a command that succeeds and one that does not exist, and goes "
        "back to SAC. Output and status must be the command's own, though cmd draws its screen on older "
        "releases.",
        _SHELL,
        Run(command="ver", shows=say.line("Microsoft Windows .Version", "its version")),
        Run(command="echo a word that has llamas", shows=say.line("a word that has llamas", "it whole")),
        Run(command="nonsense", status=9009),
        Alive(),
        severity=Severity.CRITICAL,
    ),
    _talk(
        "powershell",
        "A CMD channel runs PowerShell by an encoded command",
        "Runs a script by -encodedCommand, which neither cmd's quoting nor lost characters can corrupt, and "
        "reads its output and status.",
        _SHELL,
        Run(
            command=encode_powershell("Write-Output 'it works'"),
            shows=say.line("it works", "what the script wrote"),
        ),
        Alive(),
        modules=frozenset({"has_powershell"}),
    ),
    _talk(
        "login-refused",
        "A wrong password closes the channel, and the next login works",
        "Logs in with a wrong password: the guest must say so and close the channel. Then opens another "
        "channel and logs in with the right one.",
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
        severity=Severity.CRITICAL,
    ),
    _talk(
        "late",
        "A client that connects late finds the prompt of a silent console",
        "Logs in, then forgets everything the console has shown, like a client that connects late: SAC "
        "keeps no state for it and sends nothing by itself. The prompt must still be found.",
        _SHELL,
        Rejoin(),
        Alive(),
    ),
    _talk(
        "events",
        "An event in the middle of a typed command does no harm",
        "Makes an event interrupt a command after its first character. SAC keeps what was typed but does "
        "not show it again, so the answer must still be to the whole command.",
        Reach(stage=Stage.SAC),
        _ask("id", ("Computer Name: +[A-Z]", "its name")),
        Alive(),
        knobs=SacKnobs(event_while_typing=1),
    ),
    _talk(
        "eaten",
        "Characters that a fresh prompt eats are typed again",
        "Uses a guest whose cmd loses the first characters after each prompt, as real ones do, and runs a "
        "command. Enter may be pressed only once the line is complete.",
        _SHELL,
        Run(command="echo whole", shows=say.line("whole", "it whole")),
        Alive(),
        knobs=SacKnobs(eat_after_prompt=2, eat_ms=100),
    ),
    _talk(
        "doubled",
        "Doubled characters that are lost are typed again, more slowly",
        "Uses a guest whose cmd loses the second of two equal characters that come fast, as 2016 and "
        "2019 do, and runs a command with several.",
        _SHELL,
        Run(command="echo access", shows=say.line("access", "both letters")),
        Alive(),
        knobs=SacKnobs(lose_doubled_ms=100),
    ),
    _talk(
        "setup-channels",
        "The setup logs have channels of their own",
        "Uses a guest with the three raw channels of Windows Setup. They must be listed as raw channels, "
        "and leave room for fewer others.",
        *say.PROMPT,
        _ask("ch", (r"\(AR\) +setuplog\.txt", "setup's log"), (r"\(AR\) +setupact\.log", "setup's actions")),
        Alive(),
        knobs=SacKnobs(setup_channels=True),
    ),
    _talk(
        "idle",
        "A CMD channel that nobody uses is closed",
        "Logs in to a channel of a guest that closes it after two idle seconds. The terminal must come "
        "back to SAC, which an operator on Azure sees after a pause.",
        _SHELL,
        Expect(effects=(say.line("<name>SAC</name>", "SAC has the terminal again"),)),
        Alive(),
        knobs=SacKnobs(idle_timeout_s=2),
    ),
    *(
        _talk(
            f"cmd-{name}",
            f"A CMD channel that {what} is reported as SAC reports it",
            f"Asks for a CMD channel of a guest where it {what}. The answer must be SAC's own message, and "
            "SAC must go on answering: the rest of the console still works.",
            *say.PROMPT,
            _ask("cmd", (text, "why there is none")),
            Alive(),
            knobs=SacKnobs(hang=hang),
        )
        for name, what, text, hang in (
            (
                "timeout",
                "is not launched in time",
                "Timeout: Unable to launch a Command Prompt",
                Hang.CMD_TIMEOUT,
            ),
            ("fails", "can't be created", "Failed with status 0xC0000001", Hang.CMD_FAILS),
        )
    ),
)
