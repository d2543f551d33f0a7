"""Which scenarios a surveyed guest can play, why not the others, and what is typed first."""

from dataclasses import replace

import pytest

from emulator.guest_images.own_kernel import OWN_LINE, TTYLAB_GUEST
from harness.scenario.stages import Stage
from harness.scenarios import LIBRARY
from harness.survey.facts import Survey, questions_for
from harness.survey.fitness import Errands, errands, unfit
from harness.survey.wishes import IS_CONSOLE

GRUB = "to its kernel parameters (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub)"
ASKED = questions_for(LIBRARY.values())
WHOLE = Survey(
    stages=(Stage.LOADER, Stage.KERNEL, Stage.LOGIN, Stage.SHELL),
    user="root",
    root=True,
    system="Linux",
    release="6.1.0-50-amd64",
    settings={**dict.fromkeys(ASKED.settings, "0"), "kernel.sysrq": "438"},
    programs=frozenset(ASKED.programs),
    features=frozenset(ASKED.features),
    asked=frozenset((*ASKED.settings, *ASKED.programs, *ASKED.features)),
)
DISK = frozenset({OWN_LINE})
KERNEL = frozenset({TTYLAB_GUEST})
FOREIGN: frozenset[str] = frozenset()
PERSON = replace(WHOLE, root=False, user="ann")
LINUX = [name for name, one in LIBRARY.items() if one.guest == "linux"]


def why(name: str, survey: Survey | None = WHOLE, image: frozenset[str] = DISK) -> str | None:
    return unfit(LIBRARY[name], survey, image)


@pytest.mark.parametrize("name", LINUX)
def test_kernel_with_ttylabs_own_guest_plays_all_that_the_catalogs_images_play(name):
    assert why(name, WHOLE, KERNEL) is None
    assert errands(LIBRARY[name], WHOLE, KERNEL) == Errands()


@pytest.mark.parametrize(
    ("name", "survey", "reason"),
    [
        ("nmi-dazed", Survey(obstacle="it asks for a password"), "there is no shell: it asks for a password"),
        (
            "boot-no-init",
            WHOLE,
            "the image boots its own kernel line, and rdinit=/nope panic=0 has to be on it",
        ),
        ("nmi-hung", WHOLE, "the image boots its own kernel line, and maxcpus=1 has to be on it"),
        ("power-button-ignored", WHOLE, "only ttylab's own initramfs heeds ttylab.power=ignore"),
        (
            "watchdog-reset",
            replace(WHOLE, features=frozenset()),
            (
                "the guest has no i6300esb: a module that its kernel has not got, or that is not installed "
                "beside it"
            ),
        ),
        ("watchdog-reset", replace(WHOLE, programs=frozenset()), "the guest has no watchdog"),
        (
            "sysrq-help",
            replace(WHOLE, settings={}),
            "its kernel has no system requests (CONFIG_MAGIC_SYSRQ)",
        ),
        (
            "nmi-panic",
            replace(WHOLE, settings={"kernel.panic": "0"}),
            "its kernel has no kernel.panic_on_unrecovered_nmi, kernel.unknown_nmi_panic",
        ),
        (
            "sysrq-crash",
            PERSON,
            "only root can set kernel.sysrq=1; ann is not, and has no sudo without a password",
        ),
        ("sysrq-proc", PERSON, "only root can do this; ann is not, and has no sudo without a password"),
        (
            "reset-login",
            replace(WHOLE, stages=(Stage.LOGIN, Stage.SHELL), command_line="ro quiet"),
            "the kernel's first lines are not on the console (quiet)",
        ),
        (
            "sysrq-terminate",
            replace(WHOLE, stages=(Stage.KERNEL, Stage.SHELL)),
            "the console asks for no login: a shell is there straight away",
        ),
        (
            "sysrq-help",
            replace(WHOLE, system="FreeBSD"),
            "the guest runs FreeBSD, and the scenario is about Linux",
        ),
    ],
)
def test_scenario_is_left_out_with_its_reason(name, survey, reason):
    assert why(name, survey) == reason


