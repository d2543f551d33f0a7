"""The real fleet: power, faults and ends on boot sectors, stimuli on Linux."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.clock import Deadline
from emulator.cloud.guest_plan import GuestPlan
from emulator.cloud.records import VirtualMachine
from emulator.console.marks import MarkKind
from emulator.errors import ControlError, EmulatorError, LabError, LaunchError, StateError
from emulator.fleet.guest import spec_of
from emulator.fleet.machine_fleet import Timeouts, open_fleet
from emulator.fleet.machine_guest import wait_for
from emulator.images.store import ImageStore
from emulator.machine.ledger import Entry, Ledger, collect_garbage, list_machines
from tests.support.boot_sectors import ECHO, IDLE, SWITCH_OFF, saying, sector_spec
from tests.support.service_lab import demo_records

pytestmark = pytest.mark.qemu

VM, OTHER, *MORE = [record for record in demo_records() if isinstance(record, VirtualMachine)]
TALKER = saying(b"hello", then=ECHO)


def soon() -> Deadline:
    return Deadline.after(60)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("TTYLAB_STATE", str(tmp_path / "state"))


@pytest.fixture
def changes():
    return []


@pytest.fixture
def play(tmp_path, changes):
    """Run a coroutine function on a fleet whose guests run `code`; nothing is left of it afterwards."""

    def run(act, code=TALKER, **options):
        def spec_for(_, name):
            return sector_spec(tmp_path / f"{name}.img", code, name=name)

        async def main():
            def note(change):
                changes.append((change.key, change.is_on, change.reason, change.asked))
                assert asyncio.get_running_loop() is loop

            loop = asyncio.get_running_loop()
            chosen = {"spec_for": spec_for, "timeouts": Timeouts(stimulus_s=2, reset_s=20)} | options
            async with (
                open_fleet(run_dir=tmp_path / "run", images=(), on_power_change=note, **chosen) as fleet,
                asyncio.timeout(120),
            ):
                await act(fleet)

        before = threading.active_count()
        asyncio.run(main())
        assert threading.active_count() == before
        assert Ledger().read() == ()

    return run


async def see(guest, condition):
    assert await wait_for(guest.transcript, condition, deadline=soon()), (
        guest.transcript.marks,
        guest.transcript.read()[-2000:],
    )


async def expect(guest, text, *, since=0):
    await see(guest, lambda: text in guest.transcript.read(since))


def marks(guest, name):
    return [mark for mark in guest.transcript.marks if mark.name == name]


# -- power -------------------------------------------------------------------------------------


def test_calls_at_the_same_time_start_one_machine(play, changes):
    async def act(fleet):
        guest = fleet.guest(VM)
        await asyncio.gather(*(guest.power_on() for _ in range(5)))
        assert len(marks(guest, "started")) == 1
        assert len(list_machines()) == 1

    play(act)
    assert changes == [(VM.key, True, "", False), (VM.key, False, "host-qmp-quit", True)]


def test_transcript_has_the_first_byte_and_stays_over_power_cycles(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        for count in (1, 2):
            await guest.power_on()
            await see(guest, lambda count=count: len(guest.transcript) == 5 * count)
            await guest.power_off()
        assert guest.transcript.read() == b"hellohello"

    play(act)


def test_start_goes_on_when_its_caller_is_cancelled(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        starting = asyncio.create_task(guest.power_on())
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await guest.power_on()
        assert len(marks(guest, "started")) == 1

    play(act)


def test_launch_failure_leaves_the_guest_off_and_usable(play, tmp_path):
    missing = [True]

    def spec_for(_, name):
        spec = sector_spec(tmp_path / "sector.img", TALKER, name=name)
        if missing:
            (tmp_path / "sector.img").unlink()
        return spec

    async def act(fleet):
        guest = fleet.guest(VM)
        with pytest.raises(LaunchError, match=r"sector\.img"):
            await guest.power_on()
        assert not guest.is_on
        missing.clear()
        await guest.power_on()
        await expect(guest, b"hello")

    play(act, spec_for=spec_for)


def test_killed_qemu_is_noticed_and_the_next_power_on_works(play, changes):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        os.kill(guest.machine.pid, signal.SIGKILL)
        await see(guest, lambda: marks(guest, "gone"))
        assert not guest.is_on
        with pytest.raises(StateError, match="is off"):
            guest.type(b"x")
        await guest.power_on()
        assert guest.is_on

    play(act)
    assert changes[1] == (VM.key, False, "killed by signal 9", False)


def test_guest_that_switches_itself_off_is_told_of(play, changes):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        await see(guest, lambda: not guest.is_on and len(changes) == 2)

    play(act, code=saying(b"bye", then=SWITCH_OFF))
    assert changes[-1] == (VM.key, False, "guest-shutdown", False)


def test_guest_that_ignores_its_power_button_loses_its_power(play, changes):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        await guest.reset()  # no wait for the end of the first boot
        assert await guest.shut_down(0.2) is False
        assert not guest.is_on

    play(act, code=IDLE)
    assert changes[-1][1:] == (False, "host-qmp-quit", True)


def test_bytes_typed_to_a_guest_that_lost_its_power_do_not_reach_the_next(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        await expect(guest, b"hello")
        guest.machine.pause(soon())
        guest.type(b"old" * 50_000)
        await guest.power_off()
        await guest.wait_typed()
        await guest.power_on()
        await expect(guest, b"hellohello")
        guest.type(b"new")
        await expect(guest, b"new")
        assert guest.transcript.read() == b"hellohellonew"

    play(act)


def test_changed_plan_is_a_new_machine_on_the_same_console(play, tmp_path):
    def spec_for(plan, name):
        text = b"big" if plan.memory_mib > 256 else b"small"
        return sector_spec(tmp_path / f"{text.decode()}.img", saying(text), name=name)

    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        await expect(guest, b"small")
        await guest.power_off()
        assert fleet.guest(replace(VM, guest=GuestPlan(memory_mib=512))) is guest
        await guest.power_on()
        await expect(guest, b"smallbig")
        assert len(list_machines()) == 1

    play(act, spec_for=spec_for)


# -- stimuli -----------------------------------------------------------------------------------


def test_what_is_typed_during_a_system_request_comes_after_its_key(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        await expect(guest, b"hello")
        await guest.reset()
        await expect(guest, b"hellohello")
        request = asyncio.create_task(guest.sysrq("h"))
        await see(guest, lambda: marks(guest, "sysrq-h"))
        guest.type(b"abc")
        await guest.wait_typed()
        await request
        await expect(guest, b"habc")
        assert b"".join(typed.data for typed in guest.transcript.typed) == b"habc"

    play(act, timeouts=Timeouts(stimulus_s=0.2, reset_s=20))


def test_system_request_is_not_sent_in_front_of_bytes_that_nobody_read(play, monkeypatch):
    monkeypatch.setattr("emulator.fleet.machine_guest.CONTROL_S", 0.5)

    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        await guest.reset()
        guest.type(b"x" * 100)
        with pytest.raises(ControlError, match=r"does not read its console: \d+ typed bytes wait"):
            await guest.sysrq("b")
        assert b"b" not in b"".join(typed.data for typed in guest.transcript.typed)

    play(act, code=IDLE)


def test_linux_shows_what_nmi_and_system_requests_do(play):
    def spec_for(plan, name):
        words = ("ttylab.autologin", "ttylab.grub_timeout=0", "sysctl.kernel.sysrq=1")
        return spec_of(replace(plan, words=words), ImageStore().ensure("bookworm-grub"), name)

    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        effect = await guest.nmi()  # waits for the end of the boot
        assert effect.seen
        assert "NMI received for unknown reason" in effect.evidence
        assert b"ttylab linux1" not in guest.transcript.read()
        guest.type(b"\x15\rhostname\r")
        await expect(guest, b"\nlinux1\r\n")

        effect = await guest.sysrq("h")
        assert effect.evidence.startswith("sysrq: HELP : loglevel(0-9)")

        before = await guest.screenshot()
        guest.type(b"echo a new line > /dev/tty0; echo shown-$((40 + 2))\r")
        await expect(guest, b"shown-42")
        after = await guest.screenshot()
        assert any(before[20:])
        assert before != after

        guest.type(b"sysctl -w kernel.sysrq=0\r")
        await expect(guest, b"kernel.sysrq = 0\r\n")
        assert (effect := await guest.sysrq("c")).seen is False
        assert effect.evidence == ""
        guest.type(b"\x15sysctl -w kernel.sysrq=1\r")
        await expect(guest, b"kernel.sysrq = 1\r\n")
        assert (await guest.sysrq("b")).evidence == "RESET (guest-reset)"

    play(act, spec_for=spec_for)


def test_linux_keeps_its_console_over_reset_shutdown_and_power(play, changes):
    def spec_for(plan, name):
        return spec_of(replace(plan, words=("ttylab.autologin",)), ImageStore().ensure("bookworm"), name)

    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        await expect(guest, b"~# ")
        since = len(guest.transcript)
        assert (await guest.reset()).evidence == "RESET (host-qmp-system-reset)"
        await expect(guest, b"~# ", since=since)
        guest.type(b"poweroff\r")
        await see(guest, lambda: not guest.is_on and len(changes) == 2)
        assert changes[-1] == (VM.key, False, "guest-shutdown", False)

        since = len(guest.transcript)
        await guest.power_on()
        assert await guest.shut_down(60) is True
        assert b"Linux version" in guest.transcript.read(since)
        assert guest.transcript.read(0, since).count(b"Linux version") == 2

    play(act, spec_for=spec_for)
    assert changes[-1] == (VM.key, False, "guest-shutdown", True)


# -- health and ends ---------------------------------------------------------------------------


def test_guest_that_does_not_answer_is_a_problem_until_it_does(play):
    async def act(fleet):
        guest, other = fleet.guest(VM), fleet.guest(OTHER)
        await asyncio.gather(guest.power_on(), other.power_on())
        assert await fleet.problems() == []
        os.kill(guest.machine.pid, signal.SIGSTOP)
        (problem,) = await fleet.problems()
        assert problem.startswith("guest linux1: QMP did not answer 'query-status'")
        assert await fleet.problems() == [problem]
        os.kill(guest.machine.pid, signal.SIGCONT)
        deadline = soon()
        while await fleet.problems() and not deadline.expired():
            pass
        assert await fleet.problems() == []

    play(act)


def test_fleet_ends_all_machines_whatever_goes_on(play):
    processes = []

    async def act(fleet):
        guests = [fleet.guest(vm) for vm in (VM, OTHER, *MORE)]
        await asyncio.gather(*(guest.power_on() for guest in guests[:3]))
        await guests[0].reset()
        processes.extend(guest.machine.pid for guest in guests[:3])
        os.kill(processes[1], signal.SIGSTOP)
        calls = (guests[0].nmi(), guests[2].shut_down(60), guests[3].power_on(), fleet.problems())
        tasks.extend(asyncio.create_task(call) for call in calls)
        await asyncio.sleep(0)

    async def end(fleet):
        await act(fleet)
        raise LabError("something else went wrong")

    tasks, before = [], set(threading.enumerate())
    with pytest.raises(LabError, match="something else"):
        play(end)
    # Retrieved here: when an unseen failure is collected, asyncio logs it, and Python 3.11 parses its source
    # for that, which fails whoever is parsing just then ("AST constructor recursion depth mismatch").
    assert all(task.cancelled() or isinstance(task.exception(), EmulatorError | None) for task in tasks)
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
    assert Ledger().read() == ()
    assert not [thread.name for thread in new_threads(before) if "fleet" in thread.name]


def new_threads(before):
    """Return the threads that were not there before; those of other tests' fleets were."""
    return set(threading.enumerate()) - before


