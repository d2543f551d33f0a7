"""What every target does: the same tests on a machine, on its pty by pyserial, behind RFC 2217, as a board,
and on a VM of the console service by each of its links.

Each target has a guest of its own, booted once; the tests use it in their order, and the last one kills it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass

import pytest

from emulator.clock import Deadline
from emulator.cloud.resource_id import vm_id
from emulator.errors import StateError
from emulator.guest_text.records import UserView
from emulator.lab_file.read import VARIABLE
from emulator.machine.architectures import X86_64
from emulator.machine.control import Capability
from emulator.machine.machine import Machine, open_machine
from emulator.machine.spec import MachineSpec, MachineType
from harness.azure.address import ServiceAddress, address_of_ready
from harness.azure.arm import open_arm
from harness.azure.virtual_machine import own_vm
from harness.guests.linux import LinuxGuest
from harness.play.judge import judge
from harness.play.runner import Player
from harness.play.session import Session
from harness.play.target import Target
from harness.play.traces import boot_offsets
from harness.scenario.errors import GuestDied, Unsupported
from harness.scenario.scenario import Scenario
from harness.scenario.stages import Stage
from harness.scenario.steps import Inject, Shows
from harness.scenario.stimulus import Nmi, SysRq
from harness.scenario.verdict import Reason, Status
from harness.signatures.scanner import scan_boots
from harness.targets.board import open_board
from harness.targets.serial_port import open_port
from harness.targets.service import service_capabilities, service_target
from tests.support.board_rig import board_table
from tests.support.rfc2217_server import open_rfc2217_server

pytestmark = pytest.mark.qemu

PATIENCE_S = 120.0
HELPS = Shows(pattern=r"sysrq: HELP : loglevel\(0-9\) [^\n]*\n", says="the kernel lists its keys")


def soon() -> Deadline:
    return Deadline.after(PATIENCE_S)


def open_machine_target(machine: Machine, stack: ExitStack) -> Target:
    return Target(name="machine", channel=machine.console, control=machine)


def open_pty_target(machine: Machine, stack: ExitStack) -> Target:
    return stack.enter_context(open_port(str(machine.console.endpoint.path)))


def open_rfc2217_target(machine: Machine, stack: ExitStack) -> Target:
    server = open_rfc2217_server(machine.console, on_break=lambda: machine.send_break(soon()))
    host, port = stack.enter_context(server)
    return stack.enter_context(open_port(f"rfc2217://{host}:{port}"))


def open_board_target(machine: Machine, stack: ExitStack) -> Target:
    server = open_rfc2217_server(machine.console, on_break=lambda: machine.send_break(soon()))
    host, port = stack.enter_context(server)
    lab_file = machine.run_dir / "lab.toml"
    lab_file.write_text(board_table(machine, f"rfc2217://{host}:{port}"))
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    patch.setenv(VARIABLE, str(lab_file))
    return stack.enter_context(open_board("bench1", boots=True))


def open_service_target(address: ServiceAddress, spec: MachineSpec, raw: bool, stack: ExitStack) -> Target:
    arm = stack.enter_context(open_arm(address))
    vm = vm_id(address.subscription, address.group, f"contract-{'raw' if raw else 'azure'}")
    stack.enter_context(own_vm(arm, vm, spec, image="bookworm"))
    able = service_capabilities(spec)
    return stack.enter_context(service_target(arm, vm, able=able, name="service", raw=raw))


@dataclass(kw_only=True)
class Rig:
    """A target with a logged-in guest, and what its line can't do."""

    target: Target
    guest: LinuxGuest
    obstacle: str | None


WIRES = {"service": False, "service-raw": True}
OBSTACLES = {
    "machine": None,
    "pty": "a pty carries no BREAK",
    "rfc2217": None,
    "board": None,
    **dict.fromkeys(WIRES),
}
OPENERS: dict[str, Callable[[Machine, ExitStack], Target]] = {
    "machine": open_machine_target,
    "pty": open_pty_target,
    "rfc2217": open_rfc2217_target,
    "board": open_board_target,
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(f"target-{name}")) for name in OBSTACLES],
)
def rig(request, lab, tmp_path_factory) -> Iterator[Rig]:
    image = lab.guest_image("bookworm")
    spec = MachineSpec(
        name=f"contract-{request.param}",
        machine=MachineType.PC,
        memory_mib=256,
        kernel=image.vmlinux,
        initrd=image.initrd,
        tell_tsc=True,
        command_line=(*X86_64.console_words, *X86_64.kernel_words),
    )
    with ExitStack() as stack:
        if request.param in WIRES:
            address = address_of_ready(asdict(request.getfixturevalue("cloud")), name="cloud")
            target = open_service_target(address, spec, WIRES[request.param], stack)
        else:
            run_dir, accelerator = tmp_path_factory.mktemp(request.param), lab.choice(spec)
            opened = open_machine(
                spec, run_dir=run_dir, qemu=lab.qemu(spec), accelerator=accelerator, start=False
            )
            machine = stack.enter_context(opened)
            target = OPENERS[request.param](machine, stack)
            if request.param != "board":  # which is on by its command
                machine.power_on(soon())
        guest = LinuxGuest(Session(target.channel))
        guest.reach(Stage.SHELL, soon())
        yield Rig(target=target, guest=guest, obstacle=OBSTACLES[request.param])


