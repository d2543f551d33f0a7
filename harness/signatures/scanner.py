"""Scan a running console: bytes in, findings out, exact to the byte however the bytes are chunked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from emulator.errors import StateError
from emulator.guest_text.escapes import seen
from harness.signatures.classify import LONGEST_OPENING, Report
from harness.signatures.lines import LONGEST_LINE, Line, decided, end_of_seen, is_quoted, split_lines
from harness.signatures.model import Finding
from harness.signatures.rules import Pattern, Rule, RuleSet, lab_rules

LONGEST_REPORT = 64 << 10  # bytes that are kept of a report
ABSORB_REACH = 4096  # bytes after a trigger in which the same fault may fire further rules
# In one boot, and as many fatal ones: a guest that warns for ever can't fill the memory, nor hide its end.
MOST_FINDINGS = 500
OPENING_LINES = 12  # lines before a trigger in which its report may begin


class Scanner:
    """Finds what went wrong on one console.

    The result after `finish` depends on the bytes and on the offsets given to `cut`, not on the chunks.
    Memory: 64 KiB for each of the latest reports, and 9 KiB of text.
    """

    def __init__(self, rules: RuleSet | None = None, *, start: int = 0) -> None:
        self._rules = rules or lab_rules()
        self._start = start  # raw offset of the first byte of _tail
        self._tail = b""  # the line that has not ended yet
        self._past = b""  # the end of what came before it
        self._boots: list[tuple[Finding, ...]] = []  # those that are over
        self._boot: list[Report] = []
        self._known: set[str] = set()  # rules that have fired in this boot and fire once
        self._last = -1  # start of the line on which a rule fired last in this boot
        self._armed: set[str] = set()  # rules whose `after` has been seen in this boot

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings in stream order; titles of incomplete reports may still improve."""
        return tuple(finding for boot in self._boots for finding in boot) + self.boot_findings

    @property
    def boot_findings(self) -> tuple[Finding, ...]:
        """The findings since the last cut."""
        return tuple(sorted((r.finding(self._rules) for r in self._boot), key=lambda f: (f.start, f.end)))

    def feed(self, chunk: bytes) -> list[Finding]:
        """Take the next bytes and return new findings, as soon as the decisive line is complete.

        A prompt counts without a line end. Titles are provisional: `findings` has the final ones.
        """
        data = self._tail + chunk
        whole = self._whole(data)
        new = self._take_lines(data[:whole])
        self._tail = data[whole:]
        new += self._scan(self._tail, complete=False)
        return [report.finding(self._rules) for report in new]

    def cut(self, offset: int) -> tuple[Finding, ...]:
        """Begin a new boot at the raw offset; return the final findings of the one before.

        Raises:
            StateError: `offset` is neither in the last line that was fed nor at its end.
        """
        end = self._start + len(self._tail)
        if not self._start <= offset <= end:
            raise StateError(
                f"a cut at {offset} is too late; the scanner can cut from {self._start} to {end}"
            )
        before, rest = self._tail[: offset - self._start], self._tail[offset - self._start :]
        self._close(before)
        closed = self.boot_findings
        self._boots.append(closed)
        self._boot, self._past, self._last = [], b"", -1
        self._known.clear()
        self._armed.clear()
        self.feed(rest)
        return closed

    def finish(self) -> tuple[Finding, ...]:
        """Take the last line as complete and return the final findings."""
        self._close(self._tail)
        return self.findings

    def _close(self, last_line: bytes) -> None:
        self._tail = b""
        self._take_lines(last_line)
        for report in self._boot:
            report.close_at(self._start)
            report.complete = True

    def _whole(self, data: bytes) -> int:
        """Return how many bytes of `data` are complete lines; a line that never ends is cut."""
        whole = data.rfind(b"\n") + 1
        return whole + (len(data) - whole) // LONGEST_LINE * LONGEST_LINE

    def _take_lines(self, data: bytes) -> list[Report]:
        if not data:
            return []
        new = self._scan(data, complete=True)
        for report in self._boot:
            report.take(data, offset=self._start)
        self._past = (self._past + data)[-LONGEST_OPENING:]
        self._start += len(data)
        return new

    def _scan(self, data: bytes, *, complete: bool) -> list[Report]:
        data = data if complete else decided(data)
        hits = self._rules.screen_hits(seen(data) if _is_cut_up(data) else data) if data else frozenset()
        if not hits:
            return []
        rules = [rule for rule in self._rules.rules if rule.id in hits]
        new: list[Report] = []
        for line in self._lines_with(hits, data):
            for rule in self._fitting(line, rules, complete=complete):
                report = self._open(rule, line, data)
                new += [] if report is None else [report]
        return new

    def _lines_with(self, hits: frozenset[str], data: bytes) -> Iterator[Line]:
        """Yield the logical lines of those physical lines that contain a hit."""
        pattern = self._rules.hit_pattern(hits)
        for begin, done in _seen_hits(pattern, data) if _is_cut_up(data) else _plain_hits(pattern, data):
            for piece in range(begin, done, LONGEST_LINE):
                until = min(done, piece + LONGEST_LINE)
                yield from split_lines(data[piece:until], offset=self._start + piece)

    def _fitting(self, line: Line, rules: list[Rule], *, complete: bool) -> list[Rule]:
        """Return the rules that fire on `line`: all prompts, else the first of the other rules."""
        ready = [rule for rule in rules if rule.after is None or rule.id in self._armed]
        fitting = [rule for rule in ready if rule.prompt and rule.trigger.search(line.shown)]
        if complete:
            self._armed.update(rule.id for rule in rules if rule.after and rule.after.search(line.shown))
            self._armed -= {rule.id for rule in rules if rule.until and rule.until.search(line.text)}
            fitting = fitting or self._first_plain(line, ready)
        return fitting

    @staticmethod
    def _first_plain(line: Line, rules: list[Rule]) -> list[Rule]:
        for rule in rules:
            if rule.prompt or (rule.kernel and not line.is_kernel):
                continue
            found = rule.trigger.search(line.text)
            if found is not None and (line.is_kernel or not is_quoted(line.text, found.start())):
                return [] if rule.never.search(line.text) else [rule]
        return []

    def _open(self, rule: Rule, line: Line, data: bytes) -> Report | None:
        """Begin a report, unless the line belongs to an open one, or there are too many."""
        after, self._last = self._last, line.start
        # A prompt counts before its line is complete, so the context of the line's rest must not matter.
        context = b"" if rule.prompt else line.context
        if rule.id in self._known or len(self._boot) >= (2 if rule.fatal else 1) * MOST_FINDINGS:
            return None
        if owners := [one for one in self._boot if _absorbs(one, rule, at=line.start, context=context)]:
            for report in self._boot:
                if report not in owners and report.context == context and not rule.continues:
                    report.close_at(line.start)  # what began in between ends here, as it does by itself
            return None
        if rule.once or rule.prompt:
            self._known.add(rule.id)
        before = (self._past + data[: line.start - self._start])[-LONGEST_OPENING:]
        start = line.start if rule.opens is None else _opening(rule.opens, line, before, after=after)
        for report in self._boot:
            if report.context == context and not rule.continues:
                report.close_at(start if start > report.trigger else line.start)
        report = Report(
            rule=rule,
            start=start,
            trigger=line.start,
            causes=frozenset(earlier.rule.id for earlier in self._boot),
            context=context,
            limit=start + LONGEST_REPORT,
            data=bytearray(before[start - line.start :] if start < line.start else b""),
        )
        if rule.prompt:
            report.final, report.complete = _prompt(rule, line, data, offset=self._start), True
        self._boot.append(report)
        return report


