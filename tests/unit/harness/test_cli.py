"""The command table, exit codes and messages of `ttylab`."""

import sys
from types import ModuleType

import pytest
import typer

from emulator.errors import LabError, MissingPrerequisite, SpecError, StateError
from harness import cli
from harness.scenario import exit_codes
from harness.scenario.errors import ReportError, WrongOutput


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):
    """Return a function that puts one made-up command into the table."""

    def install_command(attribute: object, *, raw: bool = False) -> None:
        name = "harness.commands.made_up"
        module = ModuleType(name)
        setattr(module, "app" if isinstance(attribute, typer.Typer) else "made_up", attribute)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(cli, "COMMANDS", {"made-up": "Do what the test says."})
        monkeypatch.setattr(cli, "RAW", {"made-up"} if raw else set())

    return install_command


def raiser(error: BaseException):
    def command() -> None:
        raise error

    return command


def test_help_names_every_command_and_shows_examples(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == exit_codes.EXIT_PASSED
    shown = capfd.readouterr().out
    assert [name for name in cli.COMMANDS if f" {name} " not in shown] == []
    assert "Examples:" in shown
    assert "Exit codes:" in shown


def test_no_command_shows_the_help_and_is_a_usage_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == exit_codes.EXIT_USAGE
    assert "Usage:" in capfd.readouterr().out


def test_help_of_the_table_imports_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "load_command", raiser(AssertionError("imported")))
    assert cli.main(["--help"]) == exit_codes.EXIT_PASSED


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option: --nonsense"),
        (["made-up", "--nonsense"], "No such option: --nonsense"),
        (["made-up", "unasked"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(
    install, capfd: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    install(lambda: None)
    assert cli.main(arguments) == exit_codes.EXIT_USAGE
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("ttylab: error: ")
    assert complaint in line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SpecError("no such image"), exit_codes.EXIT_USAGE),
        (StateError("already on"), exit_codes.EXIT_USAGE),
        (MissingPrerequisite("QEMU", remedy="install it"), exit_codes.EXIT_BROKEN),
        (LabError("QEMU left"), exit_codes.EXIT_BROKEN),
        (OSError(28, "No space left on device"), exit_codes.EXIT_BROKEN),
        (ReportError("unreadable"), exit_codes.EXIT_BROKEN),
        (WrongOutput("panic"), exit_codes.EXIT_FAILED),
    ],
)
def test_errors_become_one_line_and_the_exit_code_of_whose_fault_it_is(
    install, capfd: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    install(raiser(error))
    assert cli.main(["made-up"]) == code
    assert capfd.readouterr().err == f"ttylab: error: {error}\n"


@pytest.mark.parametrize("error", [KeyError("defect"), AssertionError("defect")])
def test_defect_shows_its_traceback_and_is_no_failed_guest(
    install, capfd: pytest.CaptureFixture[str], error: Exception
) -> None:
    install(raiser(error))
    assert cli.main(["made-up"]) == exit_codes.EXIT_BROKEN
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["--debug", "made-up"], ["made-up"]])
def test_debug_shows_the_traceback_of_an_expected_error(
    install, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("TTYLAB_DEBUG", "" if "--debug" in arguments else "1")
    install(raiser(LabError("QEMU left")))
    assert cli.main(arguments) == exit_codes.EXIT_BROKEN
    shown = capfd.readouterr().err
    assert "Traceback" in shown
    assert shown.endswith("ttylab: error: QEMU left\n")


def test_interrupt_is_one_line_and_exit_130(install, capfd: pytest.CaptureFixture[str]) -> None:
    install(raiser(KeyboardInterrupt()))
    assert cli.main(["made-up"]) == exit_codes.EXIT_INTERRUPTED
    assert capfd.readouterr().err == "ttylab: interrupted\n"


@pytest.mark.parametrize("code", [0, 1, 3])
def test_exit_code_of_a_command_is_the_exit_code(install, code: int) -> None:
    install(raiser(typer.Exit(code)))
    assert cli.main(["made-up"]) == code


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_command_of_the_table_has_help_of_its_own(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == exit_codes.EXIT_PASSED
    assert f"Usage: ttylab {name}" in capfd.readouterr().out


def test_group_of_one_command_still_wants_the_commands_name(
    install, capfd: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer()

    @app.command("list")
    def _list() -> None:
        typer.echo("listed")

    install(app)
    assert cli.main(["made-up", "list"]) == exit_codes.EXIT_PASSED
    assert capfd.readouterr().out == "listed\n"


def test_raw_command_gets_every_argument_unread(install, capfd: pytest.CaptureFixture[str]) -> None:
    def show(arguments: list[str]) -> None:
        typer.echo(" ".join(arguments))

    install(show, raw=True)
    assert cli.main(["made-up", "-e", "lint", "--", "-k", "nmi"]) == exit_codes.EXIT_PASSED
    assert capfd.readouterr().out == "-e lint -- -k nmi\n"


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_can_be_shown(
    name: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--show-completion", name])
    assert stopped.value.code == 0
    assert "_TTYLAB_COMPLETE" in capfd.readouterr().out


def test_completion_offers_the_commands(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TTYLAB_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "ttylab s")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit) as stopped:
        cli.main([])
    assert stopped.value.code == 0
    assert capfd.readouterr().out.split() == ["scenarios", "snapshots", "serve", "send", "sac", "scan"]