@pytest.mark.parametrize(
    "name", ["sysrq-help", "nmi-panic", "boot-login", "reset-shell", "power-cycle", "sysrq-proc"]
)
def test_disk_of_a_whole_guest_plays_it(name):
    assert why(name) is None


@pytest.mark.parametrize(
    ("name", "word"), [("watchdog-reset", "i6300esb"), ("nmi-hung", "spin (a module that")]
)
def test_module_that_is_not_there_is_told_with_what_brings_it(name, word):
    said = why(name, replace(WHOLE, features=frozenset()), KERNEL)
    assert said.startswith(f"the guest has no {word}")
    assert said.endswith("modules in lab.toml, or --modules")
    assert why("watchdog-reset", replace(WHOLE, programs=frozenset()), KERNEL) == "the guest has no watchdog"


def test_mask_that_allows_the_keys_needs_no_root():
    assert why("sysrq-sync", PERSON) is None
    assert errands(LIBRARY["sysrq-sync"], PERSON, DISK) == Errands()


def test_sudo_makes_a_person_root():
    person = replace(PERSON, sudo=True)
    todo = errands(LIBRARY["sysrq-crash"], person, DISK)
    assert why("sysrq-crash", person) is None
    assert todo.become == "sudo -n sh"
    assert todo.commands == ("echo '1' > /proc/sys/kernel/sysrq",)
    assert errands(LIBRARY["nmi-dazed"], person, DISK) == Errands()


def test_parameters_are_typed_where_they_are_not_as_wanted():
    todo = errands(LIBRARY["nmi-panic"], WHOLE, DISK)
    assert todo.commands == (
        "echo '1' > /proc/sys/kernel/panic_on_unrecovered_nmi",
        "echo '1' > /proc/sys/kernel/unknown_nmi_panic",
    )


def test_parameters_are_typed_again_for_a_foreign_initramfs_and_for_kernels_that_know_no_sysctl_words():
    typed = ("echo '1' > /proc/sys/kernel/sysrq",)
    assert errands(LIBRARY["sysrq-help"], WHOLE, FOREIGN).commands == typed
    assert errands(LIBRARY["sysrq-help"], replace(WHOLE, release="5.4.0"), KERNEL).commands == typed
    assert errands(LIBRARY["sysrq-help"], PERSON, FOREIGN) == Errands()
    assert why("sysrq-crash", PERSON, FOREIGN) is None


def test_drivers_that_nobody_has_loaded_are_loaded():
    todo = errands(LIBRARY["panic-event"], WHOLE, DISK)
    assert todo.commands[-1] == "{ modprobe -q pvpanic || true; }"


def test_guest_that_did_not_come_up_is_played_unless_its_image_alone_tells():
    assert why("nmi-dazed", None) is None
    assert why("boot-no-init", None) is not None
    assert errands(LIBRARY["sysrq-help"], None, DISK).commands == ("echo '1' > /proc/sys/kernel/sysrq",)


def test_what_was_not_asked_for_is_not_missed():
    assert why("smp-boot", replace(WHOLE, programs=frozenset(), asked=frozenset())) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nmi-dazed", f"the kernel's lines are not on ttyS0: add console=ttyS0 {GRUB}"),
        ("reset-login", f"the kernel's lines are not on ttyS0: add console=ttyS0 {GRUB}"),
        ("boot-login", None),
        ("console-long-line", None),
    ],
)
def test_kernel_that_writes_elsewhere_can_not_be_watched(name, reason):
    assert why(name, replace(WHOLE, tty="ttyS0", consoles=("tty0",))) == reason


def test_guest_that_nobody_asked_is_asked_where_its_kernel_writes_if_that_matters():
    assert [*errands(LIBRARY["nmi-dazed"], None, DISK).conditions] == [IS_CONSOLE]
    assert errands(LIBRARY["boot-login"], None, DISK).conditions == {}
    assert errands(LIBRARY["nmi-dazed"], None, KERNEL).conditions == {}
    assert errands(LIBRARY["nmi-dazed"], WHOLE, DISK).conditions == {}
