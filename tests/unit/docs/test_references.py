"""Citations: each page, heading and quoted paragraph that a file names is in the repository."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import pytest

CHECKOUT = Path(__file__).parents[3]
FACTS = "docs/facts/"
PROFILES_PAGE = "docs/facts/sac.md"
"""Whose sections the texts of SAC's profiles name."""
GAP = r"(?:\s|\n\s*(?:#|\*|//))+"
"""What parts the words of a citation; it may go on in a comment's next line."""
NUMBERS = rf"\d+(?:\.\d+)*(?:(?:,{GAP}|{GAP}and{GAP})\d+(?:\.\d+)*)*"
WHERE = rf'(?:{GAP}(?P<numbers>{NUMBERS}))?(?:{GAP}"(?P<word>[^"\n]+)")?'
CITATION = re.compile(rf"(?<![\w/.:-])(?P<page>docs/[\w./-]*\w){WHERE}")
SIBLING = re.compile(rf"(?<![\w/.-])(?P<page>[\w-]+\.md)(?![\w/)\]]){WHERE}")
"""How one page of facts cites another."""
LINK = re.compile(r"\]\((?!\w+:|#)(?P<target>[^)\s#]+)")
HEADING = re.compile(r"^##+ (?P<number>\d+(?:\.\d+)*) .*$", re.MULTILINE)
SECTION = re.compile(r'section = "(?P<number>[\d.]+)"')
FOREIGN = re.compile(
    r"(?<![\w/.@-])(?:spec/[\w-]+|(?:\w+/)*[\w-]+\.md,?\s+(?:facts?|findings?|\d)[\w.]*"
    r"|(?:azure|broken-guests|design|parts|peers|qemu|reports|style|user-document|windows-sac)\.md)"
    r"|user[- ]document\b|\b[Ii]ssue (?:\d+, )?part \d|\(specification \d"
)
"""Documents that were never in the repository, and pages that are cited by number, but not as docs/…"""


def find_complaints(files: Mapping[str, str], *, tracked: frozenset[str] = frozenset()) -> Iterator[str]:
    """Check `files`; `tracked` names further files that may be cited."""
    known = tracked | files.keys()
    pages = {name: split_sections(text) for name, text in files.items() if name.endswith(".md")}
    for name, text in files.items():
        of_facts = name.startswith(FACTS)
        for found in CITATION.finditer(text):
            yield from _judge(found, found["page"], name=name, known=known, pages=pages)
        for found in SIBLING.finditer(text) if of_facts else ():
            yield from _judge(found, FACTS + found["page"], name=name, known=known, pages=pages)
        for found in () if of_facts else FOREIGN.finditer(text):
            if not found[0].startswith("docs/"):
                yield f"{_place(name, found)} cites what is not in the repository: {found[0]}"
        for found in LINK.finditer(text) if name.endswith(".md") else ():
            if not _is_known(_resolve(name, found["target"]), known):
                yield f"{_place(name, found)} links to a file that is not there: {found['target']}"
        yield from _judge_profile(name, text, pages.get(PROFILES_PAGE, {}))


def _judge_profile(name: str, text: str, sections: Mapping[str, str]) -> Iterator[str]:
    for found in SECTION.finditer(text) if PurePosixPath(name).parent.name == "profiles" else ():
        if found["number"] not in sections:
            yield f"{_place(name, found)} names a section that {PROFILES_PAGE} has not: {found['number']}"


def split_sections(page: str) -> dict[str, str]:
    """Return each numbered heading's text, with the headings below it."""
    found = list(HEADING.finditer(page))
    ends = [*(heading.start() for heading in found[1:]), len(page)]
    own = {heading["number"]: page[heading.start() : end] for heading, end in zip(found, ends, strict=False)}
    return {
        number: "".join(text for other, text in own.items() if f"{other}.".startswith(f"{number}."))
        for number in own
    }


def _judge(
    found: re.Match[str],
    page: str,
    *,
    name: str,
    known: frozenset[str],
    pages: Mapping[str, Mapping[str, str]],
) -> Iterator[str]:
    if not _is_known(page, known):
        yield f"{_place(name, found)} cites a file that is not there: {page}"
        return
    sections = pages.get(page)
    if not sections or found["numbers"] is None:
        return
    numbers = re.findall(r"\d+(?:\.\d+)*", found["numbers"])
    for number in numbers:
        if number not in sections:
            yield f"{_place(name, found)} cites a heading that {page} has not: {number}"
    word = found["word"]
    if word and all(word.lower() not in sections.get(number, word).lower() for number in numbers):
        yield f'{_place(name, found)} cites a paragraph that {page} {found["numbers"]} has not: "{word}"'


