"""Tables as TOML: what is written is what is read again."""

import tomllib
from pathlib import Path

import pytest

from emulator.errors import SpecError
from emulator.lab_file.read import read_lab
from emulator.lab_file.tables import ImageTable, Login
from emulator.lab_file.write import toml_key, toml_tables, toml_value

ODD = 'a "quoted" \\ path\twith\x7fé'


@pytest.mark.parametrize("value", [True, 7, 1.5, ODD, ["a", ODD], {"key": [1, 2], "text": ODD}])
def test_values_are_read_as_they_were(value: object) -> None:
    assert tomllib.loads(f"value = {toml_value(value)}") == {"value": value}


def test_an_image_is_read_as_it_was(tmp_path: Path) -> None:
    table = ImageTable(
        kernel=tmp_path / ODD,
        initrd=Path("ttylab"),
        append=("loglevel=8", 'x="a b"'),
        memory_mib=512,
        login=Login(user="admin", password_file=tmp_path / "pw"),
    )
    text = toml_tables({"lab": {}, f"images.{toml_key('a.b')}": table})
    assert "boot_timeout_s" not in text
    (tmp_path / "lab.toml").write_text(text)
    assert read_lab(tmp_path / "lab.toml").images == {"a.b": table}


def test_a_name_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(SpecError, match="is not UTF-8"):
        toml_value(Path("a\udcff"))
