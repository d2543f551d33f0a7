"""Run lines of az one after another in one process: a process each costs a second of imports.

Prints a list of [exit code, output]; what az says on stderr goes to stderr.
"""

import io
import json
import sys

from azure.cli.core import get_default_cli


def run_line(words: list[str]) -> list[object]:
    out = io.StringIO()
    try:
        code = get_default_cli().invoke(words, out_file=out)
    except SystemExit as end:
        code = end.code
    return [code, out.getvalue()]


def main() -> None:
    said = []
    for words in json.loads(sys.argv[1])["lines"]:
        sys.stderr.write(f"$ az {' '.join(words)}\n")
        said.append(run_line(words))
    print(json.dumps(said))


main()
