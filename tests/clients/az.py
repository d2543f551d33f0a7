"""azure-cli as a process: a configuration directory of its own, and what it said."""

import json
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.environments import python_of
from tests.clients.lab import BOUND_S, TENANT, CloudLab, Said

CLOUD = "ttylab"


@dataclass(frozen=True, kw_only=True)
class Az:
    """az against one service.

    Attributes:
        lab: the service.
        directory: AZURE_CONFIG_DIR.
    """

    lab: CloudLab
    directory: Path

    def settings(self, **more: str) -> dict[str, str]:
        """Return the environment that makes az use its own directory and stay quiet."""
        return {
            "AZURE_CONFIG_DIR": str(self.directory),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CORE_NO_COLOR": "yes",
            **more,
        }

    def argv(self, line: str) -> list[str]:
        """Return the words of a process that runs `line`."""
        return [str(python_of("az")), "-m", "azure.cli", *shlex.split(line)]

    def run(self, line: str, **env: str) -> Said:
        """Return what `az LINE` said as a process of its own."""
        return self.lab.run(self.argv(line), **self.settings(**env))

    def must(self, line: str, **env: str) -> Any:
        """Return the JSON that `az LINE` printed, None where it printed nothing; it must not fail."""
        said = self.run(line, **env)
        assert said.code == 0, f"az {line}: {said.code}\n{said.err}"
        return json.loads(said.out) if said.out.strip() else None

    def lines(self, *lines: str) -> list[Any]:
        """Return the JSON that each line printed, run in one process; none may fail."""
        words = [shlex.split(line) for line in lines]
        said = self.lab.run_program(python_of("az"), "az_lines.py", env=self.settings(), lines=words)
        for line, (code, out) in zip(lines, said, strict=True):
            assert code == 0, f"az {line}: {code}\n{out}"
        return [json.loads(out) if out.strip() else None for _, out in said]

    def start(self, line: str, read: Callable[[str], bool]) -> "Talk":
        """Return `az LINE` still running, once a line on its stderr satisfies `read`."""
        process = subprocess.Popen(
            self.argv(line),
            env=self.lab.environment(**self.settings()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for text in process.stderr:
            if read(text):
                return Talk(process=process, line=text)
        raise AssertionError(f"az {line} ended with {process.wait(BOUND_S)}")


@dataclass(frozen=True, kw_only=True)
class Talk:
    """A process of az that waits for something; `line` is what it said last."""

    process: subprocess.Popen[str]
    line: str

    def end(self) -> Said:
        """Wait for its end and return what it said since."""
        out, err = self.process.communicate(timeout=BOUND_S)
        return Said(code=self.process.returncode, out=out, err=err)


def open_az(lab: CloudLab, directory: Path, *register: str) -> Az:
    """Return az with the cloud registered and chosen, as the README says."""
    directory.mkdir()
    az = Az(lab=lab, directory=directory)
    words = register or ("--endpoint-resource-manager", lab.endpoint)
    az.must(f"cloud register -n {CLOUD} {shlex.join(words)}")
    az.must(f"cloud set -n {CLOUD}")
    return az


def sign_in(az: Az, *, name: str = "app") -> Sequence[dict]:
    """Sign a service principal in and return what az shows."""
    return az.must(f"login --service-principal -u {name} -p secret --tenant {TENANT}")
