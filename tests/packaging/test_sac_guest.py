"""The SAC guest in the package is what its sources build, and small."""

import pytest

from emulator.sac.build import COMPILER_FILE, DATA, build, compiler

LIMIT = 200_000


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    made_by, here = (DATA / COMPILER_FILE).read_text(encoding="utf-8"), compiler()
    if here != made_by:  # a failure in CI, see conftest.py
        pytest.skip(
            f"the SAC guest was made with {made_by!r}, and {here!r} is here: its bytes can't be compared"
        )
    directory = tmp_path_factory.mktemp("sac")
    build(directory)
    return directory


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.iterdir()))
def test_package_file_is_what_the_sources_build(built, name):
    same = (built / name).read_bytes() == (DATA / name).read_bytes()
    assert same, f"{name} is not what images/sac builds; run: python -m emulator.sac.build"


def test_second_build_gives_the_same_bytes(built, tmp_path):
    build(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in built.iterdir()
    }


def test_package_files_are_small_and_hold_no_path_of_the_builder(built):
    content = b"".join(path.read_bytes() for path in DATA.iterdir())
    assert len(content) <= LIMIT
    assert str(built).encode() not in content
    assert b"images/sac/" not in content
