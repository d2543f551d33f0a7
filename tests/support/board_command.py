"""What a test's board has for power, reset and NMI: a program that asks a machine's control socket."""

import json
import socket
import sys


def main(path: str, word: str) -> None:
    """Ask the control socket at `path` to do `word`."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(path)
        link.sendall(json.dumps({"do": word}).encode() + b"\n")
        answer = json.loads(link.makefile().readline())
    sys.stdout.write(f"asked for {word}\n")
    if not answer.get("ok") and "is off; it must be on" not in str(answer):
        sys.exit(f"refused: {answer}")


if __name__ == "__main__":
    main(*sys.argv[1:])
