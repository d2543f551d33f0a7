"""The wheel: both packages with their data, built by hatchling without network."""

import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    (wheel,) = WheelBuilder(str(CHECKOUT)).build(
        directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"]
    )
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files(folder: str) -> set[str]:
    return {
        path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / folder).rglob("*") if path.is_file()
    }


def test_wheel_holds_every_module_and_data_file_of_both_packages(names: set[str]) -> None:
    shipped = {name for name in files("emulator") | files("harness") if "/node_modules/" not in name}
    assert {name for name in shipped if "__pycache__" not in name} - names == set()
    assert {"emulator/py.typed", "harness/py.typed"} <= names


def test_wheel_holds_the_sources_of_the_guests(names: set[str]) -> None:
    wanted = {
        f"emulator/images/data/{name.removeprefix('images/')}"
        for folder in ("grub", "linux")
        for name in files(f"images/{folder}")
    }
    assert {"emulator/images/data/catalog.toml", *wanted} - names == set()


def test_wheel_holds_nothing_else(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} - {"emulator", "harness"} == {
        name.split("/")[0] for name in names if ".dist-info/" in name
    }


def test_plugin_is_registered_under_its_modules_name() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    plugins = project["entry-points"]["pytest11"]
    assert plugins == {
        "harness.pytest_plugin": "harness.pytest_plugin"
    }  # any other name crashes (docs/facts/parts.md 3)
