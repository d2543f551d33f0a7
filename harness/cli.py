"""The command line: a table of commands, each imported only when it is called."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from emulator.errors import EmulatorError, SpecError, StateError
from emulator.guest_text.printable import visible
from emulator.program import called
from emulator.work import listening
from harness.commands import spaced
from harness.run.interrupts import unwinding
from harness.scenario.errors import GuestError, HarnessError, ServiceRefused
from harness.scenario.exit_codes import (
    EXIT_BROKEN,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_PASSED,
    EXIT_REFUSED,
    EXIT_USAGE,
)

NO_HELP = {"help": False}
"""Default of --help. Typer's own is None, which pydantic then converts, and importing pydantic takes longer
than everything else at start-up (Typer 0.29)."""
COMPLETION_VARIABLE = "_TTYLAB_COMPLETE"
"""Set by the shell when it asks for completions; Typer's name for it."""

EXAMPLES = """Examples:
  ttylab run                      run the default matrix, write the report
  ttylab run --kernel bzImage     its Linux cells on your own kernel; --disk server.qcow2 on your own disk
  ttylab run -k "nmi and q35"     only the cells whose id matches
  ttylab scenarios list           what can be run
  ttylab boot bookworm            boot a guest and type on its console
  ttylab serve                    a local Azure with serial consoles, for az, SDKs and the browser
  ttylab scan console.txt         find panics and other failures in a log
  ttylab doctor                   what this machine can and cannot do

Exit codes: 0 all passed, 1 something failed, 2 usage, 3 the lab is broken, 4 a cloud service said no.
"""


COMMANDS: dict[str, str] = {
    "run": "Run a matrix of scenarios on real guests.",
    "init": "Write a lab.toml, a matrix, a scenario and a workflow into a repository of yours.",
    "test": "Run ttylab's own tests (tox).",
    "scenarios": "List and describe the scenarios.",
    "images": "List, build, verify and prune guest images.",
    "snapshots": "List, build and prune the snapshots that scenarios start from.",
    "serve": "Start a local cloud: VMs with serial consoles, as in Azure.",
    "boot": "Boot a guest and attach this terminal to it.",
    "attach": "Join the console of a running machine or of a port.",
    "qmp": "Send a QMP command to a running machine.",
    "dump": "Write a running guest's memory to a file, for crash and gdb.",
    "release": "Let go of a machine that a run holds since its cell failed.",
    "console": "Join a VM's serial console: ttylab's service or Azure.",
    "send": "Send NMI, SysRq, reset or power to a VM, and see its effect.",
    "record-console": "Record a console, and make a copy without names and passwords.",
    "sac": "Compare what a SAC says with its specification.",
    "repro": "Boot one cell again exactly as a run did.",
    "repeat": "Repeat one cell under jitter: how often does it fail, and why?",
    "report": "Make a run's reports again.",
    "scan": "Find failure signatures in console logs.",
    "doctor": "Explain what this machine can do and why.",
    "bench": "Measure ttylab against its baselines.",
    "gc": "End and remove what a killed run left behind.",
}
"""Every command with its line in the overview; `load_command` says where it is."""
WITHOUT_LAB = frozenset({"init", "test", "console", "send", "report", "bench", "gc"})
"""Commands to which nothing of a user's lab matters."""
RAW = frozenset({"test"})
"""Commands that pass every argument, `--` too, on to another program."""
_KEPT = "\n\t"
FORMER_NAMES = {"states": "snapshots"}
"""Names that commands once had and still answer to."""


class LazyCommand(TyperCommand):
    """A name and a summary; the real command is imported once it is called or asked for help."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse `args` as the real command does; the context belongs to the real command."""
        name = self.name or ""
        real = load_command(name)
        if name in RAW and args != ["--help"]:
            args = ["--", *args]
        defaults = NO_HELP | dict.fromkeys(getattr(real, "commands", ()), NO_HELP)
        return real.make_context(info_name, args, parent=parent, default_map=defaults, **extra)


class LazyGroup(TyperGroup):
    """The table of commands as a Typer group, in the table's order, with nothing imported."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: LazyCommand(name, help=says) for name, says in COMMANDS.items()}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command called `cmd_name`, now or formerly; None where there is none."""
        return super().get_command(ctx, FORMER_NAMES.get(cmd_name, cmd_name))


def load_command(name: str) -> Any:
    """Import the command `name` from the module of that name in `harness.commands`.

    The module has a function of that name, with EXAMPLES for its help and a class `Command` to parse its
    arguments if it needs them; or, for a group of commands, a Typer app called `app`.
    """
    word = name.replace("-", "_")
    module = import_module(f"harness.commands.{word}")
    group = getattr(module, "app", None)
    app = group or typer.Typer(add_completion=False)
    app.rich_markup_mode = None
    if not group:
        examples = spaced(getattr(module, "EXAMPLES", ""))
        app.command(name, cls=getattr(module, "Command", None), epilog=examples)(getattr(module, word))
    command: Any = typer.main.get_group(app) if group else typer.main.get_command(app)
    if name not in WITHOUT_LAB:
        for each in getattr(command, "commands", {"": command}).values():
            each.params.append(_lab_option())
    return command