def test_fleet_ends_all_machines_however_often_its_owner_is_cancelled(tmp_path):
    made = []

    async def own():
        def spec_for(_, name):
            return sector_spec(tmp_path / f"{name}.img", IDLE, name=name)

        async with open_fleet(run_dir=tmp_path / "run", images=(), spec_for=spec_for) as fleet:
            await fleet.guest(VM).power_on()
            made.append(fleet)
            await asyncio.Event().wait()

    async def main():
        owner = asyncio.create_task(own())
        while not owner.done():
            await asyncio.sleep(0)
            if made:
                owner.cancel()
        assert owner.cancelled()

    before = set(threading.enumerate())
    asyncio.run(main())
    assert Ledger().read() == ()
    assert not [thread.name for thread in new_threads(before) if "machine" in thread.name]
    with pytest.raises(StateError, match="the fleet is closed"):
        made[0].guest(OTHER)


OWNER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from emulator.cloud.guest_plan import GuestPlan
from emulator.cloud.records import VirtualMachine
from emulator.cloud.resource_id import vm_id
from emulator.fleet.machine_fleet import open_fleet
from tests.support.boot_sectors import IDLE, sector_spec

VMS = [
    VirtualMachine(
        id=vm_id("s", "g", name), document={}, vm_id="", created=datetime.now(UTC), guest=GuestPlan()
    )
    for name in ("one", "two")
]

