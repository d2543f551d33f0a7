"""Role assignments and definitions over HTTP."""

from dataclasses import replace

import pytest

from emulator.cloud import role_limits
from emulator.cloud.records import Principal, PrincipalType, RoleAssignment, RoleDefinition, Subscription
from tests.support.service_lab import (
    CONTRIBUTOR,
    ENDPOINT,
    OWNER,
    READER,
    SUBSCRIPTION,
    VM_CONTRIBUTOR,
    bearer,
    client_for,
    demo_vm_id,
    open_test_service,
)

HERE = f"/subscriptions/{SUBSCRIPTION}"
GROUP = f"{HERE}/resourceGroups/rg1"
NAME = "12345678-1234-1234-1234-123456789012"
OTHER = "12345678-1234-1234-1234-123456789013"
VERSION = "api-version=2022-04-01"


@pytest.fixture
def service():
    return open_test_service()


@pytest.fixture
def client(service):
    with client_for(service) as client:
        client.headers = bearer(service)
        yield client


def principal_of(service, name):
    return next(one.id for one in service.cloud.all(Principal) if one.name == name)


def assignments(scope, name="", query=""):
    tail = f"/{name}" if name else ""
    return f"{scope}/providers/Microsoft.Authorization/roleAssignments{tail}?{VERSION}{query}"


def definitions(scope, name="", query=""):
    tail = f"/{name}" if name else ""
    return f"{scope}/providers/Microsoft.Authorization/roleDefinitions{tail}?{VERSION}{query}"


def wanted(service, *, role=VM_CONTRIBUTOR, who="reader", **more):
    where = f"{HERE}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    return {"properties": {"roleDefinitionId": where, "principalId": principal_of(service, who), **more}}


def custom(**change):
    return {
        "properties": {
            "roleName": "Console user",
            "type": "CustomRole",
            "permissions": [{"actions": ["Microsoft.SerialConsole/serialPorts/connect/action"]}],
            "assignableScopes": [GROUP],
            **change,
        }
    }


def code_of(answer, status):
    assert answer.status_code == status, answer.text
    return answer.json()["error"]["code"]


# -- assignments -----------------------------------------------------------------------------


@pytest.mark.parametrize("scope", [HERE, GROUP, str(demo_vm_id("linux1")), GROUP.upper()])
def test_a_role_is_given_shown_and_taken(service, client, scope):
    put = client.put(assignments(scope, NAME), json=wanted(service, principalType="ServicePrincipal"))
    assert put.status_code == 201
    shown = put.json()
    assert shown["properties"]["principalId"] == principal_of(service, "reader")
    assert shown["properties"]["roleDefinitionId"].endswith(VM_CONTRIBUTOR)
    assert shown["id"].lower() == assignments(scope, NAME).partition("?")[0].lower()
    assert client.get(assignments(scope, NAME)).json() == shown
    assert client.delete(assignments(scope, NAME)).json() == shown
    assert client.delete(assignments(scope, NAME)).status_code == 204
    assert code_of(client.get(assignments(scope, NAME)), 404) == "RoleAssignmentNotFound"


def test_a_scope_with_two_slashes_is_the_same(client):
    doubled = client.get(
        f"{ENDPOINT}/{assignments(HERE)}"
    )  # the SDKs put a slash before a scope that has one
    assert doubled.json() == client.get(assignments(HERE)).json()


def test_a_role_counts_from_when_it_is_given_until_it_is_taken(service, client):
    header = bearer(service, "reader")
    path = f"{HERE}/resourceGroups/rg9?api-version=2024-11-01"
    assert client.put(path, json={"location": "eastus"}, headers=header).status_code == 403
    client.put(assignments(HERE, NAME), json=wanted(service, role=CONTRIBUTOR))
    assert client.put(path, json={"location": "eastus"}, headers=header).status_code == 201
    client.delete(assignments(HERE, NAME))
    assert client.put(path, json={"location": "eastus"}, headers=header).status_code == 403