def _is_cut_up(data: bytes) -> bool:
    """Tell whether sequences or padding may stand amid the words of `data`."""
    return b"\x1b" in data or b"\0" in data


def _plain_hits(pattern: Pattern, data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where physical lines with a hit begin and end; one that matches across lines takes them all."""
    done = 0
    for match in pattern.finditer(data):
        if match.start() < done:
            continue
        begin = max(done, data.rfind(b"\n", 0, match.start()) + 1)
        done = data.find(b"\n", max(match.start(), match.end() - 1)) + 1 or len(data)
        yield begin, done


def _seen_hits(pattern: Pattern, data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the same for lines of which only a part is seen."""
    begin = 0
    while begin < len(data):
        done = data.find(b"\n", begin) + 1 or len(data)
        if pattern.search(seen(data[begin:done])):
            yield begin, done
        begin = done


def _absorbs(report: Report, rule: Rule, *, at: int, context: bytes) -> bool:
    """Tell whether a trigger of `rule` is another sign of the report's own fault."""
    near = at - report.trigger < ABSORB_REACH
    same = report.context == context or not (report.context and context)
    return near and same and rule.id in report.rule.absorbs


def _opening(opens: Pattern, line: Line, before: bytes, *, after: int) -> int:
    """Return where the report of `line` begins: at the last line before it that opens one, if any."""
    lines = list(split_lines(before, offset=line.start - len(before)))[-OPENING_LINES:]
    mine = (at for at in reversed(lines) if at.context == line.context and at.start > after)
    opened = (at.start for at in mine if opens.search(at.text))
    return next(opened, line.start)


def _prompt(rule: Rule, line: Line, data: bytes, *, offset: int) -> Finding:
    """Return the finding of a prompt; its span ends with the prompt, whatever is typed after it."""
    raw = data[line.start - offset : line.end - offset]
    match = rule.trigger.search(line.shown)
    fires = len(raw) if match is None else end_of_seen(raw, match.end())
    return Finding(
        rule=rule.id,
        kind=rule.kind,
        title=rule.title,
        start=line.start,
        end=line.start + fires,
        fatal=rule.fatal,
    )


def scan_boots(data: bytes, boots: Iterable[int]) -> tuple[Finding, ...]:
    """Return the findings in `data`, cut where boots begin, by offset.

    Args:
        data: a console's raw output.
        boots: offsets at which a boot begins, ascending; 0 may be among them.
    """
    scanner = Scanner()
    fed = 0
    for start in boots:
        if start > fed:
            scanner.feed(data[fed:start])
            scanner.cut(start)
            fed = start
    scanner.feed(data[fed:])
    scanner.finish()
    return scanner.findings
