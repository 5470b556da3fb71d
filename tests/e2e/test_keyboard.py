"""The product without a mouse, and what it remembers of how it looks."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browsing import Visitor
from tests.e2e.conftest import Visits
from tests.e2e.stage import PATIENCE_SECONDS, Stage

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("product")]

PATIENCE_MS = PATIENCE_SECONDS * 1_000
MOST_TABS = 60
HAS_RING = """element => {
  const style = getComputedStyle(element);
  return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
}"""


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the wanted element has the focus, and see that the focus shows."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            assert wanted.evaluate(HAS_RING), "the focus does not show"
            return
    raise AssertionError(f"{wanted} cannot be reached with Tab")


@pytest.fixture(scope="module")
def check_id(stage: Stage) -> str:
    return stage.make_check("Keyboard", "/keyboard")


def test_check_is_paused_and_resumed_by_keyboard_alone(visit: Visits, stage: Stage, check_id: str) -> None:
    page = visit().page
    page.goto("/account/login/")
    tab_to(page, page.get_by_label("E-mail address"))
    page.keyboard.type(stage.product.first_run["email"])
    tab_to(page, page.locator("input[type=password]"))
    page.keyboard.type(stage.product.first_run["password"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/t/main/**")
    tab_to(page, page.locator("#sidebar").get_by_role("link", name="Checks"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/checks/")
    tab_to(page, page.get_by_role("link", name="Keyboard", exact=True))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/checks/{check_id}/")

    tab_to(page, page.get_by_role("button", name="Pause"))
    page.keyboard.press("Enter")
    expect(page.locator("#check-now .badge-state")).to_have_text("Paused", timeout=PATIENCE_MS)
    tab_to(page, page.get_by_role("button", name="Resume"))
    page.keyboard.press("Space")

    expect(page.locator("#check-now .badge-state")).to_have_text("Up", timeout=PATIENCE_MS)


def test_skip_link_comes_first_and_leads_to_the_content(owner_visit: Visitor) -> None:
    page = owner_visit.page
    page.goto("/t/main/checks/")

    page.keyboard.press("Tab")
    expect(page.locator(".skip-link")).to_be_focused()
    expect(page.locator(".skip-link")).to_be_in_viewport()
    page.keyboard.press("Enter")

    expect(page.locator("#main")).to_be_focused()


def test_dialog_traps_the_focus_and_gives_it_back(owner_visit: Visitor, check_id: str) -> None:
    page = owner_visit.page
    page.goto(f"/t/main/checks/{check_id}/")
    delete = page.locator("main").get_by_role("button", name="Delete")

    delete.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(5):  # Chromium may visit its own toolbar (the body) between the rounds, but no part of the page
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement.closest('dialog') !== null || document.activeElement === document.body"
        )
    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(delete).to_be_focused()


def test_sidebar_and_colours_are_remembered_without_a_flash(owner_visit: Visitor) -> None:
    page = owner_visit.page
    page.goto("/t/main/")
    page.get_by_role("button", name="Collapse or expand the sidebar").click()
    page.locator(".user-menu summary").click()
    page.locator(".user-menu label", has_text="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")

    html = page.request.get("/t/main/checks/").text()

    opening = re.search(r"<html[^>]*>", html)
    assert opening
    assert 'data-bs-theme="dark"' in opening[0]  # already in the first byte, before any script
    assert 'data-sidebar="collapsed"' in opening[0]
    page.goto("/t/main/checks/")
    expect(page.locator("html")).to_have_attribute("data-sidebar", "collapsed")


def test_kind_is_found_by_typing_and_chosen_by_keyboard_alone(owner_visit: Visitor) -> None:
    page = owner_visit.page
    page.goto("/t/main/checks/new/")
    search, cards = page.get_by_label("Find a kind"), page.locator(".kind-card:visible")
    expect(search).to_be_focused()
    offered = cards.count()

    page.keyboard.type("no such thing")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="kind")).to_have_text("0 kinds")
    search.fill("web address http")
    expect(cards.first).to_be_visible()
    search.fill("")
    expect(cards).to_have_count(offered)
    page.keyboard.press("ArrowDown")
    expect(cards.first).to_be_focused()
    page.keyboard.press("End")
    expect(cards.last).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    expect(search).to_be_focused()
    page.keyboard.type("web address http")
    page.keyboard.press("Enter")

    page.wait_for_url("**/checks/new/?kind=http")
    expect(page.get_by_role("textbox", name="URL", exact=True)).to_be_visible()


def test_palette_leads_to_a_check_and_an_action_by_keyboard_alone(owner_visit: Visitor, check_id: str) -> None:
    page = owner_visit.page
    page.goto("/t/main/")
    jumps = page.locator("#palette [role=option]")

    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Jump to")
    expect(field).to_be_focused()
    expect(jumps.filter(has_text="Settings")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()
    page.keyboard.press("Control+k")
    page.keyboard.type("keyb")
    page.keyboard.press("Enter")  # before the answer has come
    page.wait_for_url(f"**/checks/{check_id}/")

    page.keyboard.press("Control+k")
    page.keyboard.type("keyb")
    expect(jumps).to_have_count(1)
    expect(jumps.first).to_have_attribute("aria-selected", "true")
    field.fill("new")
    expect(jumps.first).to_have_text("New check")
    page.keyboard.press("ArrowDown")
    expect(jumps.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/checks/new/")


def test_palette_that_was_left_leads_nowhere(owner_visit: Visitor) -> None:
    page = owner_visit.page
    page.goto("/t/main/checks/")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette [role=option]").first).to_be_visible()
    page.evaluate(
        """() => {
          const jump = '<a role="option" id="jump-0" href="#left">Left</a>';
          const answer = { ok: true, text: async () => jump };
          window.fetch = (url, { signal }) => new Promise((done, fail) => {
            window.answer = () => (signal.aborted ? fail(new DOMException("left", "AbortError")) : done(answer));
          });
        }"""
    )

    page.keyboard.type("left")
    page.wait_for_function("() => Boolean(window.answer)")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()
    page.evaluate("async () => { window.answer(); await new Promise((done) => setTimeout(done)); }")

    assert not page.url.endswith("#left")
