"""Where the logs of others are: beside the checkout, not in it. A clone goes without, also in its own CI."""

import os
from pathlib import Path

DEMANDED = os.environ.get("TTYLAB_CORPUS", "")
"""The directory that whoever starts the tests names, as `.ci/run` does: its absence is a failure then."""
CORPUS = Path(DEMANDED) if DEMANDED else Path(__file__).parents[3] / "shared" / "corpus"
IS_LEFT_OUT = not DEMANDED and not CORPUS.is_dir()
