"""The judgement of `ttylab doctor`: facts about a machine in, findings out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFacts:
    """One kind of what is kept to be found again: its name, its bytes on disk, the day of its last use."""

    name: str
    size: int
    used: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found on the machine; a text says what is there, an `Unusable` what is missing.

    Attributes:
        qemu: version and path.
        accelerator: what executes guest code, and why.
        ovmf: the UEFI firmware's path.
        setpriv: the path of the program that ties QEMU's life to ours.
        image_tools: what images are built with.
        report: Node and the report generator.
        windows_tools: what only users' own Windows needs: qemu-img and swtpm.
        images_built: names of the images that are ready.
        images_missing: names of those that a run builds first.
        cache: the directory that holds them.
        disk_free: bytes free there.
        cores: what affinity and cgroups allow, as a fraction if a cgroup says so.
        memory_mib: MiB that programs may still use.
        leftovers: number of machines that outlived their owner.
        cache_writable: whether images and snapshots can be kept.
        damaged: files of ttylab's own that can't be read.
        caches: what is kept to be found again.
        cache_budget: bytes that they may take together.
        others: QEMU and UEFI of each other architecture, by its name.
        lab: which lab.toml holds here, and what it has; empty where there is none.
        boards: of each board of lab.toml what can be done with it.
    """

    qemu: str | Unusable
    accelerator: str | Unusable
    ovmf: str | Unusable
    setpriv: str | Unusable
    image_tools: str | Unusable
    report: str | Unusable
    windows_tools: str | Unusable
    images_built: tuple[str, ...]
    images_missing: tuple[str, ...]
    cache: str
    disk_free: int
    cores: float
    memory_mib: int
    leftovers: int
    cache_writable: bool = True
    damaged: tuple[Unusable, ...] = ()
    caches: tuple[CacheFacts, ...] = ()
    cache_budget: int = 0
    others: Mapping[str, str | Unusable] = field(default_factory=dict)
    lab: str | Unusable = ""
    boards: Mapping[str, str | Unusable] = field(default_factory=dict)


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


def diagnose(facts: Facts) -> tuple[Diagnosis, ...]:
    """Return one finding for each part, in the order in which a reader would fix them."""
    tools_needed = bool(facts.images_missing)
    return (
        _part("QEMU", facts.qemu),
        _part("accelerator", facts.accelerator),
        _part("UEFI firmware", facts.ovmf),
        *(_part(f"for {name}", seen, fault=State.NOTE) for name, seen in facts.others.items()),
        _part("setpriv", facts.setpriv),
        _part("image tools", facts.image_tools, fault=State.MISSING if tools_needed else State.NOTE),
        _images(facts),
        _disk(facts),
        _caches(facts),
        _guests_at_once(facts),
        _part("HTML report", facts.report, fault=State.NOTE),
        _part("your Windows", facts.windows_tools, fault=State.NOTE),
        _leftovers(facts),
        *(_part("damaged", each, fault=State.NOTE) for each in facts.damaged),
        *((_part("lab.toml", facts.lab, fault=State.NOTE),) if facts.lab else ()),
        *(_part(name, seen, fault=State.NOTE) for name, seen in facts.boards.items()),
    )


def debian_packages(findings: tuple[Diagnosis, ...]) -> tuple[str, ...]:
    """Return the Debian packages that mend the findings, without what only a few need."""
    named = (one.remedy.removeprefix(APT).split() for one in findings if one.remedy.startswith(APT))
    wanted = {words[0].rstrip(",") for words in named if words}
    return tuple(sorted(wanted - set(OPTIONAL)))


def run_is_possible(findings: tuple[Diagnosis, ...]) -> bool:
    """Tell whether the default matrix can run."""
    return all(finding.state is not State.MISSING for finding in findings)


def _part(part: str, seen: str | Unusable, *, fault: State = State.MISSING) -> Diagnosis:
    if isinstance(seen, Unusable):
        return Diagnosis(part=part, state=fault, detail=seen.problem, remedy=seen.remedy)
    return Diagnosis(part=part, state=State.OK, detail=seen)


def _note(part: str, problem: str, remedy: str) -> Diagnosis:
    return Diagnosis(part=part, state=State.NOTE, detail=problem, remedy=remedy)


def _images(facts: Facts) -> Diagnosis:
    built = f"{len(facts.images_built)} built"
    if not facts.images_missing:
        return _part("images", f"{built}: {', '.join(facts.images_built)}")
    problem = f"{built}; the next run builds {', '.join(facts.images_missing)}"
    return _note("images", problem, called("images", "build", "--all"))


def _disk(facts: Facts) -> Diagnosis:
    free = f"{facts.disk_free / GIB:.1f} GiB free in {facts.cache}"
    remedy = "free some space there, or set TTYLAB_CACHE to a directory that has it"
    if not facts.cache_writable:
        refused = f"{facts.cache} can't be written: no image can be built, and guests are booted, not forked"
        return _note("disk", refused, remedy)
    if facts.disk_free < LEAST_DISK:
        return _part("disk", Unusable(problem=free, remedy=remedy))
    if facts.disk_free < AMPLE_DISK:
        return _note("disk", f"{free}: little", remedy)
    return _part("disk", free)


def _caches(facts: Facts) -> Diagnosis:
    each = ", ".join(f"{one.name} {one.size / 1e6:.0f} MB (used {one.used})" for one in facts.caches)
    total = sum(one.size for one in facts.caches)
    seen = f"{total / 1e6:.0f} of {facts.cache_budget / 1e6:.0f} MB: {each or 'nothing yet'}"
    if total <= facts.cache_budget:
        return _part("caches", seen)
    return _note("caches", seen, "ttylab gc; ttylab images prune")


def _guests_at_once(facts: Facts) -> Diagnosis:
    guests = facts.memory_mib // GUEST_MIB
    seen = f"{facts.cores:g} cores; {facts.memory_mib} MiB of memory are free, enough for {guests} guests"
    few = Unusable(problem=seen, remedy="end programs that hold memory")
    return _part("budget", seen if guests else few)


def _leftovers(facts: Facts) -> Diagnosis:
    if not facts.leftovers:
        return _part("leftovers", "none of a killed run")
    return _note("leftovers", f"{facts.leftovers} of a killed run", called("gc"))
