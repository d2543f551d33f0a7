"""The README's examples are tests that pass on real guests."""

import re
from pathlib import Path

import pytest

from emulator import places
from harness.commands.run import USELESS_PLUGINS

CACHE = places.cache()  # pytester changes HOME, and what is built need not be built again
README = Path(__file__).parents[2] / "README.md"


@pytest.mark.qemu
def test_readme_examples_pass(pytester, monkeypatch):
    monkeypatch.setenv("TTYLAB_CACHE", str(CACHE))
    sources = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    pytester.makepyfile(**{f"test_{number}": source for number, source in enumerate(sources)})
    unwanted = [word for name in USELESS_PLUGINS for word in ("-p", f"no:{name}")]
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *unwanted)
    result.assert_outcomes(passed=3)
