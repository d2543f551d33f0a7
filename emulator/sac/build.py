"""Builds the SAC guest from its sources, with the same bytes each time: `python -m emulator.sac.build`.

The result is package data, so that nobody who uses a guest needs a compiler.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from emulator.errors import ImageError, MissingPrerequisite
from emulator.sac.disk import BOOT_SECTOR, EFI_STUB, IMAGE
from emulator.sac.knobs import PROFILES
from emulator.sac.profile import SacProfile, load_profile

FACTS = (
    *("product", "os_version", "os_build", "service_pack", "architecture", "menu_entry", "cmd_description"),
    *("cmd_version", "copyright_year", "vt_mode", "has_livedump", "has_powershell", "restart_wait_s"),
)
"""What the guest needs to know; the rest of a profile is for its driver."""


def make_header(profile: SacProfile) -> str:
    """Return C that names every text and every fact; they are the same in all profiles."""
    texts = "".join(f"    {_name('T', key)},\n" for key in profile.texts)
    facts = "".join(f"    {_name('F', key)},\n" for key in FACTS)
    return (
        "/* Made from emulator/sac/profiles. */\n#ifndef TEXTS_H\n#define TEXTS_H\n"
        f"enum text_key {{\n{texts}    TEXT_COUNT\n}};\n"
        f"enum fact_key {{\n{facts}    FACT_COUNT\n}};\n#endif\n"
    )


def make_tables(profiles: Sequence[SacProfile]) -> str:
    """Return C with every text once, and its place by profile; a comment gives the source of each text."""
    pool = _Pool()
    texts = "".join(f"    {{{_texts(profile, pool)}}},\n" for profile in profiles)
    facts = "".join(f"    {{{_facts(profile, pool)}}},\n" for profile in profiles)
    return (
        "/* Made from emulator/sac/profiles: class of the source and section before each text. */\n"
        f"static const char text_pool[] =\n{pool.render()};\n"
        f"static const u16 text_index[][TEXT_COUNT] = {{\n{texts}}};\n"
        f"static const u16 fact_index[][FACT_COUNT] = {{\n{facts}}};\n"
    )


class _Pool:
    """A set of texts."""

    def __init__(self) -> None:
        self._offsets: dict[bytes, int] = {}
        self._comments: list[str] = []
        self._size = 0

    def add(self, text: bytes, comment: str) -> int:
        """Return the offset of `text`; of several comments on a text the first is kept."""
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
        pool.add(text.wire, f"{profile.name} {key}: {text.source} {text.section}")
        for key, text in profile.texts.items()
    )


def _facts(profile: SacProfile, pool: _Pool) -> str:
    origin = f"{profile.source} {profile.section}"
    return _numbers(
        pool.add(_shown(getattr(profile, key)).encode(), f"{profile.name} {key}: {origin}") for key in FACTS
    )


def _shown(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def _quoted(text: bytes) -> str:
    """Return `text` for a C string; octal escapes have at most three digits, so they take in nothing more."""
    return "".join(
        chr(byte) if chr(byte).isalnum() or byte in b" .,:;-_<>()[]=/*%#&+!'" else f"\\{byte:03o}"
        for byte in text
    )


def _name(letter: str, key: str) -> str:
    return f"{letter}_{key.replace('.', '_').upper()}"


SOURCES = Path(__file__).parents[2] / "images/sac"
DATA = Path(__file__).parent / "data"
COMPILER_FILE = "compiler.txt"
"""Names what made the files: another compiler or linker makes other bytes."""

_BOUND_S = 120.0
_COMPILE = (
    *("-m32", "-march=i686", "-Os", "-std=gnu11", "-ffreestanding", "-fno-pie", "-fno-stack-protector"),
    *("-fno-asynchronous-unwind-tables", "-fno-tree-loop-distribute-patterns", "-fcf-protection=none"),
    *("-mno-mmx", "-mno-sse", "-mgeneral-regs-only", "-ffunction-sections", "-fdata-sections"),
    *("-Wall", "-Wextra", "-Werror", "-Wno-format-security"),
)
_LINK = (
    *("-m32", "-nostdlib", "-static", "-no-pie"),
    *("-Wl,--build-id=none,--gc-sections,-z,max-page-size=0x1000", "-Wl,-s"),
)


def compiler() -> str:
    """Return the first line of what compiler and linker say of their version; errors are those of `build`."""
    return "".join(_run(program, "--version").partition("\n")[0] + "\n" for program in ("gcc", "ld"))


def build(directory: Path) -> None:
    """Build all files of the guest into `directory`; raises MissingPrerequisite, ImageError, OSError."""
    with TemporaryDirectory(dir=directory, prefix=".sac-") as name:
        scratch = Path(name)
        profiles = [load_profile(one) for one in PROFILES]
        (scratch / "texts.h").write_text(make_header(profiles[0]), encoding="ascii")
        (scratch / "texts.inc").write_text(make_tables(profiles), encoding="ascii")
        sources = ("boot.S", "traps.S", *sorted(path.name for path in SOURCES.glob("*.c")))
        objects = [_compile(SOURCES / source, scratch) for source in sources]
        script = str(SOURCES / "sac.ld")
        _run("gcc", *_LINK, "-Wl,-T," + script, "-o", str(directory / IMAGE), *map(str, objects))
        _flatten(_compile(SOURCES / "mbr.S", scratch), directory / BOOT_SECTOR, base="0x7c00")
        _flatten(_compile(SOURCES / "efi.S", scratch, bits=64), directory / EFI_STUB, base="0")
    (directory / COMPILER_FILE).write_text(compiler(), encoding="utf-8")


def _compile(source: Path, scratch: Path, *, bits: int = 32) -> Path:
    # Paths of this host would get into the bytes through __FILE__ and error messages, so they are mapped.
    built = scratch / f"{source.name}.o"
    flags = _COMPILE if bits == 32 else ()
    maps = (f"-ffile-prefix-map={SOURCES}=.", f"-ffile-prefix-map={scratch}=.")
    _run("gcc", *flags, *maps, f"-I{SOURCES}", f"-I{scratch}", "-c", "-o", str(built), str(source))
    return built


def _flatten(built: Path, to: Path, *, base: str) -> None:
    linked = built.with_suffix(".elf")
    machine = "elf_i386" if base != "0" else "elf_x86_64"
    _run("ld", "-m", machine, "--build-id=none", "-Ttext", base, "-e", "start", "-o", str(linked), str(built))
    _run("objcopy", "-O", "binary", "-j", ".text", str(linked), str(to))


def _run(*argv: str) -> str:
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_BOUND_S, check=False, text=True
        )
    except FileNotFoundError as error:
        raise MissingPrerequisite(argv[0], remedy="apt-get install gcc binutils") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"{argv[0]}: no end after {_BOUND_S:.0f} s") from error
    if done.returncode:
        raise ImageError(f"{' '.join(argv)} failed:\n{done.stderr}")
    return done.stdout


def main() -> int:
    """Build the files of the package's data, and print their sizes."""
    DATA.mkdir(exist_ok=True)
    build(DATA)
    sizes = {path.name: path.stat().st_size for path in sorted(DATA.iterdir())}
    sys.stdout.write("".join(f"{size:8} {name}\n" for name, size in sizes.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
