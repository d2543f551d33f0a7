"""Checks an answer file: has it all that an unattended installation needs?"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from emulator.windows.answer_file import READY, STAGE

UNATTEND = "urn:schemas-microsoft-com:unattend"
STAGES = ("setup", "specialize", "first-logon")
BOOT_SETTINGS = (
    "bcdedit /emssettings EMSPORT:1 EMSBAUDRATE:115200",
    "bcdedit /ems {current} on",
    "bcdedit /set {bootmgr} displaybootmenu yes",
    "bcdedit /set {bootmgr} timeout 10",
    "bcdedit /set {bootmgr} bootems yes",
    "bcdedit /set {current} bootstatuspolicy IgnoreAllFailures",
    "bcdedit /set {current} recoveryenabled no",
)

_NAMESPACES = {"u": UNATTEND}
_ATTRIBUTES = ("name", "processorArchitecture", "publicKeyToken", "language", "versionScope")
_REQUIRED = (
    ("windowsPE", "Microsoft-Windows-International-Core-WinPE", "SetupUILanguage/UILanguage", None),
    ("windowsPE", "Microsoft-Windows-Setup", "DiskConfiguration/Disk/DiskID", "0"),
    ("windowsPE", "Microsoft-Windows-Setup", "DiskConfiguration/Disk/WillWipeDisk", "true"),
    ("windowsPE", "Microsoft-Windows-Setup", "ImageInstall/OSImage/InstallFrom/MetaData/Key", None),
    ("windowsPE", "Microsoft-Windows-Setup", "ImageInstall/OSImage/InstallFrom/MetaData/Value", None),
    ("windowsPE", "Microsoft-Windows-Setup", "ImageInstall/OSImage/InstallTo/DiskID", "0"),
    ("windowsPE", "Microsoft-Windows-Setup", "ImageInstall/OSImage/InstallTo/PartitionID", None),
    ("windowsPE", "Microsoft-Windows-Setup", "UserData/AcceptEula", "true"),
    ("specialize", "Microsoft-Windows-Shell-Setup", "ComputerName", None),
    ("specialize", "Microsoft-Windows-Shell-Setup", "TimeZone", "UTC"),
    ("oobeSystem", "Microsoft-Windows-International-Core", "UILanguage", None),
    ("oobeSystem", "Microsoft-Windows-Shell-Setup", "OOBE/HideEULAPage", "true"),
    ("oobeSystem", "Microsoft-Windows-Shell-Setup", "UserAccounts/AdministratorPassword/Value", None),
    ("oobeSystem", "Microsoft-Windows-Shell-Setup", "UserAccounts/AdministratorPassword/PlainText", "true"),
    ("oobeSystem", "Microsoft-Windows-Shell-Setup", "AutoLogon/Enabled", "true"),
    ("oobeSystem", "Microsoft-Windows-Shell-Setup", "AutoLogon/Password/Value", None),
)


def find_gaps(document: bytes) -> list[str]:
    """Return a line for each thing that the answer file lacks; empty where it is complete."""
    try:
        root = ET.fromstring(document)  # our own
    except ET.ParseError as error:
        return [f"not well-formed: {error}"]
    if root.tag != f"{{{UNATTEND}}}unattend":
        return [f"the root is {root.tag}, not unattend of {UNATTEND}"]
    return [*_attributes(root), *_texts(root), *_partitions(root), *_commands_of(root)]


def _find(root: ET.Element, settings: str, component: str, path: str) -> list[ET.Element]:
    inside = "/".join(f"u:{name}" for name in path.split("/"))
    where = f"u:settings[@pass='{settings}']/u:component[@name='{component}']/{inside}"
    return root.findall(where, _NAMESPACES)


def _attributes(root: ET.Element) -> list[str]:
    return [
        f"component {component.get('name')} has no {attribute}"
        for component in root.findall("u:settings/u:component", _NAMESPACES)
        for attribute in _ATTRIBUTES
        if not component.get(attribute)
    ]


def _texts(root: ET.Element) -> list[str]:
    gaps = []
    for settings, component, path, wanted in _REQUIRED:
        texts = {(found.text or "").strip() for found in _find(root, settings, component, path)}
        if not texts - {""}:
            gaps.append(f"{settings} lacks {component}/{path}")
        elif wanted is not None and texts != {wanted}:
            gaps.append(f"{settings} {component}/{path} is {', '.join(sorted(texts))}, not {wanted}")
    return gaps


def _partitions(root: ET.Element) -> list[str]:
    setup = ("windowsPE", "Microsoft-Windows-Setup")
    orders = _orders(_find(root, *setup, "DiskConfiguration/Disk/CreatePartitions/CreatePartition/Order"))
    targets = [one.text for one in _find(root, *setup, "ImageInstall/OSImage/InstallTo/PartitionID")]
    gaps = [] if _is_a_row(orders) else [f"partitions are made in the order {orders}, not 1, 2, …"]
    if any(target not in orders for target in targets):
        gaps.append(f"Windows goes to partition {targets}, but there are {orders}")
    return gaps


def _commands_of(root: ET.Element) -> list[str]:
    shell, deployment = "Microsoft-Windows-Shell-Setup", "Microsoft-Windows-Deployment"
    setup = "Microsoft-Windows-Setup"
    gaps: list[str] = []
    ran: dict[str, list[str]] = {}
    for settings, component, path, line in (
        ("windowsPE", setup, "RunSynchronous/RunSynchronousCommand", "Path"),
        ("specialize", deployment, "RunSynchronous/RunSynchronousCommand", "Path"),
        ("oobeSystem", shell, "FirstLogonCommands/SynchronousCommand", "CommandLine"),
    ):
        orders = _orders(_find(root, settings, component, f"{path}/Order"))
        if not _is_a_row(orders):
            gaps.append(f"{settings} runs its commands in the order {orders}, not 1, 2, …")
        ran[settings] = [found.text or "" for found in _find(root, settings, component, f"{path}/{line}")]
    for settings, stage in zip(ran, STAGES, strict=True):
        if not any(f"{STAGE} {stage}> COM2" in command for command in ran[settings]):
            gaps.append(f"{settings} does not tell COM2 of the stage {stage}")
    gaps += [f"specialize does not run {one}" for one in BOOT_SETTINGS if one not in ran["specialize"]]
    if [READY in one or one.startswith("shutdown /s") for one in ran["oobeSystem"][-2:]] != [True, True]:
        gaps.append(f"oobeSystem does not end by {READY} and shutdown")
    return gaps


def _orders(found: list[ET.Element]) -> list[str]:
    return [one.text or "" for one in found]


def _is_a_row(orders: list[str]) -> bool:
    return bool(orders) and orders == [str(number) for number in range(1, len(orders) + 1)]