def test_the_same_assignment_twice_is_a_conflict_but_for_its_own_name(service, client):
    assert client.put(assignments(GROUP, NAME), json=wanted(service)).status_code == 201
    assert client.put(assignments(GROUP, NAME), json=wanted(service)).status_code == 200
    answer = client.put(assignments(GROUP, OTHER), json=wanted(service))
    assert code_of(answer, 409) == "RoleAssignmentExists"
    assert NAME.replace("-", "") in answer.json()["error"]["message"]
    changed = client.put(assignments(GROUP, NAME), json=wanted(service, role=READER))
    assert code_of(changed, 409) == "RoleAssignmentUpdateNotPermitted"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"roleDefinitionId": OTHER}, 404, "RoleDefinitionDoesNotExist"),
        ({"roleDefinitionId": "Owner"}, 400, "InvalidRoleDefinitionId"),
        ({"roleDefinitionId": 7}, 400, "InvalidRequestContent"),
        ({"principalId": OTHER}, 400, "PrincipalNotFound"),
        ({"principalId": None}, 400, "InvalidRequestContent"),
        ({"principalType": "User"}, 400, "UnmatchedPrincipalType"),
        ({"condition": "true"}, 400, "InvalidRoleAssignmentCondition"),
    ],
)
def test_an_assignment_is_refused(service, client, change, status, code):
    body = wanted(service)
    body["properties"] |= change
    assert code_of(client.put(assignments(GROUP, NAME), json=body), status) == code


@pytest.mark.parametrize("body", [{}, {"properties": None}, {"properties": []}, [], "x", None])
def test_an_assignment_without_properties_is_refused(client, body):
    assert client.put(assignments(GROUP, NAME), json=body).status_code == 400


def test_an_assignment_needs_a_guid_and_a_group_that_is_there(service, client):
    answer = client.put(assignments(GROUP, "mine"), json=wanted(service))
    assert code_of(answer, 400) == "InvalidRoleAssignmentId"
    answer = client.put(assignments(f"{HERE}/resourceGroups/none", NAME), json=wanted(service))
    assert code_of(answer, 404) == "ResourceGroupNotFound"


@pytest.mark.parametrize("who", ["reader", "vmonly"])
def test_who_may_not_give_roles_gives_none(service, client, who):
    header = bearer(service, who)
    for scope in (HERE, GROUP, str(demo_vm_id("linux1"))):
        body = wanted(service, role=OWNER, who=who)
        assert (
            code_of(client.put(assignments(scope, NAME), json=body, headers=header), 403)
            == "AuthorizationFailed"
        )
    (own, *_) = (
        one for one in service.cloud.all(RoleAssignment) if one.principal == principal_of(service, who)
    )
    assert client.delete(assignments(own.scope, own.id), headers=header).status_code == 403


def test_a_contributor_cannot_make_itself_an_owner(service, client):
    client.put(assignments(HERE, NAME), json=wanted(service, role=CONTRIBUTOR))
    body = wanted(service, role=OWNER)
    answer = client.put(assignments(HERE, OTHER), json=body, headers=bearer(service, "reader"))
    assert code_of(answer, 403) == "AuthorizationFailed"


def test_nobody_gives_roles_over_the_tenant(service, client):
    answer = client.put(assignments("/", NAME), json=wanted(service))
    assert answer.status_code in {403, 404, 405}


def names_in(answer):
    assert answer.status_code == 200, answer.text
    return {one["properties"]["principalId"][-1] for one in answer.json()["value"]}


def test_lists_reach_up_and_without_at_scope_also_down(service, client):
    vm = str(demo_vm_id("linux1"))
    assert names_in(client.get(assignments(HERE))) == {"1", "2", "3", "4"}
    assert names_in(client.get(assignments(HERE, query="&$filter=atScope()"))) == {"1", "2", "4"}
    assert names_in(client.get(assignments(vm, query="&$filter=atScope()"))) == {"1", "2", "3", "4"}


@pytest.mark.parametrize(
    "form", ["principalId eq '{}'", "assignedTo('{}')", "atScope() and assignedTo('{}')"]
)
def test_lists_are_filtered_by_principal(service, client, form):
    chosen = form.format(principal_of(service, "reader"))
    assert names_in(client.get(assignments(HERE, query=f"&$filter={chosen}"))) == {"2"}


def test_a_filter_that_is_unknown_is_refused(client):
    answer = client.get(assignments(HERE, query="&$filter=name eq 'x'"))
    assert code_of(answer, 400) == "InvalidFilterInQueryString"


@pytest.mark.parametrize(
    "scope", ["/subscriptions/x/y", "/x", f"{GROUP}/providers/Microsoft.Compute/virtualMachines"]
)
def test_a_scope_that_is_none_is_refused(client, scope):
    assert code_of(client.get(assignments(scope)), 400) == "InvalidScope"


def test_roles_of_another_subscription_are_not_found(client):
    answer = client.get(assignments(f"/subscriptions/{NAME}"))
    assert (answer.status_code, answer.json()["code"]) == (404, "SubscriptionNotFound")


