"""The judgement of `ttylab doctor`: what was seen of a part in, a finding out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from emulator.program import called

GIB = 1 << 30
GUEST_MIB = 400  # a 256 MiB guest and QEMU itself; 147-194 MiB were measured (docs/facts/qemu.md 2)
LEAST_DISK = GIB // 2
AMPLE_DISK = 2 * GIB
APT = "apt-get install "
OPTIONAL = ("swtpm",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A part that can't be used.

    Attributes:
        problem: what is wrong, in one line.
        remedy: how to fix it, if possible a command.
    """

    problem: str
    remedy: str


class State(StrEnum):
    """The state of a part."""

    OK = "ok"
    NOTE = "note"
    """A run is possible, but something is missing."""
    MISSING = "missing"
    """No run of the default matrix is possible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The finding about one part.

    Attributes:
        part: its name.
        state: its state.
        detail: what was found, in one line.
        remedy: how to fix it; empty if there is nothing to fix.
    """

    part: str
    state: State
    detail: str
    remedy: str = ""


def debian_packages(findings: tuple[Diagnosis, ...]) -> tuple[str, ...]:
    """Return the Debian packages that mend the findings, without what only a few need."""
    named = (one.remedy.removeprefix(APT).split() for one in findings if one.remedy.startswith(APT))
    wanted = {words[0].rstrip(",") for words in named if words}
    return tuple(sorted(wanted - set(OPTIONAL)))


def run_is_possible(findings: tuple[Diagnosis, ...]) -> bool:
    """Tell whether the default matrix can run."""
    return all(finding.state is not State.MISSING for finding in findings)


def of_part(part: str, seen: str | Unusable, *, fault: State = State.MISSING) -> Diagnosis:
    """Return the finding about a part: what is there, or `fault`."""
    if isinstance(seen, Unusable):
        return Diagnosis(part=part, state=fault, detail=seen.problem, remedy=seen.remedy)
    return Diagnosis(part=part, state=State.OK, detail=seen)


def _note(part: str, problem: str, remedy: str) -> Diagnosis:
    return Diagnosis(part=part, state=State.NOTE, detail=problem, remedy=remedy)


def of_images(built: Sequence[str], missing: Sequence[str]) -> Diagnosis:
    """Return the finding about images, by name: those that are ready, and those that a run builds first."""
    told = f"{len(built)} built"
    if not missing:
        return of_part("images", f"{told}: {', '.join(built)}")
    problem = f"{told}; the next run builds {', '.join(missing)}"
    return _note("images", problem, called("images", "build", "--all"))


def of_disk(cache: str, free: int, *, writable: bool) -> Diagnosis:
    """Return the finding about the directory `cache`, where `free` bytes are free."""
    told = f"{free / GIB:.1f} GiB free in {cache}"
    remedy = "free some space there, or set TTYLAB_CACHE to a directory that has it"
    if not writable:
        refused = f"{cache} can't be written: no image can be built, and guests are booted, not forked"
        return _note("disk", refused, remedy)
    if free < LEAST_DISK:
        return of_part("disk", Unusable(problem=told, remedy=remedy))
    if free < AMPLE_DISK:
        return _note("disk", f"{told}: little", remedy)
    return of_part("disk", told)


def of_caches(kinds: Sequence[tuple[str, int, str]], budget: int) -> Diagnosis:
    """Return the finding about what is kept to be found again, which may take `budget` bytes together.

    The `kinds` of it are names, bytes on disk, and days of the last use.
    """
    each = ", ".join(f"{name} {size / 1e6:.0f} MB (used {used})" for name, size, used in kinds)
    total = sum(size for _, size, _ in kinds)
    seen = f"{total / 1e6:.0f} of {budget / 1e6:.0f} MB: {each or 'nothing yet'}"
    if total <= budget:
        return of_part("caches", seen)
    return _note("caches", seen, "ttylab gc; ttylab images prune")


def of_host(cores: float, memory_mib: int) -> Diagnosis:
    """Return the finding about guests at once: by what affinity and cgroups allow, and MiB that are free."""
    guests = memory_mib // GUEST_MIB
    seen = f"{cores:g} cores; {memory_mib} MiB of memory are free, enough for {guests} guests"
    few = Unusable(problem=seen, remedy="end programs that hold memory")
    return of_part("budget", seen if guests else few)


def of_leftovers(count: int) -> Diagnosis:
    """Return the finding about machines that outlived their owner."""
    if not count:
        return of_part("leftovers", "none of a killed run")
    return _note("leftovers", f"{count} of a killed run", called("gc"))
