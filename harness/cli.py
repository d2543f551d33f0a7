"""The command line: a table of commands that are imported only when one of them is called."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from emulator.errors import EmulatorError, SpecError, StateError
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
"""Default of --help. Typer's own is None, which it has pydantic convert: that import takes longer than
all the rest of a start (Typer 0.29)."""
COMPLETION_VARIABLE = "_TTYLAB_COMPLETE"
"""Set by the shell when it asks for completions; Typer's name for it."""

EXAMPLES = """Examples:

  ttylab run                      run the default matrix, write the report

  ttylab run -k "nmi and q35"     only the cells whose id matches

  ttylab scenarios list           what can be run

  ttylab boot bookworm            boot a guest and type on its console

  ttylab serve                    a local Azure with serial consoles, for az, SDKs and the browser

  ttylab scan console.txt         find panics and their like in a log

  ttylab doctor                   what this machine can do and what not

Exit codes: 0 all passed, 1 something failed, 2 usage, 3 the lab is broken, 4 a cloud service said no.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line of the command table.

    Attributes:
        module: where it is: a Typer app called `app`, else a function called like the command.
        summary: what the overview says of it.
        group: the attribute is a Typer app whose commands are typed after the name.
        raw: every argument, `--` too, is handed on to another program.
    """

    module: str
    summary: str
    group: bool = False
    raw: bool = False


COMMANDS: dict[str, Command] = {
    "run": Command(module="harness.commands.run", summary="Run a matrix of scenarios on real guests."),
    "test": Command(module="harness.commands.test", summary="Run ttylab's own tests (tox).", raw=True),
    "scenarios": Command(
        module="harness.commands.scenarios", summary="List and describe the scenarios.", group=True
    ),
    "images": Command(
        module="harness.commands.images",
        summary="List, build, verify and prune guest images.",
        group=True,
    ),
    "snapshots": Command(
        module="harness.commands.snapshots",
        summary="List, build and prune the snapshots that scenarios go on from.",
        group=True,
    ),
    "serve": Command(
        module="harness.commands.serve",
        summary="Start a local cloud: VMs with serial consoles, as Azure has.",
    ),
    "boot": Command(module="harness.commands.boot", summary="Boot a guest and attach this terminal to it."),
    "attach": Command(
        module="harness.commands.attach", summary="Join the console of a running machine or of a port."
    ),
    "console": Command(
        module="harness.commands.console", summary="Join a VM's serial console: ttylab's service or Azure."
    ),
    "send": Command(
        module="harness.commands.send", summary="Send NMI, SysRq, reset or power to a VM, and see its effect."
    ),
    "record-console": Command(
        module="harness.commands.record_console",
        summary="Record a console, and make a copy without names and passwords.",
    ),
    "sac": Command(
        module="harness.commands.sac", summary="Compare what a SAC says with its specification.", group=True
    ),
    "repro": Command(module="harness.commands.repro", summary="Boot one cell again exactly as a run did."),
    "repeat": Command(
        module="harness.commands.repeat",
        summary="Repeat one cell under jitter: how often does it fail, of what?",
    ),
    "report": Command(module="harness.commands.report", summary="Make a run's reports anew."),
    "scan": Command(module="harness.commands.scan", summary="Find failure signatures in console logs."),
    "doctor": Command(module="harness.commands.doctor", summary="Explain what this machine can do and why."),
    "bench": Command(module="harness.commands.bench", summary="Measure ttylab against its baselines."),
    "gc": Command(module="harness.commands.gc", summary="End and remove what a killed run left behind."),
}

FORMER_NAMES = {"states": "snapshots"}
"""Names that commands once had, and still answer to."""


class LazyCommand(TyperCommand):
    """A name and a summary that become the real command once it is called or asked for help."""

    def __init__(self, name: str, command: Command) -> None:
        super().__init__(name=name, callback=None, help=command.summary)
        self._command = command

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse `args` as the real command does; the context belongs to the real command."""
        real = load_command(self.name or "", self._command)
        if self._command.raw and args != ["--help"]:
            args = ["--", *args]
        defaults = NO_HELP | dict.fromkeys(getattr(real, "commands", ()), NO_HELP)
        return real.make_context(info_name, args, parent=parent, default_map=defaults, **extra)


class LazyGroup(TyperGroup):
    """The table of commands as a Typer group, in the table's order, with nothing imported."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {name: LazyCommand(name, command) for name, command in COMMANDS.items()}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command called `cmd_name`, now or formerly; None where there is none."""
        return super().get_command(ctx, FORMER_NAMES.get(cmd_name, cmd_name))


def load_command(name: str, command: Command) -> Any:
    """Import the real command.

    Raises:
        StateError: this version has no such module yet.
    """
    try:
        module = import_module(command.module)
    except ModuleNotFoundError as error:
        if error.name != command.module:
            raise
        raise StateError(
            f"this version has no command {name!r}: {command.module} is not part of it"
        ) from error
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False)
        app.command(name)(getattr(module, name))
    app.rich_markup_mode = None
    return typer.main.get_group(app) if command.group else typer.main.get_command(app)


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

    Typer's options for completion are there only if no command comes first: unset, they are None too
    (see NO_HELP).
    """
    options_first = not arguments or arguments[0].startswith("-")
    # Plain help: rich would take four times as long to import as all that `--help` needs.
    app = typer.Typer(
        cls=LazyGroup,
        add_completion=options_first or COMPLETION_VARIABLE in os.environ,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"max_content_width": 110, "default_map": NO_HELP},
    )
    app.callback(invoke_without_command=True, epilog=EXAMPLES)(root)
    return typer.main.get_command(app)


def root(
    ctx: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", callback=_set_debug, help="Show tracebacks (or TTYLAB_DEBUG=1).")
    ] = False,
) -> None:
    """A hardware-in-the-loop lab for serial consoles: real guests, real ttys, verdicts with evidence."""
    del version, debug
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(EXIT_USAGE)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code that says whose fault `error` is."""
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
    try:
        result = root_command(given).main(args=given, prog_name="ttylab", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        result = EXIT_INTERRUPTED
    except (EmulatorError, HarnessError, typer.TyperException, OSError) as error:
        return _report(error)
    except Exception as error:  # noqa: BLE001 - a defect of ttylab: exit 1 would say that a guest failed
        traceback.print_exception(error)
        return exit_code_of(error)
    if result == EXIT_INTERRUPTED:
        _say("interrupted")
    return result if isinstance(result, int) else EXIT_PASSED


def _report(error: Exception) -> int:
    if isinstance(error, BrokenPipeError):  # `ttylab … | head` is no failure; nothing can be said any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    if os.environ.get("TTYLAB_DEBUG"):
        traceback.print_exception(error)
    if isinstance(error, typer.TyperException):
        _say_misuse(error)
    else:
        _say(f"error: {str(error).rstrip('.')}")
    return exit_code_of(error)


def _say_misuse(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    text = error.format_message()
    if context is not None and text == context.get_help():  # a group's name alone
        sys.stderr.write(f"{text}\n")
    else:
        where = "ttylab" if context is None else context.command_path
        _say(f"error: {text.rstrip('.')} ({where} --help says more)")


def _say(text: str) -> None:
    sys.stderr.write(f"ttylab: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
