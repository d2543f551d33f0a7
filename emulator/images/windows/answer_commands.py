"""What an unattended installation runs in Windows, and the marks that it writes to COM2; pure.

Sources: bcdedit /ems, /emssettings and {bootmgr}, CrashControl: Microsoft's documentation. bootstatuspolicy,
recoveryenabled, shutdownwithoutlogon, powercfg, sacsvr: public recipes (spec/windows-sac.md 4.3). Nobody has
run them here.
"""

from __future__ import annotations

READY = "IMAGE-READY"
"""On COM2: all is set up, and the machine switches itself off."""
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
    # A test image is cut off often; it must not stop at a recovery menu.
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
    'cmd /c "bcdedit /enum all> COM2"',  # for whoever must find out why SAC does not speak
    _tell(READY),
    "shutdown /s /t 0",
)
