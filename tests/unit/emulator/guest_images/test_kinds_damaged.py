"""A damaged registry of users' images is named with its remedy, and stops nobody who needs none of them."""

import json

import pytest

from emulator.errors import ImageError
from emulator.guest_images.kinds import image_features, open_image, registry_problem
from harness.cli import main
from harness.doctor.examination import examine

MATRIX = """[matrix]
name = "one"
description = "one cell"
[[block]]
images = ["sac"]
machines = ["pc"]
firmwares = ["seabios"]
vcpus = [1]
scenarios = ["sac-boot"]
"""


@pytest.fixture(params=[b"", b"{", b"\xff\0", b"[" * 99_999, b'{"format": 1, "images": [5]}'])
def registry(tmp_path, monkeypatch, request):
    monkeypatch.setenv("TTYLAB_CACHE", str(tmp_path))
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))
    path = tmp_path / "windows" / "images.json"
    path.parent.mkdir()
    path.write_bytes(request.param)
    return path


def test_damaged_registry_is_named_and_blocks_no_other_image(registry, tmp_path, capsys):
    assert "bookworm" in image_features()
    assert f"{registry}: damaged; repair or remove it" in registry_problem()
    assert open_image("sac", build=False).name == "sac"
    with pytest.raises(ImageError, match="damaged; repair or remove it"):
        open_image("ws2022")
    (tmp_path / "matrix.toml").write_text(MATRIX)
    assert main(["run", "--list", str(tmp_path / "matrix.toml")]) == 0
    out, err = capsys.readouterr()
    assert out == "sac.pc.seabios.1.sac-boot\n"
    assert err.startswith(f"ttylab: your own images are left out: {registry}: damaged")
    assert err.count("\n") == 1
    assert main(["images", "list", "--json"]) == 0
    assert "bookworm" in {one["name"] for one in json.loads(capsys.readouterr().out)}
    problems = [one.detail for one in examine() if one.part == "damaged"]
    assert len(problems) == 1
    assert str(registry) in problems[0]
