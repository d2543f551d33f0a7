"""The second CD of an unattended installation: the answer file in its root, where setup looks for it."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import pycdlib

from emulator.errors import ImageError
from emulator.images.windows.answer_file import ANSWER_FILE

VOLUME = "TTYLAB_ANSWER"
_SHORT_NAME = "/AUTOUNAT.XML;1"


def write_answer_iso(path: Path, answer_file: bytes) -> None:
    """Write a CD with the answer file to a new file, mode 0600: the password is in it.

    Raises:
        ImageError: it can't be written; no file is left.
    """
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, vol_ident=VOLUME)
    try:
        content = BytesIO(answer_file)
        iso.add_fp(content, len(answer_file), _SHORT_NAME, joliet_path=f"/{ANSWER_FILE}")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w+b") as file:
            iso.write_fp(file)
    except FileExistsError as error:
        raise ImageError(f"{path}: there is a file already") from error
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ImageError(f"{path}: can't be written: {error.strerror}") from error
    finally:
        iso.close()
