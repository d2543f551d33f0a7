"""Rules as data: what the TOML files say, checked and compiled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Protocol

import re2
from pydantic import Field

from emulator.errors import SpecError
from emulator.values import load_toml
from harness.signatures.model import Kind

RULES_DIRECTORY = Path(__file__).parent / "rules"
# A function as the kernel prints it: kernel/kallsyms.c, sprint_symbol.
_MACROS = {
    "{{FUNC}}": r"([a-zA-Z_][a-zA-Z0-9_.]*)\+0x[0-9a-f]+",
    "{{NAME}}": r"([a-zA-Z_][a-zA-Z0-9_.]*)",
    "{{ADDR}}": r"(?:0x)?[0-9a-f]{4,16}",
    "{{TASK}}": r"[^\n]{1,40}?",
}


_ANCHOR = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[$^]")  # what is escaped or in a class is none


class Pattern(Protocol):
    """What is used of a compiled RE2 pattern; the package has no types of its own."""

    def search(self, text: bytes) -> re.Match[bytes] | None:
        """Return the first match."""

    def finditer(self, text: bytes) -> Iterator[re.Match[bytes]]:
        """Give all matches."""

    def sub(self, repl: bytes, text: bytes) -> bytes:
        """Return `text` with its matches replaced."""


class PatternSet(Protocol):
    """What is used of a compiled RE2 set: many patterns in one pass."""

    def Match(self, text: bytes) -> list[int] | None:  # noqa: N802 - the package's own name
        """Return the numbers of the patterns that match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormTable:
    """How one sort of report of a rule is recognised and named."""

    match: str
    title: str
    alt: tuple[str, ...] = ()
    kind: Kind | None = None
    frame: str | None = None
    needs_trace: bool = True
    corrupted: str | None = None
    consequence: bool = False
    fatal: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTable:
    """One rule; a report that fits no form keeps the rule's own title."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    trigger: str
    never: tuple[str, ...] = ()
    title: str
    kind: Kind
    fatal: bool = False
    prompt: bool = False
    once: bool = False
    after: str | None = None
    opens: str | None = None
    absorbs: tuple[str, ...] = ()
    continues: bool = False
    see: str
    form: tuple[FormTable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTable:
    """Where the blamed function stands: places tried in order, and functions never blamed."""

    id: str
    places: tuple[str, ...]
    skip: tuple[str, ...] = ()
    anchor: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameTable:
    """A function that has several names for the same thing; the first that matches counts."""

    match: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """One file of rules."""

    rule: tuple[RuleTable, ...] = ()
    frame: tuple[FrameTable, ...] = ()
    skip: tuple[str, ...] = ()
    suppress: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    rename: tuple[RenameTable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A compiled form."""

    match: Pattern
    title: str
    alt: tuple[str, ...]
    kind: Kind | None
    frame: FrameRecipe | None
    needs_trace: bool
    corrupted: str
    consequence: bool
    fatal: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRecipe:
    """Compiled places: a pattern with one group, or the literal words "trace", "anchor" and "list"."""

    places: tuple[Pattern | str, ...]
    skip: Pattern
    anchor: Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A compiled rule."""

    id: str
    trigger: Pattern
    loose: tuple[str, ...]
    never: Pattern
    title: str
    kind: Kind
    fatal: bool
    prompt: bool
    once: bool
    after: Pattern | None
    opens: Pattern | None
    absorbs: frozenset[str]
    continues: bool
    see: str
    forms: tuple[Form, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """All rules of a scan.

    Attributes:
        rules: in the order of the files; the first whose trigger fits a line names it.
        suppress: titles and report lines that are known noise, one pattern.
        foreign: functions that say that a trace belongs to another report, one pattern.
        renames: patterns and names for functions that are one for a reader.
        screen: says which of `screened` may stand somewhere in a piece of text.
        screened: a rule's id and a pattern that it needs, for each pattern of `screen`.
    """

    rules: tuple[Rule, ...]
    suppress: Pattern
    foreign: Pattern
    renames: tuple[tuple[Pattern, str], ...]
    screen: PatternSet
    screened: tuple[tuple[str, str], ...]

    def screen_hits(self, data: bytes) -> frozenset[str]:
        """Return the ids of the rules that may have something to do with `data`; almost always none."""
        return frozenset(self.screened[index][0] for index in self.screen.Match(data) or ())

    def hit_pattern(self, hits: frozenset[str]) -> Pattern:
        """Return a pattern that stands wherever one of those rules may fire or be armed."""
        return _compiled_union(tuple(sorted(pattern for rule, pattern in self.screened if rule in hits)))


@cache
def shipped_rules() -> RuleSet:
    """Return the rules that come with ttylab."""
    return load_rules(sorted(RULES_DIRECTORY.glob("*.toml")))


def load_rules(paths: Iterable[Path]) -> RuleSet:
    """Return the rules of `paths` as one set.

    Raises:
        SpecError: a file can't be read, a key or value is wrong, a pattern is not RE2, or two
            rules have one id.
    """
    tables = [(path, load_toml(path, RuleFile)) for path in paths]
    skip = [pattern for _, table in tables for pattern in table.skip]
    recipes = {
        frame.id: _recipe(frame, common_skip=skip, origin=path)
        for path, table in tables
        for frame in table.frame
    }
    rules = [_rule(rule, recipes=recipes, origin=path) for path, table in tables for rule in table.rule]
    _check_ids(rules)
    screened = tuple((rule.id, pattern) for rule in rules for pattern in rule.loose)
    return RuleSet(
        rules=tuple(rules),
        suppress=_any_of([p for _, table in tables for p in table.suppress], origin="suppress"),
        foreign=_any_of([p for _, table in tables for p in table.foreign], origin="foreign"),
        renames=tuple(
            (compile_pattern(rename.match, origin=f"{path}: rename"), rename.to)
            for path, table in tables
            for rename in table.rename
        ),
        screen=_screen(screened),
        screened=screened,
    )


def compile_pattern(pattern: str, *, origin: str) -> Pattern:
    """Return `pattern` compiled by RE2 for bytes, linear in time on any guest text.

    Raises:
        SpecError: RE2 refuses the pattern.
    """
    try:
        compiled: Pattern = re2.compile(_expand(pattern), _options())
    except re2.error as error:
        raise SpecError(f"{origin}: {pattern!r} is not an RE2 pattern: {error}") from error
    return compiled


@lru_cache(maxsize=256)
def _compiled_union(patterns: tuple[str, ...]) -> Pattern:
    return _any_of(patterns, origin="screen")


def _expand(pattern: str) -> bytes:
    for name, meaning in _MACROS.items():
        pattern = pattern.replace(name, meaning)
    return pattern.encode("ascii")


def _loose(pattern: str) -> str:
    """Return a pattern for raw text, where stamps and escapes stand before the line's text: no anchors."""
    return _ANCHOR.sub(lambda part: "" if part[0] in {"^", "$"} else part[0], pattern)


