"""What JUnit's readers take: the rules of Jenkins' xunit plug-in (junit-10.xsd) that ttylab could break.

GitLab and the actions for GitHub read less strictly; `read_as_gitlab` is what GitLab makes of the cases.
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

_COUNTS = frozenset({"tests", "failures", "errors"})
_OUTCOMES = frozenset({"skipped", "error", "failure"})
_TEXTS = frozenset({"system-out", "system-err"})
ATTRIBUTES = {
    "testsuites": _COUNTS | {"name", "time"},
    "testsuite": _COUNTS | set("name time skipped timestamp hostname id package file log url group".split()),  # noqa: SIM905
    "testcase": frozenset({"name", "time", "classname", "group"}),
    "property": frozenset({"name", "value"}),
    **dict.fromkeys(_OUTCOMES, frozenset({"type", "message"})),
}
NEEDED = {"testsuite": _COUNTS | {"name"}, "testcase": {"name"}, "property": {"name", "value"}}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": _TEXTS | {"testsuite", "properties", "testcase"},
    "testcase": _OUTCOMES | _TEXTS,
    "properties": {"property"},
}
_HOLDS_TEXT = _OUTCOMES | _TEXTS
_TIME = re.compile(r"[0-9]*(\.[0-9]*)?")


def violations(element: ET.Element) -> Iterator[str]:
    """Give what the schema refuses in `element`, which is a whole document or a part of one."""
    tag, names = element.tag, set(element.attrib)
    yield from (f"{tag} has the attribute {name}" for name in names - ATTRIBUTES.get(tag, frozenset()))
    yield from (f"{tag} lacks the attribute {name}" for name in NEEDED.get(tag, set()) - names)
    if tag in {"testsuites", "testsuite"} and not _TIME.fullmatch(element.get("time", "")):
        yield f"{tag} has the time {element.get('time')!r}"
    if tag not in _HOLDS_TEXT and (element.text or "").strip():
        yield f"{tag} has text"
    for child in element:
        if child.tag not in CHILDREN.get(tag, set()):
            yield f"{tag} has the element {child.tag}"
        yield from violations(child)


def read_as_gitlab(root: ET.Element) -> dict[tuple[str | None, str | None], tuple[str, str]]:
    """Return outcome and text that GitLab shows for each case, by class and name."""
    shown = {}
    for case in root.iter("testcase"):
        found = [child for tag in ("failure", "error", "skipped") for child in case.findall(tag)]
        key = case.get("classname"), case.get("name")
        shown[key] = (found[0].tag, found[0].text or "") if found else ("success", "")
    return shown
