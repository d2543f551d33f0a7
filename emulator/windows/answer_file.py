"""The answer file of an unattended installation, Autounattend.xml; pure.

It follows public recipes and Microsoft's documentation of unattend components; nobody here has run it
(docs/facts/sac.md 4.3, 5). It sets up EMS on COM1 and in the boot manager, crash dumps, the power button,
and messages on COM2 that report the progress of the installation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from xml.sax.saxutils import escape

from jinja2 import Environment, StrictUndefined, Template

from emulator.errors import SpecError
from emulator.machine.spec import Firmware

READY = "IMAGE-READY"
"""On COM2: setup is complete, and the machine switches itself off."""
STAGE = "IMAGE-STAGE"
"""On COM2, before the name of a stage."""
ANSWER_FILE = "Autounattend.xml"
ADMINISTRATOR = "Administrator"
_COMPUTER_NAME = re.compile(r"(?!\d+$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,13}[A-Za-z0-9])?")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z]{4})?-[A-Z]{2}")
_PRODUCT_KEY = re.compile(r"(?:[A-Z0-9]{5}-){4}[A-Z0-9]{5}")
_KINDS = ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]")
_PASSWORD = re.compile(r"[!-~]{8,63}")
_ONLY = "1-15 of A-Z a-z 0-9 -, not digits alone, no - at its ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What an installation is told.

    Attributes:
        image_index: the edition's number in the WIM, from 1.
        password: Administrator's password; SAC's cmd lets nobody in without one.
        firmware: what the machine boots under: "ovmf" makes a GPT disk, "seabios" an MBR one.
        computer_name: the machine's name.
        language: language of setup and of the system; the media must have it.
        product_key: empty for evaluation media, which take none.

    Raises:
        SpecError: a value is wrong; the text names it and what is allowed, and shows no password.
    """

    image_index: int
    password: str = field(repr=False)
    firmware: Firmware = Firmware.OVMF
    computer_name: str = "TTYLAB-WIN"
    language: str = "en-US"
    product_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what setup would stop at without anybody seeing it."""
        if self.image_index < 1:
            raise SpecError(f"image_index is {self.image_index!r}; allowed: from 1")
        kinds = sum(bool(re.search(kind, self.password)) for kind in _KINDS)
        if not _PASSWORD.fullmatch(self.password) or kinds < 3:
            raise SpecError(
                "the password is refused by Windows' policy, or can't be typed at SAC; allowed: 8-63 "
                "printable ASCII characters, no blanks, 3 kinds of: lower case, upper case, digits, others"
            )
        if not _COMPUTER_NAME.fullmatch(self.computer_name):
            raise SpecError(f"computer_name is {self.computer_name!r}; allowed: {_ONLY}")
        if not _LANGUAGE.fullmatch(self.language):
            raise SpecError(f"language is {self.language!r}; allowed: as in en-US, de-DE, zh-Hans-CN")
        if self.product_key and not _PRODUCT_KEY.fullmatch(self.product_key):
            raise SpecError("the product key is wrong; allowed: XXXXX-XXXXX-XXXXX-XXXXX-XXXXX, or none")


def render_answer_file(answers: Answers) -> bytes:
    """Return the answer file, UTF-8 with a declaration and CR LF line ends; it contains the password."""
    uefi = answers.firmware.is_uefi
    system = (("EFI", 100), ("MSR", 128)) if uefi else (("Primary", 500),)
    text = _template().render(
        answers=answers,
        uefi=uefi,
        partitions=(*system, ("Primary", None)),  # each with its MiB; the last has the rest
        stage=STAGE,
        ready=READY,
        administrator=ADMINISTRATOR,
        microsoft="31bf3856ad364e35",  # of all of Windows' own components
    )
    return f"{text}\n".replace("\n", "\r\n").encode()


@cache
def _template() -> Template:
    source = resources.files("emulator.windows").joinpath(f"{ANSWER_FILE}.jinja")
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701  # by `text`, as XML
    environment.filters["text"] = escape
    return environment.from_string(source.read_text(encoding="utf-8"))
