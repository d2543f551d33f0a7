"""What a Linux guest writes: its kernel's stamp, its first line, its prompts, and who may log in."""

from __future__ import annotations

from dataclasses import dataclass

LEVEL = rb"<\d{1,3}>"
"""What stands before a record on a console that shows levels."""
STAMP = rb"\[(?:\d{5,10}|(?=[ \d]{5}\.) {1,4}\d{1,4})\.\d{6}\]"
"""The stamp of a record, exactly `[%5lu.%06lu]` (kernel/printk, `print_time`).

It begins with a plain character, so that text without it passes at memory speed.
"""
CALLER = rb"\[\s*[TC]\d+\]"
"""Who printed a record, behind its stamp (CONFIG_PRINTK_CALLER): `[   T12]`, `[    C0]`."""
RECORD = STAMP + rb"(?:" + CALLER + rb")? "
"""What stands before a record's text."""
LOGGED_STAMP = rb"\[\s*\d+\.\d+\]"
"""A stamp in logs of any origin, whose blanks and digits somebody may have changed."""
BEGINS = b"Linux version "
"""What the kernel's first line begins with."""
KERNEL = BEGINS + rb"[^\n]*\n"
"""The kernel's first line."""
MARKER = rb"ttylab-\d{4,}"
"""What the driver lets the shell print behind a command's output, followed by `:STATUS:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinuxProfile:
    """What a guest's prompts look like and who may log in.

    Attributes:
        user, password: an account with password authentication (U7).
        login, password_prompt, refused, prompt: patterns, matched on user text. What may repeat is
            bounded, or a flood without line ends would be searched for minutes.
    """

    user: bytes = b"root"
    password: bytes = b"ttylab"
    login: bytes = rb"[^\r\n]{0,80}login: "
    password_prompt: bytes = rb"Password: "
    refused: bytes = rb"Login incorrect"
    prompt: bytes = rb"[\w.-]{1,64}@[\w.-]{1,64}:[^\r\n#$]{0,200}[#$] "
