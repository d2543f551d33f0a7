"""As much of GitHub's runner as a workflow of ours uses: its expressions, files, artifacts, and bash."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NOTHING = ("actions/checkout", "actions/cache")
"""Actions that change nothing where the repository and the cache are there already."""


@dataclass(kw_only=True)
class Runner:
    """Plays the jobs of a workflow, one after the other, in one repository.

    Attributes:
        workflow: the file.
        repository: where its steps run.
        temporary: RUNNER_TEMP, with what the runner needs itself.
        variables: the environment.
        given: variables of the workflow that its user has changed.
        log: what the steps said.
    """

    workflow: Mapping[str, Any]
    repository: Path
    temporary: Path
    variables: dict[str, str]
    given: Mapping[str, str]
    log: list[str] = field(default_factory=list)
    _played: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.temporary.mkdir()
        self.artifacts.mkdir()
        tools = self.temporary / "tools"
        tools.mkdir()
        (tools / "sudo").write_text("#!/bin/sh\nexit 0\n")  # nothing of this machine is changed
        (tools / "sudo").chmod(0o755)
        self.variables["PATH"] = f"{tools}:{self.variables['PATH']}"
        self.variables |= {
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_PATH": str(self.temporary / "path"),
        }

    @property
    def artifacts(self) -> Path:
        return self.temporary / "artifacts"

    @property
    def summary(self) -> Path:
        return self.temporary / "summary.md"

    def play(self, job: str, context: Mapping[str, str]) -> int:
        """Play a job and return 0, or the exit code of the first step that failed."""
        shutil.rmtree(self.repository / "results", ignore_errors=True)
        code = 0
        for step in self.workflow["jobs"][job]["steps"]:
            condition = step.get("if", "success()")
            assert condition in {"success()", "always()", "github.event_name == 'schedule'"}, condition
            if condition == "always()" or (condition == "success()" and not code):
                code = self._step(step, context) or code
        return code

    def _step(self, step: Mapping[str, Any], context: Mapping[str, str]) -> int:
        if "uses" in step:
            self._use(step["uses"].partition("@")[0], step.get("with", {}), context)
            return 0
        script = self._filled(step["run"], context)
        if step["name"].startswith("Install") and script in self._played:
            return 0  # jobs have machines of their own; here it is installed already
        self._played.add(script)
        return self._bash(script, context)

    def _bash(self, script: str, context: Mapping[str, str]) -> int:
        own = {name: self._filled(str(value), context) for name, value in self.workflow["env"].items()}
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.repository,
            env={**self.variables, **own, **self.given},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=280,
            check=False,
        )
        self.log += done.stdout.splitlines()
        added = Path(self.variables["GITHUB_PATH"])
        if added.exists():
            self.variables["PATH"] = ":".join([*added.read_text().split(), self.variables["PATH"]])
            added.unlink()
        return done.returncode

    def _use(self, action: str, options: Mapping[str, str], context: Mapping[str, str]) -> None:
        if action == "actions/upload-artifact":
            target = self.artifacts / self._filled(options["name"], context)
            shutil.copytree(self.repository / options["path"], target, dirs_exist_ok=True)
        elif action == "actions/download-artifact":
            for artifact in self.artifacts.glob(options["pattern"]):
                shutil.copytree(artifact, self.repository / options["path"] / artifact.name)
        else:
            assert action in NOTHING, action

    def _filled(self, text: str, context: Mapping[str, str]) -> str:
        known = {"github.workspace": str(self.repository), **context}
        return re.sub(r"\$\{\{ *(.*?) *\}\}", lambda found: known[found[1]], text)