def _options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = 64 << 20
    return options


def _any_of(patterns: Sequence[str], *, origin: str) -> Pattern:
    return compile_pattern(
        "|".join(f"(?:{p})" for p in patterns) if patterns else r"[^\x00-\xff]", origin=origin
    )


def _recipe(table: FrameTable, *, common_skip: Sequence[str], origin: Path) -> FrameRecipe:
    where = f"{origin}: frame {table.id!r}"
    return FrameRecipe(
        places=tuple(
            place if place in {"trace", "anchor", "list"} else compile_pattern(f"(?m){place}", origin=where)
            for place in table.places
        ),
        skip=_any_of([*common_skip, *table.skip], origin=where),
        anchor=_any_of(table.anchor, origin=where),
    )


def _rule(table: RuleTable, *, recipes: dict[str, FrameRecipe], origin: Path) -> Rule:
    where = f"{origin}: rule {table.id!r}"
    return Rule(
        id=table.id,
        trigger=compile_pattern(table.trigger, origin=where),
        loose=tuple(_loose(pattern) for pattern in (table.trigger, table.after) if pattern is not None),
        never=_any_of(table.never, origin=where),
        title=table.title,
        kind=table.kind,
        fatal=table.fatal,
        prompt=table.prompt,
        once=table.once,
        after=None if table.after is None else compile_pattern(table.after, origin=where),
        opens=None if table.opens is None else compile_pattern(table.opens, origin=where),
        absorbs=frozenset(table.absorbs),
        continues=table.continues,
        see=table.see,
        forms=tuple(_form(form, recipes=recipes, origin=where) for form in table.form),
    )


def _form(table: FormTable, *, recipes: dict[str, FrameRecipe], origin: str) -> Form:
    if table.frame is not None and table.frame not in recipes:
        raise SpecError(f"{origin}: no frame {table.frame!r}; there are: {', '.join(sorted(recipes))}")
    return Form(
        match=compile_pattern(f"(?m){table.match}", origin=origin),
        title=table.title,
        alt=tuple(table.alt),
        kind=table.kind,
        frame=None if table.frame is None else recipes[table.frame],
        needs_trace=table.needs_trace,
        corrupted=table.corrupted or "",
        consequence=table.consequence,
        fatal=table.fatal,
    )


def _check_ids(rules: list[Rule]) -> None:
    ids = [rule.id for rule in rules]
    for rule in rules:
        if ids.count(rule.id) > 1:
            raise SpecError(f"rule {rule.id!r} is there twice")
        unknown = rule.absorbs.difference(ids)
        if unknown:
            raise SpecError(f"rule {rule.id!r} absorbs {', '.join(sorted(unknown))}, which no file has")


def _screen(screened: tuple[tuple[str, str], ...]) -> PatternSet:
    screen = re2.Set.SearchSet(_options())
    for _, pattern in screened:
        screen.Add(_expand(pattern))
    screen.Compile()
    compiled: PatternSet = screen
    return compiled