def _place(name: str, found: re.Match[str]) -> str:
    return f"{name}:{found.string.count(chr(10), 0, found.start()) + 1}"


def _is_known(page: str, known: frozenset[str]) -> bool:
    return page in known or any(name.startswith(f"{page}/") for name in known)


def _resolve(name: str, target: str) -> str:
    parts: list[str] = []
    for part in (*PurePosixPath(name).parent.parts, *PurePosixPath(target).parts):
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return "/".join(parts)


def tracked_files() -> dict[str, bytes]:
    argv = ["git", "-C", str(CHECKOUT), "ls-files", "-z"]
    listed = subprocess.run(argv, capture_output=True, check=True, timeout=30).stdout.decode().split("\0")
    return {name: (CHECKOUT / name).read_bytes() for name in listed if (CHECKOUT / name).is_file()}


def test_citations_lead_to_pages_and_headings_of_this_repository() -> None:
    files = tracked_files()
    texts = {
        name: data.decode()
        for name, data in files.items()
        if b"\0" not in data and not name.startswith("tests/corpus/") and (CHECKOUT / name) != Path(__file__)
    }
    assert PROFILES_PAGE in texts
    cited = [found["page"] for text in texts.values() for found in CITATION.finditer(text)]
    assert sum(page.startswith(FACTS) for page in cited) > 50
    assert list(find_complaints(texts, tracked=frozenset(files))) == []


PAGE = "# Facts\n\n## 1 One\n\n### 1.1 Inner\n\n**Storage.** Text.\n\n## 2 Two\n"
BASE = {"docs/facts/sac.md": PAGE}


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.py", "see docs/none.md", "a.py:1 cites a file that is not there: docs/none.md"),
        ("a.py", "\n# docs/facts/none.md 1", "a.py:2 cites a file that is not there: docs/facts/none.md"),
        ("a.py", "docs/facts/sac.md 3", "a.py:1 cites a heading that docs/facts/sac.md has not: 3"),
        (
            "a.py",
            "(docs/facts/sac.md 1,\n# 1.2)",
            "a.py:1 cites a heading that docs/facts/sac.md has not: 1.2",
        ),
        ("a.py", "docs/facts/sac.md\n1 and 4", "a.py:1 cites a heading that docs/facts/sac.md has not: 4"),
        (
            "a.py",
            'docs/facts/sac.md 1 "Audit"',
            'a.py:1 cites a paragraph that docs/facts/sac.md 1 has not: "Audit"',
        ),
        ("a.py", "(spec/qemu.md)", "a.py:1 cites what is not in the repository: spec/qemu"),
        ("a.py", "(azure.md, REC)", "a.py:1 cites what is not in the repository: azure.md"),
        ("a.py", "(sac.md 1)", "a.py:1 cites what is not in the repository: sac.md 1"),
        ("a.py", "design.md, fact 8", "a.py:1 cites what is not in the repository: design.md, fact"),
        ("a.py", "(user-document U3)", "a.py:1 cites what is not in the repository: user-document"),
        ("a.md", "[x](b/c.md)", "a.md:1 links to a file that is not there: b/c.md"),
        (
            "docs/facts/b.md",
            "sac.md 7",
            "docs/facts/b.md:1 cites a heading that docs/facts/sac.md has not: 7",
        ),
        (
            "x/profiles/2022.toml",
            'section = "1.9"',
            "x/profiles/2022.toml:1 names a section that docs/facts/sac.md has not: 1.9",
        ),
    ],
)
def test_check_says_no(name: str, text: str, complaint: str) -> None:
    assert list(find_complaints({**BASE, name: text})) == [complaint]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", 'docs/facts/sac.md 1.1, 2 and docs/facts/sac.md 1 "storage"; 30 boots, docs/shot.png'),
        ("a.py", "docs/facts/sac.md 2, text 14, in docs/facts, https://example.org/docs/x.md"),
        ("a.json", '"@typespec/ts-http-runtime": "^0.3.4"'),
        ("docs/b.md", "[facts](facts/sac.md), [up](../a.txt), [out](https://example.org), [here](#x)"),
        ("docs/facts/b.md", "sac.md 1.1 and [sac.md](sac.md)"),
        ("x/profiles/2022.toml", 'section = "1.1"'),
    ],
)
def test_check_says_yes(name: str, text: str) -> None:
    assert (
        list(find_complaints({**BASE, "a.txt": "", name: text}, tracked=frozenset({"docs/shot.png"}))) == []
    )
