"""What pages show of a run, as values."""

from dataclasses import replace

import pytest

from harness.report.views import (
    bad_first,
    duration,
    facts_of,
    headline,
    latency,
    own_files_of,
    page_of,
    spans_of,
    view_cell,
    view_grid,
    view_images,
)
from tests.support.report_samples import make_cell, make_guest, make_run


@pytest.mark.parametrize(
    ("statuses", "changes", "text"),
    [
        (["passed", "passed"], {}, "All 2 cells passed"),
        (["passed", "failed", "broken"], {}, "1 failed and 1 broken of 3 cells"),
        (["passed", "skipped"], {}, "1 of 2 cells passed, the others were skipped"),
        ([], {}, "No cell ran"),
        (["passed"], {"interrupted": True}, "Interrupted after 1 of 1 cells"),
        (["failed"], {"interrupted": True}, "Interrupted after 1 of 1 cells: 1 failed"),
    ],
)
def test_headline_says_how_it_ended(statuses, changes, text) -> None:
    cells = [make_cell(status, scenario=f"s{n}") for n, status in enumerate(statuses)]
    assert headline(make_run(*cells, **changes)) == text


def test_bad_first_puts_failures_before_all() -> None:
    cells = [view_cell(make_cell(s, scenario=s), None) for s in ("passed", "skipped", "broken", "failed")]
    assert [each.result.status for each in bad_first(cells)] == ["failed", "broken", "skipped", "passed"]


def test_grid_has_a_gap_where_no_cell_is() -> None:
    one, two = make_cell(scenario="a", vcpus=1), make_cell(scenario="b", vcpus=2)
    grid = view_grid([view_cell(one, None), view_cell(two, None)])
    assert [target[3] for target in grid.targets] == ["1 vCPU", "2 vCPUs"]
    assert [(name, [cell is not None for cell in row]) for name, row in grid.rows] == [
        ("a", [True, False]),
        ("b", [False, True]),
    ]


@pytest.mark.parametrize("odd", ["../../etc/passwd", "a/b", "", ".hidden", "x" * 300, 'a"><script>', "a b"])
def test_page_names_are_plain_and_differ(odd: str) -> None:
    name = page_of(odd)
    assert name != page_of(odd + "?")
    assert "/" not in name
    assert not name.startswith(".")
    assert len(name) < 200
    assert not set(name) & set(' "<>')


def test_page_name_of_a_cell_is_its_id() -> None:
    assert page_of("bookworm.q35.seabios.1.nmi") == "bookworm.q35.seabios.1.nmi"


def test_images_are_listed_once_unless_their_digests_differ() -> None:
    other = make_cell(scenario="c", image="bookworm")
    changed = replace(other, image={**other.image, "sha256": {"bzimage": "00"}})
    run = make_run(make_cell(scenario="a"), make_cell(scenario="b"), changed)
    assert [image.name for image in view_images(run)] == ["bookworm", "bookworm"]


def test_images_do_without_facts() -> None:
    (image,) = view_images(make_run(replace(make_cell(image="sid"), image={})))
    assert (image.name, image.kernel, image.digests, image.packages) == ("sid", "", {}, ())


def test_facts_flatten_what_the_host_says() -> None:
    run = make_run(host={"kvm": {"works": False}, "tags": ["a", 1], "evil": "\x1b[2J"})
    facts = dict(facts_of(run))
    assert facts["host kvm"] == "works False"
    assert facts["host tags"] == "a, 1"
    assert facts["host evil"] == "\\x1b[2J"


def test_times_are_for_people() -> None:
    assert [duration(s) for s in (1.26, 125.0)] == ["1.3 s", "2 min 5 s"]
    assert [latency(s) for s in (0.0123, 2.5, None)] == ["12.3 ms", "2.50 s", "no effect seen"]


def test_files_of_a_users_own_are_told_by_name_and_hash() -> None:
    own = {
        "name": "mine",
        "own": "kernel",
        "kernel_release": "6.6.6",
        "files": {"kernel": "/a b/out/bzImage", "initrd": "ttylab"},
        "sha256": {"kernel": "ab" * 32, "initrd": "cd" * 32},
    }
    run = make_run(replace(make_cell(image="mine"), image=own), make_cell())
    image = next(one for one in view_images(run) if one.name == "mine")
    assert image.digests == {"kernel bzImage": "ab" * 32, "initrd ttylab": "cd" * 32}
    assert own_files_of(run) == {"mine kernel bzImage": "ab" * 32, "mine initrd ttylab": "cd" * 32}


def test_what_proves_the_steps_before_a_failure_is_not_marked_as_the_failure() -> None:
    guest = make_guest()
    cell = make_cell("failed", guest=guest)
    proof = replace(cell.evidence[0], says="the shell answers", start=10, end=20)
    cell = replace(cell, evidence=(proof, *cell.evidence))
    assert [span.css for span in spans_of(cell)] == ["found", "expected", "hit"]
    passed = replace(cell, status="passed", findings=())
    assert [span.css for span in spans_of(passed)] == ["hit", "hit"]
    late = replace(cell, findings=())
    assert [span.css for span in spans_of(late)] == ["expected", "expected"]
