"""Name a report: from its logical lines to its title and kind, and whether they can be trusted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from emulator.guest_text.printable import escape
from harness.signatures.lines import Line, split_lines
from harness.signatures.model import Finding
from harness.signatures.rules import Form, Frame, Pattern, Rule, RuleSet

LONGEST_TRACE = 150  # lines

_TRACE_HEAD = re.compile(rb"(?m)^\s*(?:Call [Tt]race|[Bb]acktrace|[Ss]tack backtrace|Stack trace)\s*:")
_TRACE_END = re.compile(
    rb"^(?:---\[|Allocated by|Freed by|Allocated:|Freed:|The buggy address|Kernel Offset|Rebooting in"
    rb"|Kernel panic|Last potentially related|Showing all locks|NMI backtrace for|Sending NMI"
    rb"|INFO: |BUG: |WARNING: |======)"
)
# One frame: x86, arm64, RISC-V, s390 and MIPS print `[<address>] func+0x1/0x2`, ARM
# `(callee) from [<address>] (caller+0x1/0x2)`. Inlined functions in a symbolized log don't count: whether
# there are any depends on the compiler.
_FRAME = re.compile(
    rb"^\s*(?:<[A-Z/ ]+>\s*)*(?:\(?[\w.+/]+\)? from )?"
    rb"\(?(?:\[<?[0-9a-f]+>?\]\s*)*(?:\([\w.+/]+\) from \[<[0-9a-f]+>\] )?\(?"
    rb"(\?\s+)?([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+"
)
_SUFFIX = re.compile(rb"\.(?:constprop|isra|part|cold|llvm|lto_priv|localalias)\b.*|\.\d+$")


def find_frame(text: bytes, frame: Frame, rules: RuleSet) -> bytes | None:
    """Return the first function in the frame's places that may be blamed, without compiler suffixes."""
    for place in frame.places:
        for name in _candidates(text, place, frame.anchor):
            plain = plain_name(name)
            if not (rules.skip.search(plain) or frame.skip.search(plain)):
                return plain
    return None


def trace_frames(text: bytes) -> Iterator[bytes]:
    """Yield the functions of the first call trace, innermost first, without guesses (`? func`)."""
    head = _TRACE_HEAD.search(text)
    if head is None:
        return
    lines = text[head.end() :].split(b"\n", LONGEST_TRACE + 1)[1 : LONGEST_TRACE + 1]
    yield from _frames(lines)


def has_trace(text: bytes) -> bool:
    """Tell whether there is a call trace with at least one function."""
    return next(trace_frames(text), None) is not None


def plain_name(name: bytes) -> bytes:
    """Return a function's name without what the compiler added (`.constprop.0`, `.part.3`)."""
    return _SUFFIX.sub(b"", name).rstrip(b".")


def _candidates(text: bytes, place: Pattern | str, anchor: Pattern) -> Iterator[bytes]:
    if place == "trace":
        yield from trace_frames(text)
    elif place == "anchor":
        yield from (name for name in _all_frames(text) if anchor.search(plain_name(name)))
    elif place == "list":
        yield from _frames(text[max(0, text.find(b"BUG: ")) :].split(b"\n", LONGEST_TRACE)[1:])
    elif not isinstance(place, str):
        match = place.search(text)
        yield from () if match is None else (match[1],)


def _all_frames(text: bytes) -> Iterator[bytes]:
    frames = (_FRAME.match(line) for line in text.split(b"\n"))
    return (frame[2] for frame in frames if frame is not None and frame[1] is None)


