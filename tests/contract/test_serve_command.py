"""`ttylab serve` as a process: what it says, leaves and refuses. No guest is started."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness.scenario.exit_codes import EXIT_PASSED, EXIT_USAGE
from tests.support.serve_command import WAIT_S, serve

pytestmark = pytest.mark.slow


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-P", "-m", "harness.cli", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=WAIT_S, env=environment, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_answers_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with serve(tmp_path) as served:
        ready = served.wait_ready()
        assert set(ready) == {"endpoint", "ca", "tenant", "subscription", "credentials"}
        assert ready["credentials"]["app"]["client_secret"] == "secret"
        assert ready["credentials"]["dev@localhost"]["password"] == "ttylab"
        assert stat.S_IMODE(served.ready_file.stat().st_mode) == 0o600
        assert served.get("/ca.pem").text == Path(ready["ca"]).read_text(encoding="ascii")
        assert served.get("/health").status_code in {200, 503}
        children = psutil.Process(served.process.pid).children(recursive=True)
        code, out, err = served.end(number)
    assert code == EXIT_PASSED
    assert f"ttylab answers at {ready['endpoint']}" in out
    assert "Traceback" not in err
    assert not served.ready_file.exists()
    assert sorted(path.name for path in served.state.rglob("*")) == [
        "ca", "ca.key", "ca.pem", "lock", "serve",
    ]  # fmt: skip
    assert not [one for one in children if one.is_running()]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(ready["endpoint"].rpartition(":")[2])), timeout=WAIT_S)


def test_kill_leaves_only_what_gc_removes(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        served.wait_ready()
        served.end(signal.SIGKILL)
    left = [path for path in (served.state / "serve").iterdir() if path.is_dir()]
    assert len(left) == 1
    collected = run("gc", environment=served.environment)
    assert f"remove {left[0]}" in collected.stdout
    assert list((served.state / "serve").iterdir()) == []


def test_second_server_on_a_state_directory_is_refused(tmp_path: Path) -> None:
    state = str(tmp_path / "kept")
    with serve(tmp_path, "--state", state) as served:
        served.wait_ready()
        second = run("serve", "--port", "0", "--state", state, environment=served.environment)
        assert served.get("/ca.pem").status_code == 200
    assert second.returncode == EXIT_USAGE
    assert second.stderr.count("\n") == 1
    assert f"{state} is used by another ttylab server" in second.stderr


def test_state_is_kept_also_after_a_kill(tmp_path: Path) -> None:
    state = tmp_path / "kept"
    with serve(tmp_path, "--state", str(state)) as served:
        first = served.wait_ready()
        served.end(signal.SIGKILL)
    served.ready_file.unlink()
    with serve(tmp_path, "--state", str(state)) as served:
        second = served.wait_ready()
        _, _, err = served.end(signal.SIGINT)
    assert "records come from the state directory" in err
    assert second["ca"] == first["ca"] == str(state / "ca" / "ca.pem")
    assert second["credentials"]["app"] == first["credentials"]["app"]


def test_port_in_use_is_refused(tmp_path: Path) -> None:
    environment = os.environ | {"TTYLAB_STATE": str(tmp_path)}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, environment=environment)
    assert done.returncode == EXIT_USAGE
    assert done.stderr == (
        f"ttylab: error: port {port} on 127.0.0.1 is in use; choose another with --port, or 0 for any\n"
    )
    assert list(tmp_path.rglob("*.json")) == []


def test_images_that_are_missing_are_said_not_crashed_on(tmp_path: Path) -> None:
    environment = {"TTYLAB_CACHE": str(tmp_path / "no-images")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TTYLAB_CACHE", environment["TTYLAB_CACHE"])
        with serve(tmp_path) as served:
            health = served.get("/health")
            _, _, err = served.end(signal.SIGINT)
    assert health.status_code == 503
    assert any("ttylab images build" in problem for problem in health.json()["problems"])
    assert "ttylab images build" in err
