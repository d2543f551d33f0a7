"""As much of GitHub's, GitLab's and Azure's runners as workflows of ours use: variables, artifacts, bash.

Jobs that play guests are played once, by whichever provider comes first: the others' get what was kept of the
same command. Nothing of this machine is changed.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

_PLAYED_ONCE = """#!{python}
import os, shutil, sys
kept, words = {kept!r}, sys.argv[1:]
path = os.environ["PATH"].split(":")
os.environ["PATH"] = ":".join(path[path.index({tools!r}) + 1 :])
if words[0] != "run":
    os.execvp("ttylab", ["ttylab", *words])
place = words[words.index("--run-dir") + 1]
asked = [word for word in words if word != place]
known = os.path.join(kept, "_".join(asked).replace("/", "-"))
if not os.path.isdir(known):
    code = os.spawnvp(os.P_WAIT, "ttylab", ["ttylab", *words])
    shutil.copytree(place, known)
    open(known + ".code", "w").write(str(code))
else:
    shutil.copytree(known, place)
sys.exit(int(open(known + ".code").read()))
"""


@dataclass(kw_only=True)
class Runner:
    """Plays the jobs of a workflow, one after the other, in one repository.

    Attributes:
        file: the workflow.
        repository: where its steps run.
        temporary: what the runner needs itself.
        kept: what earlier jobs have played.
        variables: the environment.
        given: variables of the workflow that its user has changed.
        log: what the steps said.
    """

    file: Path
    repository: Path
    temporary: Path
    kept: Path
    variables: dict[str, str]
    given: Mapping[str, str]
    log: list[str] = field(default_factory=list)
    workflow: dict[str, Any] = field(init=False)
    _installed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.workflow = yaml.load(self.file.read_text(), yaml.SafeLoader)
        for place in (self.temporary, self.artifacts, self.tools, self.kept):
            place.mkdir(exist_ok=True)
        for name in ("sudo", "apt-get"):
            self._tool(name, "#!/bin/sh\nexit 0\n")
        played = _PLAYED_ONCE.format(python=sys.executable, kept=str(self.kept), tools=str(self.tools))
        self._tool("ttylab", played)

    @property
    def artifacts(self) -> Path:
        return self.temporary / "artifacts"

    @property
    def tools(self) -> Path:
        return self.temporary / "tools"

    def _tool(self, name: str, text: str) -> None:
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def bash(self, script: str, variables: Mapping[str, str]) -> int:
        """Run a script of a step and return its exit code."""
        path = f"{self.tools}:{self.variables['PATH']}"
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.repository,
            env={**self.variables, **variables, **self.given, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=280,
            check=False,
        )
        self.log += done.stdout.splitlines()
        return done.returncode

    def prepend(self, directory: str) -> None:
        self.variables["PATH"] = f"{directory}:{self.variables['PATH']}"

    def collect(self, path: str, name: str) -> None:
        """Keep what a job leaves, and take it from the repository: the next job has a machine of its own."""
        shutil.move(self.repository / path, self.artifacts / name)


class GitHub(Runner):
    """GitHub Actions: expressions, files of the runner, the actions that are used."""

    place: ClassVar[str] = ".github/workflows/ttylab.yml"

    @property
    def summary(self) -> str:
        return (self.temporary / "summary.md").read_text()

    def play_shard(self, number: int, shards: int) -> int:
        return self._play("run", {"matrix.shard": f"{number}/{shards}", "strategy.job-index": str(number)})

    def play_report(self) -> int:
        return self._play("report", {})

    def _play(self, job: str, context: Mapping[str, str]) -> int:
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
        if step["name"].startswith("Install") and script in self._installed:
            return 0  # jobs have machines of their own; here it is installed already
        self._installed.add(script)
        own = {name: self._filled(str(value), context) for name, value in self.workflow["env"].items()}
        added = self.temporary / "path"
        files = {"GITHUB_PATH": str(added), "GITHUB_STEP_SUMMARY": str(self.temporary / "summary.md")}
        code = self.bash(script, {**own, **files, "RUNNER_TEMP": str(self.temporary)})
        if added.exists():
            self.prepend(added.read_text().strip())
            added.unlink()
        return code

    def _use(self, action: str, options: Mapping[str, str], context: Mapping[str, str]) -> None:
        if action == "actions/upload-artifact":
            self.collect(options["path"], self._filled(options["name"], context))
        elif action == "actions/download-artifact":
            for artifact in self.artifacts.glob(options["pattern"]):
                shutil.copytree(artifact, self.repository / options["path"] / artifact.name)
        else:
            assert action in {"actions/checkout", "actions/cache"}, action

    def _filled(self, text: str, context: Mapping[str, str]) -> str:
        known = {"github.workspace": str(self.repository), **context}
        return re.sub(r"\$\{\{ *(.*?) *\}\}", lambda found: known[found[1]], text)


class GitLab(Runner):
    """GitLab CI: `extends`, one shell for a job's lines, artifacts that all later jobs get."""

    place: ClassVar[str] = ".gitlab-ci.yml"

    @property
    def summary(self) -> str:
        return (self.artifacts / "results/summary.md").read_text()

    def play_shard(self, number: int, shards: int) -> int:
        assert self.workflow["run"]["parallel"] == shards
        return self._play("run", {"CI_NODE_INDEX": str(number), "CI_NODE_TOTAL": str(shards)})

    def play_report(self) -> int:
        for artifact in self.artifacts.iterdir():
            shutil.copytree(artifact, self.repository / artifact.name)
        return self._play("report", {})

    def _play(self, name: str, variables: Mapping[str, str]) -> int:
        job = {**self.workflow[self.workflow[name]["extends"]], **self.workflow[name]}
        lines = [*job["before_script"], *job["script"]]
        if (self.temporary / "ttylab").exists():  # by an earlier job, which has a machine of its own
            lines = [line for line in lines if "-m venv" not in line and "bin/pip" not in line]
        script = "\n".join(lines).replace("/opt/ttylab", str(self.temporary / "ttylab"))
        own = {
            key: str(value).replace("$CI_PROJECT_DIR", str(self.repository))
            for key, value in self.workflow["variables"].items()
        }
        # A job's PATH is changed by its own lines: the tools stay in front of what they install.
        script = script.replace('bin:$PATH"', f'bin:$PATH"; export PATH="{self.tools}:$PATH"')
        code = self.bash(script, {**own, **variables, "CI_JOB_URL": "https://gitlab.test/job/1"})
        assert job["artifacts"]["when"] == "always" or code == 0
        for pattern in job["artifacts"]["paths"]:
            for found in self.repository.glob(pattern):
                shutil.rmtree(self.artifacts / found.name, ignore_errors=True)
                self.collect(found.name, found.name)
        for report in job["artifacts"].get("reports", {}).values():
            text = (self.artifacts / report).read_text()
            self.log += [text] if report.endswith("annotations.json") else []
        return code


