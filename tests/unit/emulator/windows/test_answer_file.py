"""The answer file: complete by our own check, which says no to each thing that is missing."""

import re
from xml.etree import ElementTree as ET

import pytest

from emulator.errors import SpecError
from emulator.machine.spec import Firmware
from emulator.windows.answer_file import (
    READY,
    Answers,
    render_answer_file,
)
from tests.support.answer_file_check import BOOT_SETTINGS, UNATTEND, find_gaps

PASSWORD = "Secret<&>99"
ANSWERS = Answers(image_index=2, password=PASSWORD)


def texts(document, name):
    return [found.text for found in ET.fromstring(document).iter(f"{{{UNATTEND}}}{name}")]


@pytest.mark.parametrize("firmware", [Firmware.OVMF, Firmware.SEABIOS])
@pytest.mark.parametrize("key", ["", "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"])
def test_answer_file_is_complete(firmware, key):
    document = render_answer_file(
        Answers(image_index=3, password=PASSWORD, firmware=firmware, product_key=key)
    )
    assert find_gaps(document) == []
    assert texts(document, "Value") == ["3", PASSWORD, PASSWORD]
    assert texts(document, "Type") == (
        ["EFI", "MSR", "Primary"] if firmware is Firmware.OVMF else ["Primary", "Primary"]
    )
    assert texts(document, "Active") == ([] if firmware is Firmware.OVMF else ["true"])
    assert texts(document, "Key") == ["/IMAGE/INDEX", *([key] if key else [])]
    assert document.startswith(b"<?xml version=")
    assert document.count(b"\n") == document.count(b"\r\n")


@pytest.mark.parametrize(
    "name",
    [
        "UILanguage", "DiskID", "WillWipeDisk", "Key", "Value", "AcceptEula", "ComputerName", "TimeZone",
        "HideEULAPage", "PlainText", "Enabled", "Path", "CommandLine", "Order",
    ],
)  # fmt: skip
def test_check_misses_what_is_empty(name):
    document = render_answer_file(ANSWERS).decode()
    emptied = re.sub(f"<{name}>[^<]+<", f"<{name}><", document)
    assert emptied != document
    assert find_gaps(emptied.encode())


@pytest.mark.parametrize(
    ("old", "new", "gap"),
    [
        (b"<AcceptEula>true", b"<AcceptEula>false", "UserData/AcceptEula is false, not true"),
        (b'pass="specialize"', b'pass="generalize"', "specialize lacks Microsoft-Windows-Shell-Setup"),
        (b"publicKeyToken=", b"publicToken=", "has no publicKeyToken"),
        (b"<PartitionID>3</PartitionID>\r\n          </InstallTo>",
         b"<PartitionID>7</PartitionID>\r\n          </InstallTo>", "goes to partition ['7']"),
        (b"<Type>MSR</Type>", b"<Order>5</Order>", "partitions are made in the order"),
        (BOOT_SETTINGS[1].encode(), b"bcdedit", "does not run bcdedit /ems {current} on"),
        (f"echo {READY}".encode(), b"echo", f"does not end by {READY} and shutdown"),
        (b"IMAGE-STAGE setup", b"IMAGE-STAGE", "windowsPE does not tell COM2 of the stage setup"),
        (b"<WillWipeDisk>true", b"<WillWipeDisk>", "lacks Microsoft-Windows-Setup/DiskConfiguration"),
        (b"schemas-microsoft-com:unattend", b"else", "the root is"),
        (b"</unattend>", b"", "not well-formed"),
    ],
)  # fmt: skip
def test_check_says_no(old, new, gap):
    document = render_answer_file(ANSWERS)
    assert old in document
    gaps = find_gaps(document.replace(old, new))
    assert any(gap in one for one in gaps), gaps


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"image_index": 0}, "image_index is 0; allowed: from 1"),
        ({"password": "short1A"}, "the password is refused"),
        ({"password": "alllowercase"}, "the password is refused"),
        ({"password": "With blank 1"}, "the password is refused"),
        ({"password": "Umläut-99"}, "the password is refused"),
        ({"computer_name": "12345"}, "computer_name is '12345'"),
        ({"computer_name": "a" * 16}, "computer_name is"),
        ({"language": "english"}, "language is 'english'"),
        ({"product_key": "AAAAA"}, "the product key is wrong"),
    ],
)
def test_wrong_answers_are_refused_and_no_secret_is_shown(changes, text):
    with pytest.raises(SpecError) as caught:
        Answers(**({"image_index": 1, "password": PASSWORD} | changes))
    assert text in str(caught.value)
    for secret in ("password", "product_key"):
        assert secret not in changes or changes[secret] not in str(caught.value)


def test_secrets_are_not_shown():
    answers = Answers(image_index=1, password=PASSWORD, product_key="AAAAA-BBBBB-CCCCC-DDDDD-EEEEE")
    assert PASSWORD not in repr(answers)
    assert "AAAAA" not in repr(answers)
