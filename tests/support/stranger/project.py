"""A stranger's repository: a kernel, three disks, a scenario, a signature, a matrix, and their lab.toml."""

from pathlib import Path

from tests.support.stranger import makers
from tests.support.stranger.cloud import cloud_disk

IMAGES = ("azure", "cloud", "mainline", "server")
PASSED = ("nmi-dazed", "reset-shell", "sysrq-help")
"""All from one snapshot: a boot takes as long as everything else that is played on an image."""
FAILED = "fan-stops"
FINDING = "fan NUM stopped"
LAB = """
[lab]
matrix = "ci/push.toml"
scenarios = ["lab/scenarios.py"]
signatures = ["lab/signatures.toml"]

[images.mainline]
kernel = "out/vmlinuz"
initrd = "out/initrd.gz"
login = { user = "root", password_file = "pw" }

[images.server]
disk = "server.qcow2"
login = { user = "root", password_file = "pw" }

[images.azure]
disk = "azure.vhd"
login = { user = "root", password_file = "pw" }

[images.cloud]
disk = "cloud.qcow2"
seed = "cloud-init"
login = { user = "root", password_file = "pw" }
"""
SCENARIOS = """
from harness import Alive, Reach, Run, Scenario, Stage

SCENARIOS = (
    Scenario(
        name="fan-stops",
        title="A fan that stops is found",
        description="Writes what our driver says of a stopped fan; our signature must find it.",
        steps=(
            Reach(stage=Stage.SHELL),
            Run(command="echo '<2>fan0: stopped at 71 C' > /dev/kmsg"),
            Alive(),
        ),
    ),
)
"""
SIGNATURES = """
[[rule]]
id = "fan-stopped"
trigger = '^fan\\d+: stopped at '
title = "fan stopped"
kind = "BUG"
see = "our own driver"
[[rule.form]]
match = 'fan(\\d+): stopped at (\\d+) C'
title = "fan {0} stopped"
needs_trace = false
"""
MATRIX = f"""
[matrix]
name = "mine"
description = "What each push of ours must pass"
[[block]]
images = {list(IMAGES)}
machines = ["pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = {[*PASSED, FAILED]}
"""


def write_project(here: Path) -> dict[str, Path]:
    """Write all of it into a directory; return the files that ttylab must leave as they are, by image."""
    texts = {
        "lab.toml": LAB,
        "lab/scenarios.py": SCENARIOS,
        "lab/signatures.toml": SIGNATURES,
        "ci/push.toml": MATRIX,
    }
    for name, text in {**texts, "pw": f"{makers.PASSWORD}\n"}.items():
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(text)
    (here / "pw").chmod(0o600)
    makers.initramfs(here / "out/initrd.gz")
    server = makers.grub_disk(here / "server.qcow2")
    return {
        "mainline": makers.kernel(here / "out/vmlinuz"),
        "server": server,
        "azure": makers.vhd_of(server, here / "azure.vhd"),
        "cloud": cloud_disk(here / "cloud.qcow2"),
    }
