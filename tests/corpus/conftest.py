"""The corpus lies beside the checkout, not in it; CI demands it, a user's clone goes without."""

import os
from pathlib import Path

CORPUS = Path(os.environ.get("TTYLAB_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
demanded = bool(os.environ.get("CI") or os.environ.get("TTYLAB_CORPUS"))
CASES = Path(os.environ.get("TTYLAB_CASES") or CORPUS.parent / "cases")
there = {"test_signatures_corpus.py": CORPUS.is_dir(), "test_console_cases.py": CASES.is_dir()}
collect_ignore = [] if demanded else [name for name, is_there in there.items() if not is_there]
