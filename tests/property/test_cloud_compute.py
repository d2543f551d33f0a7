"""Laws of documents: GET shows what was put, PATCH changes what it names and no more; logs and bitmaps."""

import struct
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from emulator.cloud.boot_diagnostics import render_boot_log, render_session_line
from emulator.cloud.compute import render_vm
from emulator.cloud.compute_changes import patch_vm, put_vm
from emulator.cloud.documents import merge, without_nulls
from emulator.cloud.guest_plan import GuestPlan
from emulator.cloud.records import VirtualMachine
from emulator.cloud.resource_id import vm_id
from emulator.console.marks import Mark, MarkKind
from emulator.service.compute.power import bmp_of_ppm

VM = vm_id("s", "rg1", "vm1")
AT = datetime(2026, 3, 1, tzinfo=UTC)
names = st.text("abc", min_size=1, max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
tables = st.dictionaries(names, values, max_size=4)
bodies = st.builds(
    lambda tags, properties: {"location": "eastus", "tags": tags, "properties": properties},
    st.dictionaries(names, st.text(max_size=5), max_size=3),
    tables,
)


def shown(document: dict) -> dict:
    vm = VirtualMachine(id=VM, document=document, vm_id="v", created=AT, guest=GuestPlan())
    return render_vm(vm)


@given(bodies)
def test_get_after_put_contains_what_was_put(body: dict) -> None:
    answer = shown(put_vm(body, vm=VM, old=None))
    assert answer["tags"] == body["tags"]
    assert without_nulls(body["properties"]).items() <= answer["properties"].items()


@given(bodies)
def test_putting_back_what_was_got_changes_nothing(body: dict) -> None:
    document = put_vm(body, vm=VM, old=None)
    answer = shown(document)
    assert shown(put_vm(answer, vm=VM, old=document)) == answer
    assert shown(patch_vm(answer, vm=VM, old=document)) == answer


@given(bodies, tables)
def test_patch_changes_what_it_names_and_no_more(body: dict, patch: dict) -> None:
    old = put_vm(body, vm=VM, old=None)
    new = patch_vm({"properties": patch}, vm=VM, old=old)
    assert new["tags"] == old["tags"]
    for name in old["properties"].keys() - patch.keys():
        assert new["properties"][name] == old["properties"][name]
    for name, value in patch.items():
        if value is None:
            assert name not in new["properties"]


@given(tables, tables)
def test_merge_twice_is_merge_once(old: dict, patch: dict) -> None:
    once = merge(old, patch)
    assert merge(once, patch) == once


def a_mark(offset: int) -> Mark:
    return Mark(kind=MarkKind.LINK, name="connected", at=1.0, offset=offset, detail={"by": "app"})


@given(
    st.binary(max_size=200).map(lambda data: data.replace(b"[", b".")),
    st.lists(st.integers(0, 260), max_size=8).map(sorted),
    st.integers(0, 40),
)
def test_boot_log_keeps_guest_bytes_in_order(data: bytes, offsets: list[int], first: int) -> None:
    marks = [a_mark(offset) for offset in offsets]
    line = render_session_line(marks[0], epoch=AT) if marks else b"["
    log = render_boot_log(data, first=first, marks=marks, epoch=AT)
    inside = [offset - first for offset in offsets if first <= offset <= first + len(data)]
    assert log.count(line) == len(inside)
    pieces = log.split(line)
    edges = [0, *inside, len(data)]
    for piece, start, end in zip(pieces, edges, edges[1:], strict=False):
        assert piece in {data[start:end], data[start:end] + b"\r\n"}
    for before in pieces[:-1]:
        assert before == b"" or before.rstrip(b"\r").endswith(b"\n")


@given(st.integers(1, 9), st.integers(1, 6), st.data())
def test_bitmap_has_every_pixel_at_its_place(width: int, height: int, data: st.DataObject) -> None:
    pixels = data.draw(st.binary(min_size=3 * width * height, max_size=3 * width * height))
    bitmap = bmp_of_ppm(b"P6\n%d %d\n255\n" % (width, height) + pixels)
    (start,) = struct.unpack_from("<I", bitmap, 10)
    stride = (3 * width + 3) // 4 * 4
    assert len(bitmap) == start + stride * height
    for y in range(height):
        for x in range(width):
            place = start + stride * (height - 1 - y) + 3 * x
            seen = bitmap[place : place + 3]
            assert seen[::-1] == pixels[3 * (width * y + x) : 3 * (width * y + x) + 3]
