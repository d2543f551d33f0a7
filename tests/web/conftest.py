"""A browser, and services for it, for the tests of the web console."""

import pytest
from playwright.sync_api import sync_playwright

from emulator.cloud.records import RoleAssignment, ScaleSet, Subscription, VirtualMachine
from emulator.cloud.settings import CloudKind, Settings
from emulator.service.page.assets import PACKAGES
from tests.support.service_lab import fake_fleet_of
from tests.web.portal import launch, new_context, open_portal

KINDS = (Subscription, VirtualMachine, ScaleSet, RoleAssignment)


@pytest.fixture(scope="session")
def portals(tmp_path_factory):
    """A service for each of Azure's clouds."""
    PACKAGES.ensure()
    directory = tmp_path_factory.mktemp("portal")
    with (
        open_portal(directory, Settings(kind=CloudKind.PUBLIC)) as public,
        open_portal(directory, Settings(kind=CloudKind.GOVERNMENT)) as government,
        open_portal(directory, Settings(kind=CloudKind.CHINA)) as china,
    ):
        yield {
            CloudKind.PUBLIC: public,
            CloudKind.GOVERNMENT: government,
            CloudKind.CHINA: china,
        }


@pytest.fixture(scope="module")
def browser(portals):
    """Chromium, which trusts these services and no other.

    Playwright keeps a loop in this thread: it must be gone when other modules of this worker run theirs.
    """
    with sync_playwright() as playwright:
        browser = launch(playwright, *(portal.endpoint for portal in portals.values()))
        yield browser
        browser.close()


@pytest.fixture
def portal(portals):
    """The service of the public cloud; afterwards its records are as they were, and its guests new."""
    portal = portals[CloudKind.PUBLIC]
    cloud = portal.service.cloud
    before = [record for kind in KINDS for record in cloud.all(kind)]
    yield portal

    def restore() -> None:
        for kind in KINDS:
            for record in cloud.all(kind):
                if record not in before:
                    cloud.remove(record)
        for record in before:
            cloud.put(record)
        fake_fleet_of(portal.service).guests.clear()

    portal.in_loop(restore)


@pytest.fixture
def page(browser, portal):
    """A page in a fresh profile; it must end without an error and must have asked nobody but the service."""
    context = new_context(browser, portal)
    strangers, errors = [], []
    own = (portal.endpoint, "blob:", "data:")
    context.on("request", lambda asked: asked.url.startswith(own) or strangers.append(asked.url))
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("console", lambda said: "Content Security Policy" in said.text and errors.append(said.text))
    yield context.new_page()
    context.close()
    assert (strangers, errors) == ([], [])
