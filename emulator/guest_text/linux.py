"""What a Linux guest writes: its kernel's stamps and first line, its prompts; and who may log in."""

from __future__ import annotations

from dataclasses import dataclass, field

LEVEL = rb"<\d{1,3}>"
"""What precedes a record on a console that shows levels."""
STAMP = rb"\[(?=[ \d]{5,10}+\.)(?:\d{5,10}|(?=[ \d]{5}\.) {1,4}\d{1,4})\.\d{6}\]"
"""The stamp of a record, exactly `[%5lu.%06lu]` (kernel/printk, `print_time`).

It begins with a literal character, so that text without it is skipped at memory speed.
"""
CALLER = rb"\[\s*[TC]\d+\]"
"""Who printed a record, after its stamp (CONFIG_PRINTK_CALLER): `[   T12]`, `[    C0]`."""
RECORD = STAMP + rb"(?:" + CALLER + rb")? "
"""What precedes a record's text."""
LOGGED_STAMP = rb"\[\s*\d+\.\d+\]"
"""A stamp in logs of any origin, where blanks and digits may have been changed."""
BEGINS = b"Linux version "
"""What the kernel's first line begins with."""
KERNEL = BEGINS + rb"[^\n]*\n"
"""The kernel's first line."""
SYSRQ_HEAD = rb"(?:sysrq|SysRq ?): "
"""How the kernel begins its answer to a system request, today and before Linux 5.1."""
SYSRQ_REFUSED = rb"This sysrq operation is disabled"
"""What follows if its mask forbids the request."""
MARKER = rb"ttylab-\d{4,}"
"""What the driver makes the shell print after a command's output, followed by `:STATUS:`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinuxProfile:
    """What a guest's prompts look like and who may log in.

    A prompt of a shell is believed once the shell has answered a challenge; `prompt` is what some look like,
    so that nobody waits to see whether more comes.

    Attributes:
        user, password: an account with password authentication (U7), or one that is asked for none.
        login, password_prompt, refused, prompt: patterns, matched on user text. Repetitions are bounded, or
            the search of a flood without line ends would take minutes.
        renewal: pattern of what asks for another password.
        activation: pattern of what asks for Enter before there is a shell (OpenWrt, busybox's askfirst).
    """

    user: bytes = b"root"
    password: bytes = field(default=b"ttylab", repr=False)
    login: bytes = rb"[^\r\n]{0,80}(?<!Last )(?<!failed )login: "
    password_prompt: bytes = (
        rb"(?:[Pp]ass(?:word|wort|code|phrase)|[Mm]ot de passe|[Cc]ontrase\xc3\xb1a|[Ss]enha"
        rb"|\xe5\xaf\x86\xe7\xa0\x81)[^\r\n]{0,60}(?::|\xef\xbc\x9a) ?"
    )
    refused: bytes = rb"Login incorrect|[Aa]uthentication (?:failure|error)|[Aa]ccount (?:is )?locked"
    prompt: bytes = rb"[\w.-]{1,64}@[\w.-]{1,64}:[^\r\n#$]{0,200}[#$] "
    renewal: bytes = (
        rb"(?:[Cc]urrent|[Nn]ew|UNIX) (?:UNIX )?\)? ?password:|must change your password|required to change"
    )
    activation: bytes = (
        rb"[Pp]ress (?:the )?[\[<]?(?:Enter|ENTER|RETURN|Return)[\]>]? (?:key )?to (?:activate|start|get)"
    )
