"""Which actions a role allows, and that no pattern takes long."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.cloud import roles
from emulator.cloud.records import Cloud, PrincipalType, RoleAssignment, RoleDefinition
from emulator.cloud.roles import grants, is_allowed
from tests.support.service_lab import START

HERE = "/subscriptions/s"


def role(*actions: str, without: tuple[str, ...] = ()) -> RoleDefinition:
    return RoleDefinition(id="r", name="r", actions=actions, not_actions=without)


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("*", "", True),
        ("*/read", "Microsoft.Compute/virtualMachines/READ", True),
        ("*/read", "read", False),
        ("a/*/b/*/c", "a/x/b/y/c", True),
        ("a/*/b/*/c", "a/b/c", False),
        ("a*a", "a", False),
        ("a*ab*b", "aab", False),
        ("a.b/read", "axb/read", False),
        ("*b*b", "ab", False),
    ],
)
def test_pattern_matches_the_whole_action_without_case(pattern: str, action: str, expected: bool) -> None:
    assert grants(role(pattern), action) is expected


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_pattern_means_what_the_expression_of_it_means(pattern: str, action: str) -> None:
    meant = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), action) is not None
    assert grants(role(pattern), action) is meant


def held(*assignments: tuple[str, RoleDefinition]) -> Cloud:
    given = [
        RoleAssignment(
            id=str(number), scope=scope, role=one.id, principal="P", created=START,
            principal_type=PrincipalType.USER,
        )
        for number, (scope, one) in enumerate(assignments)
    ]  # fmt: skip
    return Cloud([*(one for _, one in assignments), *given])


def test_decision_is_made_once_and_anew_when_a_role_or_an_assignment_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud, asked = held((HERE, role("x/read", without=("x/write",)))), []
    monkeypatch.setattr(roles, "_matches", lambda *one: asked.append(one) or one[0] == one[1])

    def may(action: str) -> list[bool]:
        return [is_allowed(cloud, "p", action=action, scope=f"{HERE}/vm{number}") for number in range(100)]

    assert may("x/READ") == [True] * 100
    assert len(asked) == 2
    cloud.put(role("x/other"))
    assert may("x/read") == [False] * 100
    cloud.put(role("x/read"))
    assert may("x/read") == [True] * 100
    cloud.remove(cloud.all(RoleAssignment)[0])
    assert may("x/read") == [False] * 100


def test_scope_is_at_or_below_and_never_beside() -> None:
    cloud = held((f"{HERE}/resourceGroups/A/", role("*")), ("/other/", role("*")))
    allowed = [
        scope
        for scope in (
            HERE,
            f"{HERE}/resourcegroups/a",
            f"{HERE}/resourceGroups/A/x",
            f"{HERE}/resourceGroups/AB",
        )
        if is_allowed(cloud, "p", action="any", scope=scope)
    ]
    assert allowed == [f"{HERE}/resourcegroups/a", f"{HERE}/resourceGroups/A/x"]


def test_role_at_the_root_holds_everywhere() -> None:
    assert is_allowed(held(("/", role("*"))), "p", action="any", scope=HERE)