async def main(directory):
    def spec_for(plan, name):
        return sector_spec(directory / f"{name}.img", IDLE, name=name)

    async with open_fleet(run_dir=directory / "run", images=(), spec_for=spec_for) as fleet:
        await asyncio.gather(*(fleet.guest(vm).power_on() for vm in VMS))
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


def owned(tmp_path, number):
    """Start two guests in a process of their own, send it a signal; return their entries and its result."""
    words = [sys.executable, "-c", OWNER, str(tmp_path)]
    root = Path(__file__).parents[2]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=root, **pipes) as child:
        try:
            assert child.stdout.readline() == b"ready\n", child.stderr.read().decode()
            entries = [one for one in Ledger().read() if isinstance(one, Entry)]
            handles = [os.pidfd_open(entry.pid) for entry in entries]
            child.send_signal(number)
            for handle in handles:
                poller = select.poll()
                poller.register(handle, select.POLLIN)
                assert poller.poll(30_000), "QEMU outlived its owner"
                os.close(handle)
            _, said = child.communicate(timeout=60)
        finally:
            child.kill()
    return entries, child.returncode, said


def test_killed_process_takes_its_guests_along_and_gc_removes_the_rest(tmp_path):
    entries, _, _ = owned(tmp_path, signal.SIGKILL)
    assert len(entries) == 2
    assert {one.id for one in collect_garbage()} == {entry.id for entry in entries}
    assert Ledger().read() == ()
    assert not [entry for entry in entries if Path(entry.temp_dir).exists()]


def test_interrupted_process_leaves_nothing(tmp_path):
    entries, code, said = owned(tmp_path, signal.SIGINT)
    assert code == -signal.SIGINT
    assert said.rstrip().endswith(b"KeyboardInterrupt")
    assert Ledger().read() == ()
    assert not [entry for entry in entries if Path(entry.temp_dir).exists()]


def test_mark_kinds_of_stimuli_are_on_the_timeline(play):
    async def act(fleet):
        guest = fleet.guest(VM)
        await guest.power_on()
        await guest.reset()
        kinds = [mark.name for mark in guest.transcript.marks if mark.kind is MarkKind.STIMULUS]
        assert kinds == ["reset"]

    play(act)
