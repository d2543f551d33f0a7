"""Makes the guest's tables of texts from the profiles; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from emulator.images.sac.profile import SacProfile, SacText

FACTS = (
    "product",
    "os_version",
    "os_build",
    "service_pack",
    "architecture",
    "menu_entry",
    "cmd_description",
    "cmd_version",
    "copyright_year",
    "vt_mode",
    "has_livedump",
    "has_powershell",
    "restart_wait_s",
)
"""What the guest needs to know; the rest is for those who drive it."""


def make_header(profile: SacProfile) -> str:
    """Return C that names every text and every fact; all profiles have the same."""
    texts = "".join(f"    {_name('T', key)},\n" for key in profile.texts)
    facts = "".join(f"    {_name('F', key)},\n" for key in FACTS)
    return (
        "/* Made from emulator/images/sac/profiles. */\n#ifndef TEXTS_H\n#define TEXTS_H\n"
        f"enum text_key {{\n{texts}    TEXT_COUNT\n}};\n"
        f"enum fact_key {{\n{facts}    FACT_COUNT\n}};\n#endif\n"
    )


def make_tables(profiles: Sequence[SacProfile]) -> str:
    """Return C with every text once, and by profile where it is; a comment says where a text comes from."""
    pool = _Pool()
    texts = "".join(f"    {{{_texts(profile, pool)}}},\n" for profile in profiles)
    facts = "".join(f"    {{{_facts(profile, pool)}}},\n" for profile in profiles)
    return (
        "/* Made from emulator/images/sac/profiles: class of the source and section before each text. */\n"
        f"static const char text_pool[] =\n{pool.render()};\n"
        f"static const u16 text_index[][TEXT_COUNT] = {{\n{texts}}};\n"
        f"static const u16 fact_index[][FACT_COUNT] = {{\n{facts}}};\n"
    )


class _Pool:
    """Texts, each of them once."""

    def __init__(self) -> None:
        self._offsets: dict[bytes, int] = {}
        self._comments: list[str] = []
        self._size = 0

    def add(self, text: bytes, comment: str) -> int:
        """Return the offset of `text`, which is kept with its first comment."""
        if text not in self._offsets:
            self._offsets[text] = self._size
            self._comments.append(comment)
            self._size += len(text) + 1
        return self._offsets[text]

    def render(self) -> str:
        rows = zip(self._comments, self._offsets, strict=True)
        return "\n".join(f'    /* {comment} */ "{_quoted(text)}\\0"' for comment, text in rows)


def _texts(profile: SacProfile, pool: _Pool) -> str:
    return _numbers(
        pool.add(text.wire, f"{profile.name} {key}: {_origin(text)}") for key, text in profile.texts.items()
    )


def _facts(profile: SacProfile, pool: _Pool) -> str:
    origin = f"{profile.source} {profile.section}"
    return _numbers(
        pool.add(_shown(getattr(profile, key)).encode(), f"{profile.name} {key}: {origin}") for key in FACTS
    )


def _origin(text: SacText) -> str:
    return f"{text.source} {text.section}"


def _shown(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _quoted(text: bytes) -> str:
    """Return `text` for a C string: octal takes at most three digits, so nothing after it is drawn in."""
    return "".join(
        chr(byte) if chr(byte).isalnum() or byte in b" .,:;-_<>()[]=/*%#&+!'" else f"\\{byte:03o}"
        for byte in text
    )


def _name(letter: str, key: str) -> str:
    return f"{letter}_{key.replace('.', '_').upper()}"