# -- definitions -----------------------------------------------------------------------------


def test_a_definition_is_found_by_its_name(client):
    chosen = "&$filter=roleName eq 'virtual machine contributor'"
    for scope in (HERE, GROUP, ""):
        (found,) = client.get(definitions(scope, query=chosen)).json()["value"]
        assert found["name"] == VM_CONTRIBUTOR
        assert found["properties"]["type"] == "BuiltInRole"
        assert "/resourceGroups/" not in found["id"]
        assert client.get(f"{found['id']}?{VERSION}").json() == found


def test_definitions_are_listed_by_type(client):
    client.put(definitions(HERE, NAME), json=custom())
    below = "&$filter=atScopeAndBelow() and type eq 'CustomRole'"
    assert [one["name"] for one in client.get(definitions(GROUP, query=below)).json()["value"]] == [NAME]
    assert [one["name"] for one in client.get(definitions(HERE, query=below)).json()["value"]] == [NAME]
    exact = "&$filter=type eq 'CustomRole'"
    assert client.get(definitions(HERE, query=exact)).json()["value"] == []
    assert len(client.get(definitions(GROUP, query="&$filter=type eq 'BuiltInRole'")).json()["value"]) == 6


def test_a_custom_role_is_made_given_and_kept_while_somebody_has_it(service, client):
    assert client.put(definitions(HERE, NAME), json=custom()).status_code == 201
    assert client.put(assignments(GROUP, OTHER), json=wanted(service, role=NAME)).status_code == 201
    assert code_of(client.delete(definitions(HERE, NAME)), 400) == "RoleDefinitionHasAssignments"
    client.delete(assignments(GROUP, OTHER))
    assert client.delete(definitions(HERE, NAME)).status_code == 200
    assert client.delete(definitions(HERE, NAME)).status_code == 204
    assert code_of(client.get(definitions(HERE, NAME)), 404) == "RoleDefinitionDoesNotExist"


def test_a_custom_role_is_given_where_it_can_be_alone(service, client):
    client.put(definitions(HERE, NAME), json=custom())
    answer = client.put(assignments(HERE, OTHER), json=wanted(service, role=NAME))
    assert code_of(answer, 400) == "RoleAssignmentScopeNotAssignableToRoleDefinition"


@pytest.mark.parametrize(
    "change",
    [
        {"roleName": ""},
        {"roleName": 7},
        {"permissions": []},
        {"permissions": [{}, {}]},
        {"permissions": [7]},
        {"permissions": [{"actions": "x"}]},
        {"permissions": [{"actions": ["a b"]}]},
        {"permissions": [{"actions": ["*a*a*a*a"]}]},
        {"permissions": [{"dataActions": ["x/y"]}]},
        {"assignableScopes": []},
        {"assignableScopes": ["/nowhere"]},
    ],
)
def test_a_custom_role_is_refused(client, change):
    assert client.put(definitions(HERE, NAME), json=custom(**change)).status_code == 400


def test_a_custom_role_for_the_whole_tenant_is_nobodys_to_make(client):
    answer = client.put(definitions(HERE, NAME), json=custom(assignableScopes=["/"]))
    assert code_of(answer, 403) == "AuthorizationFailed"


def test_a_custom_role_needs_a_name_of_its_own_and_a_guid(client):
    client.put(definitions(HERE, NAME), json=custom())
    assert (
        code_of(client.put(definitions(HERE, OTHER), json=custom()), 409)
        == "RoleDefinitionWithSameNameExists"
    )
    assert client.put(definitions(HERE, "mine"), json=custom(roleName="x")).status_code == 400


def test_a_built_in_role_stays_as_it_is(service, client):
    assert client.put(definitions(HERE, READER), json=custom()).status_code == 403
    assert client.delete(definitions(HERE, READER)).status_code == 403
    assert service.cloud.find(RoleDefinition, READER).built_in


def test_who_may_not_make_roles_makes_none(service, client):
    answer = client.put(definitions(HERE, NAME), json=custom(), headers=bearer(service, "reader"))
    assert code_of(answer, 403) == "AuthorizationFailed"


def test_permissions_are_those_of_the_caller(service, client):
    path = f"{GROUP}/providers/Microsoft.Authorization/permissions?{VERSION}"
    assert [one["actions"] for one in client.get(path).json()["value"]] == [["*"]]
    mine = client.get(path, headers=bearer(service, "reader")).json()["value"]
    assert [one["actions"] for one in mine] == [["*/read"]]
    assert client.get(path, headers=bearer(service, "vmonly")).status_code == 403