class Azure(Runner):
    """Azure Pipelines: macros, logging commands, the tasks that are used."""

    place: ClassVar[str] = "azure-pipelines.yml"

    @property
    def summary(self) -> str:
        (uploaded,) = [line for line in self.log if line.startswith("##vso[task.uploadsummary]")]
        assert uploaded.endswith(f"{self.repository}/results/summary.md")
        return (self.artifacts / "ttylab/summary.md").read_text()

    def play_shard(self, number: int, shards: int) -> int:
        variables = {
            "SYSTEM_JOBPOSITIONINPHASE": str(number),
            "SYSTEM_TOTALJOBSINPHASE": str(shards),
        }
        assert self.workflow["jobs"][0]["strategy"]["parallel"] == shards
        return self._play(0, variables)

    def play_report(self) -> int:
        return self._play(1, {})

    def _play(self, job: int, variables: Mapping[str, str]) -> int:
        own = {
            "AGENT_TEMPDIRECTORY": str(self.temporary),
            "PIPELINE_WORKSPACE": str(self.temporary / "workspace"),
            **variables,
        }
        own |= {name: self._filled(str(value), own) for name, value in self.workflow["variables"].items()}
        code = 0
        for step in self.workflow["jobs"][job]["steps"]:
            condition = step.get("condition", "succeeded()")
            if condition == "always()" or (condition == "succeeded()" and not code):
                code = self._step(step, own) or code
        return code

    def _step(self, step: Mapping[str, Any], variables: Mapping[str, str]) -> int:
        if "script" in step:
            return self._script(step, variables)
        if "publish" in step:
            self.collect(step["publish"], self._filled(step["artifact"], variables))
        elif "download" in step:
            for artifact in self.artifacts.glob(step["patterns"].partition("/")[0]):
                shutil.copytree(artifact, Path(variables["PIPELINE_WORKSPACE"]) / artifact.name)
        elif step["task"] == "PublishTestResults@2":
            assert (self.repository / step["inputs"]["testResultsFiles"]).is_file()
        else:
            assert step["task"] == "Cache@2", step
        return 0

    def _script(self, step: Mapping[str, Any], variables: Mapping[str, str]) -> int:
        if step["displayName"].startswith("Install") and step["script"] in self._installed:
            return 0
        self._installed.add(step["script"])
        said = len(self.log)
        code = self.bash(step["script"], variables)
        for line in self.log[said:]:
            if line.startswith("##vso[task.prependpath]"):
                self.prepend(line.partition("]")[2])
        return code

    def _filled(self, text: str, variables: Mapping[str, str]) -> str:
        known = {name.upper(): value for name, value in {**os.environ, **variables}.items()}
        return re.sub(r"\$\(([\w.]+)\)", lambda found: known[found[1].replace(".", "_").upper()], text)


RUNNERS = (GitHub, GitLab, Azure)
