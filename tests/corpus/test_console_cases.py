"""The scanner against small logs that once failed, or must not (../shared/cases says what each must give)."""

import json
import re
from functools import cache

import pytest

from harness.commands.scan import scan_file
from harness.signatures.model import ALWAYS_ARMED
from tests.support.corpus import CORPUS

CASES = CORPUS.parent / "cases" / "console-logs"


@cache
def cases():
    path = CASES / "cases.json"
    return {one["file"]: one for one in json.loads(path.read_text())} if path.is_file() else {}


def test_cases_are_there():
    assert len(cases()) == 37, f"{CASES} is missing: it lies beside the corpus"


@pytest.mark.parametrize("file", sorted(cases()))
def test_case_gives_what_it_must(file):
    wanted = cases()[file]
    found = [finding for finding in scan_file(CASES / file) if not finding.suppressed]
    if wanted["finding"] is None:
        assert found == []
        return
    # Of several boots, the last one's: the first one's hang is a finding too.
    named = found if len({finding.start for finding in found}) > 1 and "boots" in file else found[:1]
    assert any(re.search(wanted["finding"], f"{one.title}\n{one.kind}") for one in named)
    if wanted["fatal"]:
        assert any(finding.fatal or finding.rule in ALWAYS_ARMED for finding in found)