def test_an_assignment_to_a_principal_made_a_moment_ago_is_taken_if_its_type_is_said(service, client):
    body = wanted(service)
    body["properties"] |= {"principalId": OTHER, "principalType": "ServicePrincipal"}
    made = client.put(assignments(GROUP, NAME), json=body)
    assert made.status_code == 201
    assert made.json()["properties"]["principalId"] == OTHER
    body["properties"]["principalType"] = "Martian"
    assert code_of(client.put(assignments(GROUP, OTHER), json=body), 400) == "PrincipalNotFound"


# -- other tenants ---------------------------------------------------------------------------


FOREIGN = "99999999-0000-0000-0000-000000000009"


@pytest.fixture
def foreign(service):
    """A custom role of another tenant, and the header of an owner there."""
    there = Subscription(id=OTHER, tenant=FOREIGN, name="theirs")
    owner = Principal(
        id=FOREIGN, tenant=FOREIGN, type=PrincipalType.SERVICE_PRINCIPAL, name="them", app_id="them"
    )
    scope = f"/subscriptions/{OTHER}"
    role = RoleDefinition(id=NAME, name="Their secret", actions=("*",), scopes=(scope,))
    given = replace(service.cloud.all(RoleAssignment)[0], scope=scope, principal=owner.id, role=OWNER)
    for one in (there, owner, role, given):
        service.cloud.put(one)
    return bearer(service, "them")


def test_custom_roles_are_listed_to_those_who_may_read_them_alone(service, client, foreign):
    client.put(definitions(HERE, OTHER), json=custom())
    below = "&$filter=atScopeAndBelow() and type eq 'CustomRole'"

    def seen(name=None):
        header = foreign if name is None else bearer(service, name)
        return [
            one["name"] for one in client.get(definitions("", query=below), headers=header).json()["value"]
        ]

    assert (seen(), seen("app"), seen("reader"), seen("vmonly")) == ([NAME], [OTHER], [OTHER], [])


@pytest.mark.parametrize("path", ["", HERE, GROUP, str(demo_vm_id("linux1"))])
def test_custom_role_of_another_tenant_is_not_found(service, client, foreign, path):
    answer = client.get(definitions(path, NAME))
    assert code_of(answer, 404) == "RoleDefinitionDoesNotExist"
    assert OTHER not in answer.text
    assert client.get(definitions("", NAME), headers=foreign).status_code == 200


def test_custom_role_of_another_tenant_is_neither_given_named_changed_nor_deleted(service, client, foreign):
    answer = client.put(assignments(GROUP, OTHER), json=wanted(service, role=NAME))
    assert code_of(answer, 404) == "RoleDefinitionDoesNotExist"
    assert "secret" not in answer.text
    assert client.put(definitions(HERE, OTHER), json=custom(roleName="Their secret")).status_code == 201
    assert client.put(definitions(HERE, NAME), json=custom(roleName="mine")).status_code == 401
    assert client.delete(definitions(HERE, NAME)).status_code == 204
    assert service.cloud.find(RoleDefinition, NAME).name == "Their secret"


# -- bounds ----------------------------------------------------------------------------------


def test_no_more_roles_and_assignments_than_a_tenant_and_a_subscription_may_have(
    service, client, monkeypatch
):
    monkeypatch.setattr(role_limits, "DEFINITIONS_MAX", 1)
    assert client.put(definitions(HERE, NAME), json=custom()).status_code == 201
    assert client.put(definitions(HERE, NAME), json=custom(roleName="renamed")).status_code == 201
    answer = client.put(definitions(HERE, OTHER), json=custom(roleName="second"))
    assert code_of(answer, 400) == "RoleDefinitionLimitExceeded"
    monkeypatch.setattr(role_limits, "DEFINITIONS_SIZE_MAX", 3)
    many = custom(permissions=[{"actions": ["a/b", "a/c", "a/d"]}])
    assert code_of(client.put(definitions(HERE, NAME), json=many), 400) == "RoleDefinitionLimitExceeded"
    monkeypatch.setattr(role_limits, "ASSIGNMENTS_MAX", len(service.cloud.all(RoleAssignment)) + 1)
    assert client.put(assignments(GROUP, NAME), json=wanted(service)).status_code == 201
    assert client.put(assignments(GROUP, NAME), json=wanted(service)).status_code == 200
    answer = client.put(assignments(HERE, NAME), json=wanted(service))
    assert code_of(answer, 400) == "RoleAssignmentLimitExceeded"
