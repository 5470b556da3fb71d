"""The public page in a real browser: it changes and speaks by itself even where WebSocket is blocked, works without
scripts, and axe finds nothing."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from apps.checks.domain.results import store_results
from apps.checks.enums import State, Verdict
from apps.checks.models import Check
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.statuspages.domain.components import add_component
from apps.statuspages.domain.pages import create_page, update_page
from apps.statuspages.models import StatusPage
from apps.tenants.models import Tenant
from tests.e2e.browsing import CHROMIUM, chromium, is_installed
from tests.factories.checks import make_result
from tests.statuspages.histories import watch

AXE = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not is_installed(), reason=f"no {CHROMIUM}"),
]


@pytest.fixture
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running
        connections.close_all()  # beside Playwright's event loop Django keeps connections of their own
    _await_answers()


def _await_answers() -> None:
    """Wait for the server's last threads: each holds a connection to the database that is about to be dropped."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any("process_request" in thread.name for thread in threading.enumerate()):
        time.sleep(0.05)


@pytest.fixture
def check(acme: Tenant) -> Check:
    """A check on the published page `acme`, with a past, up at the moment."""
    deliver_pending()
    with tenant_scope(acme.id):
        check = watch("API", ("2026-01-01 00:00", State.UP), ("19 10:00", State.DOWN), ("19 11:00", State.UP))
        page = create_page(title="Acme Cloud", slug="acme-cloud", description="What we run.")
        add_component(page, check, name="Public API", description="REST", group="Core")
        add_component(page, watch("Web", ("2026-01-01 00:00", State.UP)), name="Website")
    return check


def fail(check: Check) -> None:
    with tenant_scope(check.tenant_id):
        result = make_result(check, Verdict.FAILURE)
    store_results([result])
    deliver_pending()


def address(live_server: Any, name: str = "public") -> str:
    return f"{live_server.url}{reverse(f'statuspages:{name}', args=['acme-cloud'])}"


def violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run().then(result => result.violations)")
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found]


def test_page_changes_and_speaks_without_a_reload(browser: Browser, live_server: Any, check: Check) -> None:
    page = browser.new_page()
    loads: list[Page] = []
    page.on("load", lambda loaded: loads.append(loaded))
    page.goto(address(live_server))
    expect(page.locator("#verdict")).to_have_text("All systems operational")
    expect(page.locator("[data-announcer]")).to_have_text("")

    fail(check)  # this server has no sockets: the page must come to ask by itself

    expect(page.locator("#verdict")).to_have_text("Partial outage")
    expect(page.locator("[data-announcer]")).to_have_text("Partial outage. Affected: Public API")
    expect(page.locator("[data-live-status]")).to_have_attribute("data-live-status", "polling")
    expect(page.locator("link[data-favicon]")).to_have_attribute("href", "/static/img/favicon-down.svg")
    assert page.title() == "Partial outage · Acme Cloud"
    assert len(loads) == 1


def test_page_works_without_scripts(browser: Browser, live_server: Any, check: Check) -> None:
    fail(check)
    page = browser.new_context(java_script_enabled=False).new_page()

    page.goto(address(live_server))

    expect(page.get_by_role("heading", name="Partial outage")).to_be_visible()
    expect(page.get_by_role("heading", name="Public API: outage").first).to_be_visible()
    expect(page.locator(".live-status")).to_be_hidden()
    page.get_by_role("link", name="All outages").click()
    expect(page.get_by_role("heading", name="Past outages")).to_be_visible()


@pytest.mark.parametrize(("theme", "width"), [("light", 1200), ("dark", 1200), ("light", 360), ("dark", 360)])
def test_axe_finds_nothing(browser: Browser, live_server: Any, check: Check, theme: Any, width: int) -> None:
    fail(check)
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 800}, bypass_csp=True)
    page = context.new_page()

    for name in ("public", "history"):
        page.goto(address(live_server, name))

        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("choice", "shown"), [(None, "dark"), ("light", "light")])
def test_pages_colours_yield_to_the_visitors(
    browser: Browser, live_server: Any, check: Check, choice: str | None, shown: str
) -> None:
    with tenant_scope(check.tenant_id):
        update_page(StatusPage.objects.get(slug="acme-cloud"), theme="dark")
    page = browser.new_context(color_scheme="light").new_page()
    page.goto(address(live_server))

    if choice:
        page.locator(f'[data-theme-switch] input[value="{choice}"]').check(force=True)
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-bs-theme", shown)
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    assert cookies.get("obsera_theme") == (f"{choice}.{shown}" if choice else None)
