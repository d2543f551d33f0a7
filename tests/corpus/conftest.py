"""The corpus lies beside the checkout, not in it; `.ci/run` demands it, a clone goes without."""

from tests.support.corpus import IS_LEFT_OUT

collect_ignore = ["test_signatures_corpus.py", "test_console_cases.py"] if IS_LEFT_OUT else []
