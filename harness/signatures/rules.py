"""Rules as data: what the TOML files say, checked and compiled as they are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Protocol, TypeAlias

import re2
from pydantic import Field, GetPydanticSchema
from pydantic_core import core_schema

from emulator.errors import SpecError
from emulator.guest_text.printable import visible
from emulator.lab_file.packages import brought
from emulator.lab_file.read import current_lab
from emulator.values import load_toml
from harness.signatures.model import Kind

RULES_DIRECTORY = Path(__file__).parent / "rules"
# A function as the kernel prints it: kernel/kallsyms.c, sprint_symbol.
_MACROS = {
    "{{FUNC}}": r"([a-zA-Z_][a-zA-Z0-9_.]*)\+0x[0-9a-f]+",
    "{{NAME}}": r"([a-zA-Z_][a-zA-Z0-9_.]*)",
    "{{ADDR}}": r"(?:0x)?[0-9a-f]{4,16}",
    "{{SPLAT}}": r"^(?:\[ )?(?:WARNING|INFO|BUG): ",  # kernel/locking: brackets before 4.10
}
_ANCHOR = re.compile(rb"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[$^]")  # escaped or in a class, ^ and $ are no anchors


class Pattern(Protocol):
    """The part of a compiled RE2 pattern that is used here; the package comes without types."""

    pattern: bytes

    def search(self, text: bytes) -> re.Match[bytes] | None:
        """Return the first match."""

    def finditer(self, text: bytes) -> Iterator[re.Match[bytes]]:
        """Yield all matches."""

    def sub(self, repl: bytes, text: bytes) -> bytes:
        """Return `text` with its matches replaced."""


def compile_pattern(pattern: str) -> Pattern:
    """Return `pattern` compiled by RE2 for bytes, linear in time on any guest text.

    Raises:
        SpecError: RE2 refuses the pattern.
    """
    for name, meaning in _MACROS.items():
        pattern = pattern.replace(name, meaning)
    if not pattern.isascii():
        raise SpecError(rf"{pattern!r} is not ASCII; allowed: \xNN for any other byte")
    try:
        compiled: Pattern = re2.compile(pattern.encode("ascii"), _options())
    except re2.error as error:
        (reason,) = error.args
        said = reason.decode() if isinstance(reason, bytes) else reason
        raise SpecError(f"{pattern!r} is not an RE2 pattern: {said}") from error
    return compiled


def _any_of(patterns: Sequence[str]) -> Pattern:
    return compile_pattern("|".join(f"(?:{p})" for p in patterns) if patterns else r"[^\x00-\xff]")


def _by_line(pattern: str) -> Pattern:
    return compile_pattern(f"(?m){pattern}")


def _place(place: str) -> Pattern | str:
    return place if place in {"trace", "anchor", "list"} else _by_line(place)


def _options() -> re2.Options:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = 64 << 20
    return options


def _made_of(kind: Any, make: Callable[[Any], object]) -> GetPydanticSchema:
    """Return how pydantic reads a field: as a `kind`, of which `make` makes its value."""
    return GetPydanticSchema(
        lambda _, handler: core_schema.no_info_after_validator_function(make, handler(kind))
    )


_One: TypeAlias = Annotated[Pattern, _made_of(str, compile_pattern)]
_ByLine: TypeAlias = Annotated[Pattern, _made_of(str, _by_line)]
_AnyOf: TypeAlias = Annotated[Pattern, _made_of(tuple[str, ...], _any_of)]
_Place: TypeAlias = Annotated[Pattern | str, _made_of(str, _place)]
_NOTHING = _any_of(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How one variety of a rule's reports is recognised and named.

    It is suppressed after a finding of one of the rules `consequence_of` in its boot, for the `reason` given.
    """

    match: _ByLine
    title: str
    alt: tuple[str, ...] = ()
    kind: Kind | None = None
    frame: str | None = None
    needs_trace: bool = True
    corrupted: str = ""
    consequence_of: frozenset[str] = frozenset()
    reason: str = ""
    fatal: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule; a report that fits no form keeps the rule's own title.

    With `kernel` it fires only on what is marked as the kernel's, by a stamp or a logger. With `after` it is
    armed by a line of its boot, until one that `until` matches.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    trigger: _One
    never: _AnyOf = _NOTHING
    title: str
    kind: Kind
    fatal: bool = False
    prompt: bool = False
    once: bool = False
    kernel: bool = False
    after: _One | None = None
    until: _One | None = None
    opens: _One | None = None
    absorbs: frozenset[str] = frozenset()
    continues: bool = False
    see: str
    form: tuple[Form, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where to look for the function to blame, and which functions are never blamed.

    Places are tried in order; each is a pattern with one group, or the word "trace", "anchor" or "list".
    """

    id: str
    places: tuple[_Place, ...]
    skip: _AnyOf = _NOTHING
    anchor: _AnyOf = _NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """The common name for functions that are the same to a reader; the first match counts."""

    match: _One
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """Known noise: findings whose title or text matches, and the reason why they say nothing of a boot."""

    match: _One
    reason: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """One file of rules."""

    rule: tuple[Rule, ...] = ()
    frame: tuple[Frame, ...] = ()
    skip: tuple[str, ...] = ()
    suppress: tuple[Suppression, ...] = ()
    foreign: tuple[str, ...] = ()
    rename: tuple[Rename, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """All rules of a scan.

    Attributes:
        rules: in the order of the files; the first whose trigger matches a line names it.
        frames: by id.
        skip: matches functions that no report is named after.
        suppress: what is known noise, and why.
        foreign: matches functions which show that a trace belongs to another report.
        renames: in the order of the files.
        screen: many patterns in one pass of RE2; finds which of `screened` may match somewhere.
        screened: for each pattern of `screen`, a rule's id and a pattern that the rule needs.
    """

    rules: tuple[Rule, ...]
    frames: Mapping[str, Frame]
    skip: Pattern
    suppress: tuple[Suppression, ...]
    foreign: Pattern
    renames: tuple[Rename, ...]
    screen: Any
    screened: tuple[tuple[str, bytes], ...]

    def screen_hits(self, data: bytes) -> frozenset[str]:
        """Return the ids of the rules that may match in `data`; almost always none."""
        return frozenset(self.screened[index][0] for index in self.screen.Match(data) or ())

    def hit_pattern(self, hits: frozenset[str]) -> Pattern:
        """Return a pattern that matches wherever one of those rules may fire or be armed."""
        return _compiled_union(tuple(sorted(pattern for rule, pattern in self.screened if rule in hits)))


@cache
def shipped_rules() -> RuleSet:
    """Return the rules that come with ttylab."""
    return load_rules(sorted(RULES_DIRECTORY.glob("*.toml")))


def lab_rules() -> RuleSet:
    """Return the shipped rules, those of installed packages and those of the lab.

    Raises:
        SpecError: lab.toml or a file of rules is wrong, as for `load_rules`.
    """
    return _rules_with(tuple(_brought_files()), current_lab().lab.signatures)


def has_own_rules() -> bool:
    """Tell whether packages or the lab bring rules of their own; raises SpecError as `lab_rules`."""
    return bool(brought("ttylab.signatures") or current_lab().lab.signatures)


def _brought_files() -> Iterator[tuple[Path, str]]:
    """Yield the files of rules that packages bring, and who brings each; raises SpecError."""
    for who, given in brought("ttylab.signatures"):
        for path in [given] if isinstance(given, str | Path) or not isinstance(given, Iterable) else given:
            if not isinstance(path, str | Path):
                raise SpecError(f"{who}: {visible(repr(path))[:80]} is no path; allowed: files of rules")
            yield Path(path), who


@lru_cache(maxsize=4)
def _rules_with(packages: tuple[tuple[Path, str], ...], own: tuple[Path, ...]) -> RuleSet:
    if not packages and not own:
        return shipped_rules()
    brought_by = dict(packages)
    return load_rules((*brought_by, *own, *sorted(RULES_DIRECTORY.glob("*.toml"))), brought_by=brought_by)


def load_rules(paths: Iterable[Path], *, brought_by: Mapping[Path, str] = MappingProxyType({})) -> RuleSet:
    """Return the rules of `paths` as one set; `brought_by` says which of them a package brings.

    Raises:
        SpecError: a file can't be read, a key or value is wrong, a pattern is not RE2, two rules have one id,
            or a rule names another rule or a frame that no file has.
    """
    named = [(brought_by.get(path, ""), path) for path in paths]
    files = [_load(path, who) for who, path in named]
    rules = tuple(rule for file in files for rule in file.rule)
    owners: dict[str, str] = {}
    for (who, path), file in zip(named, files, strict=True):
        for rule in file.rule:
            if rule.id in owners:
                both = f"{owners[rule.id]} and {who or path}"
                raise SpecError(f"rule {rule.id!r} is there twice: in {visible(both)}")
            owners[rule.id] = who or str(path)
    frames = {frame.id: frame for file in files for frame in file.frame}
    _check_names(rules, frames)
    needed = [
        (rule.id, one) for rule in rules for one in (rule.trigger, rule.after, rule.until) if one is not None
    ]
    screened = tuple((name, _loose(pattern.pattern)) for name, pattern in needed)
    return RuleSet(
        rules=rules,
        frames=frames,
        skip=_any_of([pattern for file in files for pattern in file.skip]),
        suppress=tuple(suppression for file in files for suppression in file.suppress),
        foreign=_any_of([pattern for file in files for pattern in file.foreign]),
        renames=tuple(rename for file in files for rename in file.rename),
        screen=_screen(pattern for _, pattern in screened),
        screened=screened,
    )


def _load(path: Path, who: str) -> RuleFile:
    try:
        return load_toml(path, RuleFile)
    except SpecError as error:
        raise SpecError(f"{who}: {error}" if who else str(error)) from error


def _check_names(rules: Sequence[Rule], frames: Mapping[str, Frame]) -> None:
    ids = [rule.id for rule in rules]
    for rule in rules:
        unknown = rule.absorbs.difference(ids)
        if unknown:
            raise SpecError(f"rule {rule.id!r} absorbs {', '.join(sorted(unknown))}, which no file has")
        for form in rule.form:
            _check_form(rule, form, ids, frames)


def _check_form(rule: Rule, form: Form, ids: Sequence[str], frames: Mapping[str, Frame]) -> None:
    if form.frame is not None and form.frame not in frames:
        known = ", ".join(sorted(frames))
        raise SpecError(f"rule {rule.id!r}: no frame {form.frame!r}; there are: {known}")
    unknown = form.consequence_of.difference(ids)
    if unknown:
        raise SpecError(
            f"rule {rule.id!r}: {form.title!r} follows {', '.join(sorted(unknown))}, which no file has"
        )
    if form.consequence_of and not form.reason:
        raise SpecError(
            f"rule {rule.id!r}: {form.title!r} is a consequence and needs a `reason` to suppress it"
        )


@lru_cache(maxsize=256)
def _compiled_union(patterns: tuple[bytes, ...]) -> Pattern:
    return _any_of([pattern.decode("ascii") for pattern in patterns])


def _loose(pattern: bytes) -> bytes:
    """Return the pattern without anchors, for raw text with stamps and escapes before a line's text."""
    return _ANCHOR.sub(lambda part: b"" if part[0] in {b"^", b"$"} else part[0], pattern)


def _screen(patterns: Iterable[bytes]) -> Any:
    screen = re2.Set.SearchSet(_options())
    for pattern in patterns:
        screen.Add(pattern)
    screen.Compile()
    return screen