def _frames(lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        if _TRACE_END.match(line):
            return
        frame = _FRAME.match(line)
        if frame is not None and frame[1] is None:
            yield frame[2]


LONGEST_REPORT_LINES = 400
LONGEST_TITLE = 120  # characters
LONGEST_OPENING = 1024  # bytes before a trigger in which its report may begin

_REPORT_END = re.compile(rb"^---\[ end (?:trace|Kernel panic)")
_NUMBERS = (
    (re.compile(r"\b(?:0x[0-9a-f]+|[0-9a-f]{8,16})\b"), "ADDR"),
    (re.compile(r"(?<![A-Za-z0-9_])\d+"), "NUM"),
)


@dataclass(slots=True, kw_only=True)
class Report:
    """A trigger and the bytes that follow it, being collected or complete.

    Attributes:
        rule: the rule that fired.
        start: raw offset of the first byte of `data`.
        trigger: raw offset of the line that fired.
        causes: rules that have fired in this boot before.
        context: who printed the trigger.
        data: from `start` on, as far as it has come.
        limit: raw offset of its latest possible end.
        closed: whether that is fixed by what follows.
        complete: whether no more bytes will come; before that, a title may lack its function.
        final: its finding, once that can't change any more.
    """

    rule: Rule
    start: int
    trigger: int
    causes: frozenset[str]
    context: bytes
    data: bytearray
    limit: int
    closed: bool = False
    complete: bool = False
    final: Finding | None = None

    def take(self, data: bytes, *, offset: int) -> None:
        """Take the part of `data` (complete lines, at raw `offset`) that continues the report."""
        if self.complete:
            return
        begin = self.start + len(self.data) - offset
        self.data += data[begin : max(begin, self.limit - offset)]
        # Until it is closed, a later trigger may still end it, as its own report may begin a little earlier.
        reach = self.limit if self.closed else self.limit + LONGEST_OPENING
        self.complete = offset + len(data) >= reach

    def close_at(self, offset: int) -> None:
        """Exclude everything from raw `offset` on from the report."""
        self.limit, self.closed = min(self.limit, offset), True
        del self.data[max(0, self.limit - self.start) :]

    def finding(self, rules: RuleSet) -> Finding:
        """Return what is known about it now; once the report is complete, that is computed only once."""
        if self.final is not None:
            return self.final
        finding = classify(self, rules)
        if self.complete:
            self.final = finding
            self.data.clear()
        return finding


@dataclass(frozen=True, slots=True, kw_only=True)
class _Name:
    """A title, other titles for the same fault, and the reason not to trust them."""

    title: str
    alt: tuple[str, ...] = ()
    corrupted: str = ""


def classify(report: Report, rules: RuleSet) -> Finding:
    """Return the finding of `report`: the same bytes always give the same finding."""
    lines = report_lines(report)
    text = b"\n".join(line.text for line in lines)
    form, match = _first_form(report.rule, text)
    plain = form is not None and not form.needs_trace and not has_trace(text)
    if plain and match is not None and not _REPORT_END.match(lines[-1].text):
        matched = text[: match.end()].rstrip(b"\n").count(b"\n") + 1
        lines = lines[: max(matched, sum(line.start <= report.trigger for line in lines))]  # no more is of it
    name = _name(report, rules, text=text, form=form, match=match)
    is_consequence = form is not None and not form.consequence_of.isdisjoint(report.causes)
    fatal = report.rule.fatal if form is None or form.fatal is None else form.fatal
    return Finding(
        rule=report.rule.id,
        kind=report.rule.kind if form is None or form.kind is None else form.kind,
        title=name.title,
        alt_titles=name.alt,
        corrupted=bool(name.corrupted),
        corrupted_reason=name.corrupted,
        suppressed=is_consequence or _is_noise(rules, name.title, text),
        start=report.start,
        end=max(report.start, lines[-1].end if lines else report.start),
        fatal=fatal,
    )


def report_lines(report: Report) -> list[Line]:
    """Return the lines that belong to the report: those of one context, up to its end mark."""
    context = b""
    chosen: list[Line] = []
    longest = LONGEST_REPORT_LINES if report.rule.form else 1
    for line in split_lines(bytes(report.data), offset=report.start):
        if line.start <= report.trigger <= line.end:
            context = line.context
        elif line.start > report.trigger and line.context != context:
            continue
        chosen.append(line)
        if line.start >= report.trigger and (_REPORT_END.match(line.text) or len(chosen) >= longest):
            break
    return [line for line in chosen if line.context == context or line.start >= report.trigger]


def _first_form(rule: Rule, text: bytes) -> tuple[Form | None, re.Match[bytes] | None]:
    for form in rule.form:
        match = form.match.search(text)
        if match is not None:
            return form, match
    return None, None


def _name(
    report: Report, rules: RuleSet, *, text: bytes, form: Form | None, match: re.Match[bytes] | None
) -> _Name:
    if form is None or match is None:
        corrupted = "the trigger line is none that the rule knows" if report.rule.form else ""
        return _Name(title=report.rule.title, corrupted=corrupted if report.complete else "")
    groups = [plain_title(escape(group or b"")) for group in match.groups()]
    frame = None if form.frame is None else find_frame(text, rules.frames[form.frame], rules)
    corrupted = _corrupted(rules, form, frame=frame, text=text) if report.complete else ""
    if form.frame is not None and frame is None and not report.complete:
        return _Name(title=_fill(re.sub(r" (?:in|at) \{frame\}.*", "", form.title), groups, ""))
    named = frame or b"corrupted"
    plain = _rename(rules, named)
    names = (plain, named, b"corrupted") if corrupted else (plain, named)
    titles = [_fill(t, groups, escape(n)) for n in names for t in (form.title, *form.alt)]
    alt = tuple(dict.fromkeys(title for title in titles if title != titles[0]))
    return _Name(title=titles[0], alt=alt, corrupted=corrupted)


def _corrupted(rules: RuleSet, form: Form, *, frame: bytes | None, text: bytes) -> str:
    if form.corrupted:
        return form.corrupted
    if form.frame is not None and frame is None:
        return "no function to blame in the report"
    if form.needs_trace and not has_trace(text):
        return "the report has no call trace"
    if form.needs_trace and any(rules.foreign.search(name) for name in trace_frames(text)):
        return "another report's call trace stands in it"
    return ""


def _fill(template: str, groups: list[str], frame: str) -> str:
    title = template.replace("{frame}", frame)
    for number, group in enumerate(groups):
        title = title.replace(f"{{{number}}}", group)
    return title[:LONGEST_TITLE].strip()


def _rename(rules: RuleSet, name: bytes) -> bytes:
    for rename in rules.renames:
        if rename.match.search(name):
            return rename.match.sub(rename.to.encode("ascii"), name)
    return name


def plain_title(text: str) -> str:
    """Return `text` with addresses and numbers replaced, so that the same fault has the same title."""
    for pattern, word in _NUMBERS:
        text = pattern.sub(word, text)
    return text


def _is_noise(rules: RuleSet, title: str, text: bytes) -> bool:
    texts = (title.encode("utf-8", "replace"), text[:4096])
    return any(one.match.search(said) for one in rules.suppress for said in texts)
