"""Whatever a stranger sends as token, form or filter: an answer of the platform's, nothing else."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from emulator.cloud.directory import resource_of_client_scope, resource_of_user_scope
from emulator.cloud.documents import parse_filter, parse_instant
from emulator.cloud.roles import read_assignment, read_definition
from emulator.errors import CloudError
from emulator.service.core.call import accept_token
from emulator.service.core.entra import parse_form
from tests.support.service_lab import SUBSCRIPTION, TENANT, open_test_service, token_for

SERVICE = open_test_service()
GOOD = token_for(SERVICE, "app")
KNOWN = frozenset({"name", "resourcetype", "eventtimestamp", "atscope()", "assignedto()"})
GUID = "12345678-1234-1234-1234-123456789012"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
CLAIMS = st.dictionaries(
    st.sampled_from(["oid", "tid", "iss", "aud", "exp", "nbf", "iat", "uti", "upn", "appid"]), JSON
)


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]))
    | st.text(alphabet="abcXYZ019._-=", max_size=60)
)
def test_accept_refuses_garbage_with_a_401(token):
    with contextlib.suppress(CloudError):
        accept_token(SERVICE, token)
        raise AssertionError(token)


@given(st.integers(0, len(GOOD) - 1), st.characters())
def test_accept_refuses_a_token_with_one_character_changed(at, character):
    with contextlib.suppress(CloudError):
        claims = accept_token(SERVICE, GOOD[:at] + character + GOOD[at + 1 :])
        assert claims.name == "app"  # the last character of base64 has bits that mean nothing


@given(CLAIMS)
def test_accept_raises_nothing_else_for_claims_of_any_kind(claims):
    token = SERVICE.tokens.key.sign(json.loads(json.dumps(claims)) | {"x": 1}) if _signable(claims) else "x"
    with contextlib.suppress(CloudError):
        accept_token(SERVICE, token)


@given(st.text(max_size=80) | st.from_regex(r"[a-z]+ (eq|ge) '[^']*'( and [a-z]+\('x'\))?", fullmatch=True))
def test_a_filter_is_read_or_refused(text):
    with contextlib.suppress(CloudError):
        for condition in parse_filter(text, known=KNOWN):
            assert condition.name in {name.removesuffix("()") for name in KNOWN}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_quoted_value_comes_back_as_it_was(value):
    quoted = value.replace("'", "''")
    (condition,) = parse_filter(f"name eq '{quoted}'", known=KNOWN)
    assert condition.value == value


@given(st.text(max_size=40) | st.datetimes().map(str))
def test_an_instant_is_read_or_refused(text):
    with contextlib.suppress(CloudError):
        assert parse_instant(text).tzinfo is not None


@given(st.binary(max_size=200))
def test_a_form_is_read_or_refused(body):
    with contextlib.suppress(CloudError):
        assert all(isinstance(value, str) for value in parse_form(body).values())


@given(st.text(max_size=80))
def test_a_scope_is_read_or_refused(text):
    for read in (resource_of_client_scope, resource_of_user_scope):
        with contextlib.suppress(CloudError):
            assert read(text)


@given(
    st.dictionaries(st.sampled_from(["properties", "x"]), JSON | st.fixed_dictionaries({"permissions": JSON}))
)
def test_role_documents_are_read_or_refused(body):
    with contextlib.suppress(CloudError):
        read_definition(body, name=GUID)
    with contextlib.suppress(CloudError):
        scope = f"/subscriptions/{SUBSCRIPTION}"
        read_assignment(SERVICE.cloud, body, name=GUID, scope=scope, tenant=TENANT, now=SERVICE.now())


def _signable(claims):
    try:
        SERVICE.tokens.key.sign(claims)
    except (TypeError, ValueError, UnicodeError):
        return False
    return True
