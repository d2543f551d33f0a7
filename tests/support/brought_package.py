"""A real installed package that brings things to the lab: its wheel is built, and unpacked."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

_PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "1.0"

{entry_points}

[tool.hatch.build.targets.wheel]
packages = ["{module}"]
"""


def install_package(site: Path, name: str, files: Mapping[str, str], entry_points: Mapping[str, str]) -> Path:
    """Install a package with `files` into the directory `site`; return the directory of its module.

    The names of its entry points are that of its module; `entry_points` has the object for each group.
    """
    module = name.replace("-", "_")
    project = site.parent / f"{name}-project"
    for file, text in ({"__init__.py": ""} | dict(files)).items():
        path = project / module / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    points = (
        f'[project.entry-points."{group}"]\n{module} = "{each}"' for group, each in entry_points.items()
    )
    text = _PROJECT.format(name=name, module=module, entry_points="\n".join(points))
    (project / "pyproject.toml").write_text(text)
    (wheel,) = WheelBuilder(str(project)).build(directory=str(project / "dist"), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site / module
