"""The fixture `cloud`: a service for a session's tests, gone with it."""

import pytest

pytestmark = pytest.mark.filterwarnings("default")

TESTS = """
import socket
import requests

SEEN = []

def test_cloud_answers(cloud):
    answer = requests.get(cloud.endpoint + "/ca.pem", verify=str(cloud.ca), timeout=20)
    assert answer.text == cloud.ca.read_text()
    assert cloud.credentials["app"]["client_id"] == "app"
    SEEN.append(cloud.endpoint)

def test_cloud_is_the_same_for_all_tests(cloud):
    assert SEEN == [cloud.endpoint]
    assert (cloud.tenant[0], cloud.subscription[-1]) == ("1", "1")
"""
OWN = """
import pytest

@pytest.fixture(scope="session")
def cloud_toml(tmp_path_factory):
    path = tmp_path_factory.mktemp("toml") / "cloud.toml"
    path.write_text('''
tenant = "22222222-2222-2222-2222-222222222222"
[[subscription]]
id = "33333333-3333-3333-3333-333333333333"
name = "mine"
''')
    return path

def test_cloud_is_mine(cloud):
    assert cloud.subscription.startswith("33333333")
"""
WRONG = OWN.replace('name = "mine"', "name = 7")


@pytest.fixture
def run(pytester: pytest.Pytester, bare_pytest):
    def run_tests(tests: str) -> pytest.RunResult:
        pytester.makepyfile(tests)
        return bare_pytest("-q", plugins=("harness.pytest_plugin",))

    return run_tests


def test_cloud_is_one_service_for_all_tests_of_a_session(run) -> None:
    run(TESTS).assert_outcomes(passed=2)


def test_cloud_is_what_the_users_file_describes(run) -> None:
    run(OWN).assert_outcomes(passed=1)


def test_cloud_of_a_wrong_file_says_so(run) -> None:
    result = run(WRONG)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*key 'subscription.0.name' has the value 7*"])
