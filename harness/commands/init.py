"""`ttylab init`: what a repository needs to be tested: lab.toml, a matrix, a scenario, a workflow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

from emulator.errors import FileError, SpecError
from emulator.lab_file.read import FILE
from emulator.lab_file.tables import TTYLAB_INITRD, ImageTable
from emulator.lab_file.write import toml_key, toml_tables
from emulator.program import called
from harness.cells.shipped import shipped
from harness.commands import say, with_options
from harness.commands.own_options import OwnOptions, named

EXAMPLES = """Examples:
  ttylab init                                      in this directory; then: ttylab run
  ttylab init --kernel out/arch/x86/boot/bzImage --modules out/modules
  ttylab init --disk server.qcow2 --user root --password-file pw

Nothing is overwritten. A file that the workflow has to make first need only be there now.
"""
Provider = Literal["github", "gitlab", "azure", "none"]
_WORKFLOWS: Mapping[Provider, tuple[str, str, str]] = {
    "github": (".github", "github-actions.yml", ".github/workflows/ttylab.yml"),
    "gitlab": (".gitlab-ci.yml", "gitlab-ci.yml", ".gitlab-ci.yml"),
    "azure": ("azure-pipelines.yml", "azure-pipelines.yml", "azure-pipelines.yml"),
}
"""For each provider what tells that a repository uses it, its template, and where its workflow belongs."""
_BESIDE: Mapping[str, tuple[str, str]] = {
    ".gitlab-ci.yml": (
        ".gitlab/ttylab.yml",
        "add to .gitlab-ci.yml: include: { local: /.gitlab/ttylab.yml }",
    ),
    "azure-pipelines.yml": ("azure-pipelines-ttylab.yml", "make a pipeline of azure-pipelines-ttylab.yml"),
}
"""Where a workflow goes if the repository has one already, and what is left to do."""
_OWN = ("lab/matrix.toml", "lab/scenarios.py", "lab/signatures.toml")


@with_options("own", OwnOptions)
def init(
    directory: Annotated[Path, Argument(metavar="[DIR]", help="The repository.")] = Path(),
    *,
    ci: Annotated[
        str | None,
        Option(metavar="PROVIDER", help="github, gitlab, azure or none; default: what DIR has."),
    ] = None,
    own: OwnOptions,
) -> None:
    """Write lab.toml, a matrix, a scenario, a signature and a workflow for CI into a repository.

    They work as they are: `ttylab run` plays the matrix on your kernel or disk, or else on an image of ours.
    Exit code 2 if one of the files is there already; then none is written.
    """
    if ci is not None and ci not in {*_WORKFLOWS, "none"}:
        raise SpecError(f"--ci is {ci!r}; allowed: {', '.join(_WORKFLOWS)}, none")
    if not directory.is_dir():
        raise SpecError(f"{directory}: there is no such directory")
    table = own.table()
    name = "" if table is None else named(table)
    texts = {FILE: _lab(name, table, directory), **{one: _template(one) for one in _OWN}}
    if table is not None:
        texts[_OWN[0]] = _matrix(name, table)
    workflow, todo = _workflow(directory, ci)
    _write(directory, texts | workflow)
    for each in (*texts, *workflow):
        say(f"wrote {directory / each}")
    say(f"\nNow run: {called('run')}" + (f"\nThen {todo}" if todo else ""))


def _template(name: str) -> str:
    return shipped(f"templates/{name}").read_text(encoding="utf-8")


def _lab(name: str, table: ImageTable | None, directory: Path) -> str:
    text = _template(f"lab/{FILE}")
    if table is None:
        return text
    said = toml_tables({f"images.{toml_key(name)}": _relative(table, directory.resolve())})
    head, mark, rest = text.partition("# What is booted.")
    return f"{head}{said}\n{mark}{rest}"


def _relative(table: ImageTable, directory: Path) -> ImageTable:
    """Return a table with the paths of files inside the repository relative to it."""
    paths = {one.name: value for one in fields(table) if isinstance(value := getattr(table, one.name), Path)}
    login = table.login
    if login is not None and login.password_file is not None:
        login = replace(login, password_file=_inside(login.password_file, directory))
    inside = {key: _inside(path, directory) for key, path in paths.items() if str(path) != TTYLAB_INITRD}
    return replace(table, login=login, **inside)  # type: ignore[arg-type]  # each is a path


def _inside(path: Path, directory: Path) -> Path:
    whole = path.parent.resolve() / path.name
    return whole.relative_to(directory) if whole.is_relative_to(directory) else whole


def _matrix(name: str, table: ImageTable) -> str:
    """Return the matrix for a file of the user's: under the firmware that starts it."""
    from emulator.guest_images.own_disk import open_disk  # noqa: PLC0415

    text = _template(_OWN[0]).replace('["bookworm"]', f'["{name}"]')
    if table.kernel is None:
        text = text.replace('["seabios"]', f'["{open_disk(name, table).usual_board.firmware}"]')
    return text


def _workflow(directory: Path, ci: str | None) -> tuple[dict[str, str], str]:
    """Return the workflow by its place, and what is left to do for it."""
    found = next((name for name, (mark, _, _) in _WORKFLOWS.items() if (directory / mark).exists()), "github")
    chosen = _WORKFLOWS.get(ci or found)  # type: ignore[call-overload]  # checked
    if chosen is None:
        return {}, ""
    _, template, place = chosen
    beside, todo = _BESIDE.get(place, ("", "")) if (directory / place).exists() else ("", "")
    return {beside or place: _template(template)}, todo


def _write(directory: Path, texts: Mapping[str, str]) -> None:
    """Write every file, or none if one is there already."""
    there = [str(directory / name) for name in texts if os.path.lexists(directory / name)]
    if there:
        raise SpecError(f"nothing was written, as there is already: {', '.join(there)}")
    for name, text in texts.items():
        path = directory / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise FileError(f"{path}: {error.strerror}") from error
