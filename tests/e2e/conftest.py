"""One running product for every journey, one Chromium a module."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.e2e.browsing import CHROMIUM, Visitor, chromium, is_installed
from tests.e2e.scenery import Scenery, furnish
from tests.e2e.stage import Stage
from tests.e2e.stage import stage as running_stage

Visits = Callable[..., Visitor]


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """The whole product, served once for the session from an empty folder."""
    if not is_installed():
        pytest.skip(f"no browser: {CHROMIUM} is not installed")
    with running_stage() as running:
        yield running


@pytest.fixture(scope="session")
def scenery(stage: Stage) -> Scenery:
    """The first tenant after an eventful minute."""
    return furnish(stage)


# Not for the session: an open Playwright keeps an event loop, and tests with an own loop run in this process too.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not is_installed():
        pytest.skip(f"no browser: {CHROMIUM} is not installed")
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, stage: Stage) -> Iterator[Visits]:
    """Open a browser context of its own for one more person; whatever its console complained about fails the test."""
    visitors: list[Visitor] = []

    def open_one(**options: Any) -> Visitor:
        visitors.append(Visitor(browser, stage.url, **options))
        return visitors[-1]

    yield open_one
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    for visitor in visitors:
        visitor.close()
    assert complaints == []


@pytest.fixture(scope="module")
def owner_state(browser: Browser, stage: Stage) -> Any:
    """The cookies of the first owner, so that one sign-in serves a module."""
    visitor = Visitor(browser, stage.url)
    first = stage.product.first_run
    visitor.sign_in(first["email"], first["password"])
    state = visitor.context.storage_state()
    visitor.close()
    return state


@pytest.fixture
def owner_visit(visit: Visits, owner_state: Any) -> Visitor:
    """The first owner, signed in."""
    return visit(storage_state=owner_state)
