"""The answer file of an unattended installation, Autounattend.xml; pure.

It follows public recipes and Microsoft's documentation of unattend components; nobody here has run it
(docs/facts/sac.md 4.3, 5). It sets up EMS on COM1 and in the boot manager, crash dumps, the power button,
and messages on COM2 that report the progress of the installation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from emulator.errors import SpecError
from emulator.machine.spec import Firmware

READY = "IMAGE-READY"
"""On COM2: setup is complete, and the machine switches itself off."""
STAGE = "IMAGE-STAGE"
"""On COM2, before the name of a stage."""
STAGES = ("setup", "specialize", "first-logon")

_CRASH = r"reg add HKLM\SYSTEM\CurrentControlSet\Control\CrashControl"
_POLICY = r"reg add HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System"


def _tell(text: str) -> str:
    return f'cmd /c "echo {text}> COM2"'


WINDOWS_PE = (_tell(f"{STAGE} {STAGES[0]}"),)
BOOT_SETTINGS = (
    "bcdedit /emssettings EMSPORT:1 EMSBAUDRATE:115200",
    "bcdedit /ems {current} on",
    "bcdedit /set {bootmgr} displaybootmenu yes",
    "bcdedit /set {bootmgr} timeout 10",
    "bcdedit /set {bootmgr} bootems yes",
    # A test image often loses its power; it must not stop at a recovery menu.
    "bcdedit /set {current} bootstatuspolicy IgnoreAllFailures",
    "bcdedit /set {current} recoveryenabled no",
)
SPECIALIZE = (
    _tell(f"{STAGE} {STAGES[1]}"),
    *BOOT_SETTINGS,
    "sc config sacsvr start= auto",
    f"{_CRASH} /v AutoReboot /t REG_DWORD /d 1 /f",
    f"{_CRASH} /v CrashDumpEnabled /t REG_DWORD /d 2 /f",
    f"{_CRASH} /v DumpFile /t REG_EXPAND_SZ /d %SystemRoot%\\MEMORY.DMP /f",
    f"{_CRASH} /v Overwrite /t REG_DWORD /d 1 /f",
    f"{_CRASH} /v AlwaysKeepMemoryDump /t REG_DWORD /d 1 /f",
    f"{_POLICY} /v shutdownwithoutlogon /t REG_DWORD /d 1 /f",
    "powercfg /setacvalueindex SCHEME_CURRENT SUB_BUTTONS PBUTTONACTION 3",
    "powercfg /setactive SCHEME_CURRENT",
    "powercfg /h off",
)
FIRST_LOGON = (
    _tell(f"{STAGE} {STAGES[2]}"),
    'cmd /c "bcdedit /enum all> COM2"',  # helps to find out why SAC stays silent
    _tell(READY),
    "shutdown /s /t 0",
)


ANSWER_FILE = "Autounattend.xml"
ADMINISTRATOR = "Administrator"
UNATTEND = "urn:schemas-microsoft-com:unattend"
WCM = "http://schemas.microsoft.com/WMIConfig/2002/State"
_ACTION = f"{{{WCM}}}action"
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
    ET.register_namespace("", UNATTEND)
    ET.register_namespace("wcm", WCM)
    root = ET.Element(f"{{{UNATTEND}}}unattend")
    _windows_pe(_settings(root, "windowsPE"), answers)
    _specialize(_settings(root, "specialize"), answers)
    _oobe(_settings(root, "oobeSystem"), answers)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text.replace(b"\n", b"\r\n") + b"\r\n"


def _windows_pe(settings: ET.Element, answers: Answers) -> None:
    international = _component(settings, "Microsoft-Windows-International-Core-WinPE")
    _texts(international, SetupUILanguage__UILanguage=answers.language)
    _languages(international, answers)
    setup = _component(settings, "Microsoft-Windows-Setup")
    _commands(setup, "RunSynchronous", WINDOWS_PE)
    partition = _disk(_child(setup, "DiskConfiguration"), answers)
    image = _child(setup, "ImageInstall/OSImage")
    chosen = _added(_child(image, "InstallFrom"), "MetaData")
    _texts(chosen, Key="/IMAGE/INDEX", Value=str(answers.image_index))
    _texts(image, InstallTo__DiskID="0", InstallTo__PartitionID=str(partition), WillShowUI="OnError")
    user = _child(setup, "UserData")
    _texts(user, AcceptEula="true")
    if answers.product_key:
        _texts(user, ProductKey__Key=answers.product_key, ProductKey__WillShowUI="Never")


def _disk(configuration: ET.Element, answers: Answers) -> int:
    """Lay out disk 0, and return the number of the partition for Windows."""
    uefi = answers.firmware.is_uefi
    system = (("EFI", "100"), ("MSR", "128")) if uefi else (("Primary", "500"),)
    wanted = (*system, ("Primary", ""))
    formats = {1: ("FAT32" if uefi else "NTFS", "System"), len(wanted): ("NTFS", "Windows")}
    _texts(configuration, WillShowUI="OnError")
    disk = _added(configuration, "Disk")
    _texts(disk, DiskID="0", WillWipeDisk="true")
    for number, (kind, size) in enumerate(wanted, start=1):
        made = _added(_child(disk, "CreatePartitions"), "CreatePartition")
        _texts(made, Order=str(number), Type=kind, **({"Size": size} if size else {"Extend": "true"}))
    for order, (number, (format_, label)) in enumerate(formats.items(), start=1):
        changed = _added(_child(disk, "ModifyPartitions"), "ModifyPartition")
        _texts(changed, Order=str(order), PartitionID=str(number), Format=format_, Label=label)
        if number == 1 and not uefi:
            _texts(changed, Active="true")
        if number == len(wanted):
            _texts(changed, Letter="C")
    return len(wanted)


def _specialize(settings: ET.Element, answers: Answers) -> None:
    shell = _component(settings, "Microsoft-Windows-Shell-Setup")
    _texts(shell, ComputerName=answers.computer_name, TimeZone="UTC")  # as the machine's clock
    _commands(_component(settings, "Microsoft-Windows-Deployment"), "RunSynchronous", SPECIALIZE)


def _oobe(settings: ET.Element, answers: Answers) -> None:
    _languages(_component(settings, "Microsoft-Windows-International-Core"), answers)
    shell = _component(settings, "Microsoft-Windows-Shell-Setup")
    oobe = _child(shell, "OOBE")
    _texts(oobe, HideEULAPage="true", HideWirelessSetupInOOBE="true", ProtectYourPC="3")
    _password(_child(shell, "UserAccounts/AdministratorPassword"), answers)
    logon = _child(shell, "AutoLogon")
    _texts(logon, Enabled="true", LogonCount="1", Username=ADMINISTRATOR)
    _password(_child(logon, "Password"), answers)
    _commands(shell, "FirstLogonCommands", FIRST_LOGON)


def _languages(component: ET.Element, answers: Answers) -> None:
    names = ("InputLocale", "SystemLocale", "UILanguage", "UserLocale")
    _texts(component, **dict.fromkeys(names, answers.language))


def _password(parent: ET.Element, answers: Answers) -> None:
    _texts(parent, Value=answers.password, PlainText="true")


def _commands(parent: ET.Element, name: str, commands: Iterable[str]) -> None:
    first_logon = name == "FirstLogonCommands"
    for order, command in enumerate(commands, start=1):
        one = _added(_child(parent, name), "SynchronousCommand" if first_logon else "RunSynchronousCommand")
        _texts(one, Order=str(order), **{"CommandLine" if first_logon else "Path": command})


def _settings(root: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(root, f"{{{UNATTEND}}}settings", {"pass": name})


def _component(settings: ET.Element, name: str) -> ET.Element:
    attributes = {
        "name": name,
        "processorArchitecture": "amd64",
        "publicKeyToken": "31bf3856ad364e35",  # of all of Windows' own components
        "language": "neutral",
        "versionScope": "nonSxS",
    }
    return ET.SubElement(settings, f"{{{UNATTEND}}}component", attributes)


def _child(parent: ET.Element, path: str) -> ET.Element:
    """Return the element at `path` below `parent`; it is made if it is not there."""
    for name in path.split("/"):
        found = parent.find(f"{{{UNATTEND}}}{name}")
        parent = ET.SubElement(parent, f"{{{UNATTEND}}}{name}") if found is None else found
    return parent


def _added(parent: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(parent, f"{{{UNATTEND}}}{name}", {_ACTION: "add"})


def _texts(parent: ET.Element, **texts: str) -> None:
    """Write texts into elements of `parent`; `__` in a name leads into one."""
    for path, text in texts.items():
        _child(parent, path.replace("__", "/")).text = text
