"""The README's example is a test that passes on a real guest."""

import re
from pathlib import Path

import pytest

from emulator.images import default_root

CACHE = default_root().parent  # pytester changes HOME, and what is built need not be built again
README = Path(__file__).parents[2] / "README.md"


@pytest.mark.qemu
def test_readme_example_passes(pytester, monkeypatch):
    monkeypatch.setenv("TTYLAB_CACHE", str(CACHE))
    (source,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    pytester.makepyfile(source)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
