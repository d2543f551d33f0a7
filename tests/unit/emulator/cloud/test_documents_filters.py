"""The `$filter` of lists."""

from datetime import UTC, datetime

import pytest

from emulator.cloud.documents import (
    FILTER_MAX,
    VALUES_MAX,
    Condition,
    find_value,
    parse_filter,
    parse_instant,
    require_storable,
)
from emulator.errors import CloudError

KNOWN = frozenset({"rolename", "type", "eventtimestamp", "atscope()", "assignedto()"})


def condition(name, operator, value):
    return Condition(name=name, operator=operator, value=value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, ()),
        ("  ", ()),
        ("roleName eq 'Owner'", (condition("rolename", "eq", "Owner"),)),
        ("ROLENAME EQ 'it''s and eq'", (condition("rolename", "eq", "it's and eq"),)),
        ("atScope()", (condition("atscope", "()", ""),)),
        (
            "atScope() and assignedTo('1-2')",
            (condition("atscope", "()", ""), condition("assignedto", "()", "1-2")),
        ),
        (
            "eventTimestamp ge 2026-01-01T00:00:00Z and eventTimestamp le '2026-01-02'",
            (
                condition("eventtimestamp", "ge", "2026-01-01T00:00:00Z"),
                condition("eventtimestamp", "le", "2026-01-02"),
            ),
        ),
    ],
)
def test_a_filter_is_read(text, found):
    assert parse_filter(text, known=KNOWN) == found


@pytest.mark.parametrize(
    "text",
    [
        "roleName",
        "roleName eq",
        "roleName eq 'open",
        "roleName ne 'x'",
        "other eq 'x'",
        "rolename()",
        "atScope eq 'x'",
        "atScope() or atScope()",
        "atScope() and",
        "atScope()atScope()",
        "roleName eq 'a''",
        "x" * (FILTER_MAX + 1),
    ],
)
def test_a_filter_that_means_nothing_is_refused(text):
    with pytest.raises(CloudError) as caught:
        parse_filter(text, known=KNOWN)
    assert (caught.value.status, caught.value.code) == (400, "InvalidFilterInQueryString")


def test_the_first_value_of_a_name_is_found():
    conditions = parse_filter("type eq 'a' and type eq 'b'", known=KNOWN)
    assert find_value(conditions, "type") == "a"
    assert find_value(conditions, "type", "ge") is None


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:00",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01T12:00:00.0000000Z",
    ],
)
def test_an_instant_is_read_in_utc(text):
    assert parse_instant(text) == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "0001-01-01T00:00:00+23:59"])
def test_an_instant_that_is_none_is_refused(text):
    with pytest.raises(CloudError):
        parse_instant(text)


@pytest.mark.parametrize("body", [[0] * VALUES_MAX, {str(number): 0 for number in range(VALUES_MAX // 2)}])
def test_body_of_too_many_values_is_refused(body):
    with pytest.raises(CloudError, match=f"more than {VALUES_MAX} names and values"):
        require_storable({"properties": body})
    require_storable({"properties": {"list": [0] * (VALUES_MAX - 9)}})