def play(rig: Rig, *steps):
    """Play steps on a guest that is at its prompt; the scenario's transcript is the whole of it."""
    made = Scenario(name="contract", title="Contract", description="For a test.", steps=steps)
    transcript = rig.target.channel.transcript
    Player(scenario=made, target=rig.target, open_guest=LinuxGuest).play()
    return judge(made, transcript, scan_boots(transcript.read(), boot_offsets(transcript))).verdict


def test_target_shows_the_boot_and_takes_a_login(rig):
    assert rig.guest.stage is Stage.SHELL
    assert rig.target.channel.transcript.read().count(b"login: ") == 1


def test_target_runs_commands_and_returns_their_output(rig):
    result = rig.guest.run("echo one; echo two >&2; false", soon())
    assert (result.status, result.output) == (1, b"one\r\ntwo\r\n")
    span = UserView()  # the kernel may have written between the two lines
    span.feed(rig.target.channel.transcript.read(result.start, result.end))
    assert span.read(0) == result.output
    long = "x" * 300  # wider than the guest's terminal, and many times its FIFO
    assert rig.guest.check_output(f"echo {long}", soon()) == long.encode() + b"\r\n"


def test_target_proves_life(rig):
    rig.guest.prove_life(soon())


def test_target_makes_a_system_request_by_break_where_its_line_carries_one(rig):
    verdict = play(rig, Inject(stimulus=SysRq(key="h"), effects=(HELPS,), attempts=3))
    if rig.obstacle is None:
        assert (verdict.status, verdict.message) == (Status.PASSED, "")
        assert verdict.injections[0].latency_s is not None
    else:
        assert (verdict.status, verdict.reason) == (Status.SKIPPED, Reason.UNSUPPORTED)
        assert rig.obstacle in verdict.message


def test_targets_control_makes_a_system_request_right_behind_typed_bytes_or_says_why_not(rig):
    session = rig.guest.session
    session.skip()
    if rig.obstacle is None:
        rig.target.channel.write(b"x" * 100, soon())
        rig.target.control.sysrq("h", soon())
        session.expect(HELPS.compiled(), soon())
        rig.target.channel.write(b"\x15", soon())  # the line of x
    else:
        with pytest.raises(StateError, match=rig.obstacle):
            rig.target.control.sysrq("h", soon())
    rig.guest.prove_life(soon())


def test_target_says_what_it_cannot_do(rig):
    rig.target.require(frozenset())
    missing = frozenset(Capability) - rig.target.control.capabilities
    assert missing
    with pytest.raises(Unsupported, match=f"can't do .*{min(missing)}"):
        rig.target.require(missing)


def test_target_without_nmi_skips_it(rig):
    if Capability.NMI in rig.target.control.capabilities:
        noted = Shows(pattern=r"NMI received for unknown reason[^\n]*\n", says="the kernel notes the NMI")
        step = Inject(stimulus=Nmi(), effects=(noted,), allows=frozenset({"nmi-unknown"}))
        assert play(rig, step).message == ""
    else:
        assert play(rig, Inject(stimulus=Nmi(), effects=(HELPS,))).status is Status.SKIPPED


def test_target_is_alive_after_all_this(rig):
    rig.guest.session.listener.forgive()  # a noted NMI is a finding
    rig.guest.prove_life(soon())


def test_panic_ends_a_wait_long_before_its_deadline(rig):
    session = rig.guest.session
    deadline = soon()
    session.send_line(b"echo c > /proc/sysrq-trigger", deadline, echo=False)
    with pytest.raises(GuestDied, match="sysrq triggered crash") as caught:
        session.expect(rb"this never comes", deadline)
    seen, alarm = session.transcript.now(), caught.value.alarm
    assert alarm.name == "panic"
    assert session.transcript.arrival(alarm.start) <= seen
    assert deadline.remaining() > PATIENCE_S / 2
    with pytest.raises(GuestDied):
        session.expect(rb"root@", soon())
