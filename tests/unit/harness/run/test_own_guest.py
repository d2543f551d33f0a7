"""What a cell on a user's own image needs first; images of ttylab's need nothing."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from emulator.guest_images.own_kernel import OWN, OWN_LINE
from emulator.guest_text.linux import LinuxProfile
from emulator.images.image import Image
from harness.cells.cell import parse_cell_id
from harness.guests.linux import LinuxGuest
from harness.play.session import Session
from harness.run import own_guest
from harness.run.own_guest import Preparation, prepare, prepared
from harness.run.wanted import account_of, wanted_of
from harness.scenario.errors import Unsupported
from harness.scenario.settings import Settings
from harness.scenario.stages import Stage
from harness.scenarios import find_scenario
from harness.survey.facts import Survey
from harness.survey.first_boot import Attempt
from harness.survey.fitness import Errands
from tests.support.fake_guest import FakeGuest
from tests.support.linux_images import linux_image

CELL = parse_cell_id("mine.pc.seabios.1.nmi-panic")
PANIC = find_scenario("nmi-panic")
KNOWN = Survey(user="root", root=True, system="Linux", release="6.1.0", prompt="[root@vm ~]#")


class OwnImage(Image):
    """A disk of a user's, without files."""

    features = frozenset({OWN, OWN_LINE})

    def linux_console(self) -> LinuxProfile:
        return LinuxProfile(user=b"ann", password=b"secret")


class KernelImage(OwnImage):
    """A kernel of a user's, which is given its parameters."""

    features = frozenset({OWN})


def own_image() -> OwnImage:
    plain = linux_image("mine")
    return OwnImage(**{name: getattr(plain, name) for name in Image.__dataclass_fields__})


@pytest.fixture
def find_out(monkeypatch):
    """Let every survey end as it is told; return the subjects that were surveyed."""

    def find_out(attempt):
        subjects = []
        monkeypatch.setattr(
            own_guest, "survey", lambda _lab, subject, *_, **__: subjects.append(subject) or attempt
        )
        return subjects

    return find_out


def ready(cell=CELL, scenario=PANIC) -> Preparation:
    return prepare(cell, scenario, own_image(), SimpleNamespace())


def test_image_of_ttylabs_is_not_surveyed(find_out):
    subjects = find_out(None)
    assert prepare(CELL, PANIC, linux_image(), SimpleNamespace()) == Preparation()
    assert subjects == []


def test_known_guest_gets_its_errands_and_its_prompt(find_out):
    subjects = find_out(Attempt(image="mine", survey=KNOWN))
    known = ready()
    assert known.errands.commands[0].endswith("/proc/sys/kernel/panic")
    assert known.snapshots
    assert known.found == {"found": "Linux 6.1.0, sh of root, SysRq none"}
    assert subjects[0].wanted.stage is Stage.SHELL
    guest = prepared(LinuxGuest, known)(Session(FakeGuest()))
    assert guest.errands == known.errands.commands
    assert b"root@vm\\ \\~" in guest.profile.prompt


def test_scenario_that_does_not_fit_is_left_out(find_out):
    find_out(Attempt(image="mine", survey=replace(KNOWN, root=False, user="ann")))
    with pytest.raises(Unsupported, match="only root can set"):
        ready()


def test_scenario_that_no_disk_can_play_needs_no_boot(find_out):
    subjects = find_out(None)
    with pytest.raises(Unsupported, match="boots its own kernel line, and rdinit"):
        ready(scenario=find_scenario("boot-no-init"))
    assert subjects == []


def test_parameters_of_the_matrix_are_typed_too(find_out):
    find_out(Attempt(image="mine", survey=KNOWN))
    known = ready(cell=replace(CELL, settings=Settings(append=("loglevel=8",))))
    assert "echo '8' > /proc/sys/kernel/printk" in known.errands.commands


@pytest.mark.parametrize(
    ("words", "shared"),
    [(("panic=1",), True), (("quiet",), False), (("panic=1", "maxcpus=1"), False), ((), True)],
)
def test_boot_is_shared_with_the_scenario_unless_its_parameters_change_what_is_seen(find_out, words, shared):
    subjects = find_out(Attempt(image="mine", survey=KNOWN))
    kernel = KernelImage(**{name: getattr(own_image(), name) for name in Image.__dataclass_fields__})
    one = replace(PANIC, kernel_args=words)
    prepare(CELL, one, kernel, SimpleNamespace())
    assert (set(words) <= set(subjects[0].wanted.spec.command_line)) is shared


def test_guest_that_did_not_come_up_is_booted_for_each_cell(find_out):
    find_out(Attempt(image="mine", problem="it hangs"))
    known = ready()
    assert not known.snapshots
    assert known.found == {"found": "it hangs"}
    assert known.in_vain is None


def test_guest_that_was_silent_is_not_waited_for_again(find_out):
    silent = Attempt(image="mine", problem="it is silent", silent=True)
    find_out(silent)
    assert ready().in_vain is silent


def test_disk_is_never_given_kernel_parameters_and_its_snapshots_are_of_one_account():
    wanted = wanted_of(CELL, PANIC, own_image())
    assert not set(PANIC.kernel_args) & set(wanted.spec.command_line)
    assert wanted.account == account_of(own_image()) != ""
    assert wanted_of(CELL, PANIC, linux_image()).account == ""


def test_prepared_driver_of_another_kind_is_left_alone():
    driver = object()
    assert prepared(lambda _: driver, Preparation(errands=Errands(become="x")))(None) is driver