def _lab_option() -> Any:
    """Return the option --lab for a command, whose function does not see it."""
    app = typer.Typer(add_completion=False)

    @app.command()
    def options(
        lab: Annotated[
            str | None, typer.Option(metavar="FILE", help="The lab.toml to use; default: the nearest one.")
        ] = None,
    ) -> None:
        del lab

    (option,) = (one for one in typer.main.get_command(app).params if one.name == "lab")
    option.expose_value, option.callback = False, lambda _context, _option, value: _use_lab(value)
    return option


def _use_lab(file: str | None) -> None:
    """Use a lab.toml in this process and its workers; raises SpecError if it is wrong."""
    if file is not None:
        from emulator.lab_file.read import VARIABLE, current_lab  # noqa: PLC0415 - pydantic

        os.environ[VARIABLE] = os.path.abspath(file) if file else ""  # noqa: PTH100 - links stay
        current_lab()


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata  # noqa: PLC0415 - costs 20 ms that only this option needs

        typer.echo(f"ttylab {metadata.version('ttylab')}")
        raise typer.Exit


def _set_debug(wanted: bool) -> None:
    if wanted:
        os.environ["TTYLAB_DEBUG"] = "1"  # workers of a run inherit it


def root_command(arguments: Sequence[str]) -> Any:
    """Return the command that parses `arguments`.

    Typer's options for completion are added only if no command comes first (see NO_HELP).
    """
    options_first = not arguments or arguments[0].startswith("-")
    # Plain help: rich takes four times as long to import as everything else that `--help` needs.
    app = typer.Typer(
        cls=LazyGroup,
        add_completion=options_first or COMPLETION_VARIABLE in os.environ,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"max_content_width": 110, "default_map": NO_HELP},
    )
    app.callback(invoke_without_command=True, epilog=spaced(EXAMPLES))(root)
    command = typer.main.get_command(app)
    if arguments and not arguments[0].startswith("-"):  # Typer would load pydantic for it
        command.params = [one for one in command.params if one.name != "lab"]
    return command


def root(
    ctx: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    lab: Annotated[
        str | None, typer.Option("--lab", metavar="FILE", callback=_use_lab, help="The lab.toml to use.")
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", callback=_set_debug, help="Show tracebacks (or TTYLAB_DEBUG=1).")
    ] = False,
) -> None:
    """A hardware-in-the-loop lab for serial consoles: real guests, real ttys, verdicts with evidence."""
    del version, lab, debug
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(EXIT_USAGE)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code that tells whose fault `error` is."""
    if isinstance(error, typer.TyperException):
        return error.exit_code
    if isinstance(error, SpecError | StateError):
        return EXIT_USAGE
    if isinstance(error, GuestError):
        return EXIT_FAILED
    if isinstance(error, ServiceRefused):
        return EXIT_REFUSED
    return EXIT_BROKEN


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the process's exit code; errors become one line on stderr."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    with unwinding() as came, listening(_show_work):
        code = _run(given)
    if came:  # whatever went wrong on the way out: a closed window can't be written to
        code = EXIT_INTERRUPTED
    if code == EXIT_INTERRUPTED:
        _say(f"interrupted by {signal.Signals(came[0]).name}" if came else "interrupted")
    return code


def _run(given: list[str]) -> int:
    try:
        result = root_command(given).main(args=given, prog_name="ttylab", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except SystemExit as end:  # how rich and Typer end where nobody reads standard output any more
        if end.code in {None, 0, EXIT_INTERRUPTED}:  # the last is of a run, which has said so itself
            raise
        return _report(BrokenPipeError())
    except (EmulatorError, HarnessError, typer.TyperException, OSError) as error:
        return _report(error)
    except Exception as error:  # noqa: BLE001 - a defect of ttylab: exit 1 would say that a guest failed
        traceback.print_exception(error)
        return exit_code_of(error)
    return result if isinstance(result, int) else EXIT_PASSED


@cache
def _work_lines() -> Any:
    from harness.terminal.work import WorkLines  # noqa: PLC0415 - only where something is made

    return WorkLines(_say, in_place=sys.stderr.isatty())


def _show_work(what: str, stage: str, fraction: float) -> None:
    _work_lines().show(what, stage, fraction)


def _report(error: Exception) -> int:
    if isinstance(error, BrokenPipeError):
        # `ttylab … | head`: there is nowhere left to report it, but nobody has seen that all is good
        return EXIT_BROKEN
    if os.environ.get("TTYLAB_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, typer.TyperException):
        _say_misuse(error)
    else:
        for line in re.split(r"\n(?! )", str(error).rstrip(".")):  # an indented line goes with the one before
            _say(f"error: {line}")
    return exit_code_of(error)


def _say_misuse(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    text = error.format_message()
    if context is not None and text == context.get_help():  # a group's name alone
        with suppress(OSError):
            sys.stderr.write(f"{text}\n")
    else:
        where = "" if context is None else context.command_path.removeprefix("ttylab")
        _say(f"error: {text.rstrip('.')} ({called(*where.split(), '--help')} says more)")


def _say(text: str, end: str = "\n") -> None:
    line = f"ttylab: {visible(text, keep=_KEPT)}"
    if sys.stderr.isatty():
        if end == "\r":  # the next line is written over this one
            line = line[: shutil.get_terminal_size().columns - 1]
        line += "\x1b[K"
    with suppress(OSError):  # nobody listens, or the window was closed
        sys.stderr.write(line + end)
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
