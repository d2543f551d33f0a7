"""ttylab's initramfs for a user's own kernel: which modules it takes, and what it refuses."""

import pytest

from emulator import places
from emulator.errors import SpecError
from emulator.guest_images.own_initrd import OwnModules, compose_initrd, read_modules
from emulator.images.recipe import load_recipe
from emulator.machine.architectures import X86_64

RELEASE = "6.12.9-own"


def put(root, name, *, depends="", release=RELEASE):
    text = f"\x7fELF\0vermagic={release} SMP mod_unload \0name={name}\0depends={depends}\0"
    path = root / "kernel/drivers" / f"{name}.ko"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


@pytest.fixture
def wanted():
    return min(load_recipe().modules)


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "out/lib/modules" / RELEASE
    root.mkdir(parents=True)
    (root / "modules.order").write_text("")
    (root / "modules.builtin").write_text("kernel/drivers/tty/serial/8250/8250-base.ko\n")
    return root


def test_wanted_modules_come_with_what_they_need(root, wanted, tmp_path):
    put(root, wanted, depends="helper")
    put(root, "helper")
    put(root, "unwanted")
    found = read_modules(tmp_path / "out", release=RELEASE, architecture=X86_64)
    assert [module.name for module in found.loaded] == ["helper", wanted]
    assert found.features([wanted, "other"]) == {wanted}
    assert "8250_base" in found.builtin


def test_module_that_is_built_in_is_offered(root, wanted, tmp_path):
    (root / "modules.builtin").write_text(f"kernel/{wanted}.ko\n")
    assert read_modules(tmp_path / "out", release=RELEASE, architecture=X86_64).features([wanted]) == {wanted}


def test_modules_of_another_kernel_are_refused(root, wanted, tmp_path):
    put(root, wanted, release="6.1.0-else")
    with pytest.raises(SpecError, match=r"they are of kernel 6\.1\.0-else, and the kernel is 6\.12\.9-own"):
        read_modules(tmp_path / "out", release=RELEASE, architecture=X86_64)


def test_directory_of_several_kernels_gives_that_of_the_kernel(root, wanted, tmp_path):
    put(root, wanted)
    other = root.parent / "5.10.0"
    other.mkdir()
    (other / "modules.order").write_text("")
    assert read_modules(tmp_path / "out", release=RELEASE, architecture=X86_64).loaded
    with pytest.raises(SpecError, match=r"of several kernels: 5\.10\.0, 6\.12\.9-own; name"):
        read_modules(tmp_path / "out", release="4.4", architecture=X86_64)


def test_directory_that_is_none_is_refused(tmp_path):
    with pytest.raises(SpecError, match="there is no such directory"):
        read_modules(tmp_path / "nothing", release=RELEASE, architecture=X86_64)
    with pytest.raises(SpecError, match="run make modules_install"):
        read_modules(tmp_path, release=RELEASE, architecture=X86_64)


def test_own_archive_follows_the_base_and_the_same_input_gives_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setenv(places.CACHE_VARIABLE, str(tmp_path / "cache"))
    base = tmp_path / "base"
    base.write_bytes(b"base archive")
    made = compose_initrd(base, OwnModules(), name="mainline")
    assert made.read_bytes().startswith(b"base archive")
    assert made == compose_initrd(base, OwnModules(), name="mainline")
    assert made != compose_initrd(base, OwnModules(spin=b"module"), name="mainline")
