"""What a Linux guest shows at its prompts, and who may log in: values for driver and judge alike."""

from __future__ import annotations

from dataclasses import dataclass

KERNEL = rb"Linux version [^\n]*\n"
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
