"""Laws of the initramfs writer, checked with a reader that shares no code with it."""

import stat

from hypothesis import given
from hypothesis import strategies as st

from emulator.kernel_files import cpio

NAMES = st.text("abcdefgh-_.0", min_size=1, max_size=8).filter(lambda name: name not in {".", ".."})
LEAVES = st.dictionaries(NAMES, st.binary(max_size=40), max_size=8)
TREES = st.dictionaries(NAMES.map("d{}".format), LEAVES, max_size=4)


def read_archive(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Return mode and content by path, as the kernel's init/initramfs.c reads them."""
    entries, position = {}, 0
    while True:
        assert archive[position : position + 6] == b"070701"
        fields = [
            int(archive[position + 6 + 8 * index : position + 14 + 8 * index], 16) for index in range(13)
        ]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = archive[position + 110 : position + 110 + name_size - 1].decode()
        body = position + (110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return entries
        entries[name] = (mode, archive[body : body + size])
        position = body + (size + 3) // 4 * 4


@given(TREES)
def test_archive_read_back_gives_every_file_and_its_directories(tree: dict[str, dict[str, bytes]]):
    files = {f"{folder}/{name}": data for folder, leaves in tree.items() for name, data in leaves.items()}
    entries = read_archive(cpio.write_archive([cpio.file(path, data) for path, data in files.items()]))
    assert {path: data for path, (mode, data) in entries.items() if stat.S_ISREG(mode)} == files
    folders = {path for path, (mode, _) in entries.items() if stat.S_ISDIR(mode)}
    assert folders == {path.split("/")[0] for path in files}


@given(st.dictionaries(NAMES, st.binary(max_size=40)), st.randoms())
def test_archive_depends_on_content_only(files, random):
    nodes = [cpio.file(path, data) for path, data in files.items()]
    shuffled = random.sample(nodes, len(nodes))
    assert cpio.write_archive(nodes) == cpio.write_archive(shuffled)
