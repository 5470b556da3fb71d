"""The list of checks: changing a row in place, choosing many, a list that changes by itself meanwhile."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.browsing import OVERFLOW, Visitor
from tests.e2e.stage import PATIENCE_SECONDS, Stage

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("product")]

PATIENCE_MS = PATIENCE_SECONDS * 1_000
NAMES = ("Fleet 1", "Fleet 2", "Fleet 3")


@pytest.fixture(scope="module")
def fleet(stage: Stage) -> list[str]:
    """Three checks of one name; their ids."""
    made = [stage.make_check(name, f"/fleet/{name[-1]}") for name in NAMES]
    for check_id in made:
        stage.await_state(check_id, "up")
    return made


@pytest.mark.usefixtures("fleet")
def test_search_that_was_sent_while_typed_is_not_sent_again_when_it_is_left(owner_visit: Visitor) -> None:
    page = owner_visit.page
    page.goto("/t/main/checks/")
    page.evaluate("() => { window.sent = 0; document.addEventListener('submit', () => { window.sent += 1; }); }")

    page.get_by_label("Search checks").press_sequentially("Fleet 3")
    expect(page).to_have_url(re.compile(r"text=Fleet(\+|%20)3"))
    sent = page.evaluate("window.sent")
    page.keyboard.press("Tab")

    assert page.evaluate("window.sent") == sent


@pytest.mark.usefixtures("fleet")
def test_going_back_to_the_whole_list_leaves_the_page_whole(owner_visit: Visitor) -> None:
    page = owner_visit.page
    page.goto("/t/main/checks/")
    page.get_by_role("combobox", name="State").select_option("paused")
    expect(page.get_by_role("link", name="Fleet 3")).to_have_count(0)

    page.go_back()
    expect(page.get_by_role("link", name="Fleet 3")).to_have_count(1)
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="State").select_option("paused")

    expect(page.get_by_role("link", name="Fleet 3")).to_have_count(0)


def test_row_is_renamed_and_paused_by_keyboard_in_place(owner_visit: Visitor, fleet: list[str]) -> None:
    page = owner_visit.page
    page.goto("/t/main/checks/?text=Fleet")
    row = page.locator(f"#check-{fleet[0]}")

    row.get_by_role("button", name="Rename").focus()
    page.keyboard.press("Enter")
    expect(row.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(row.get_by_role("button", name="Rename")).to_be_focused()
    page.keyboard.press("Enter")
    expect(row.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("Fleet one")
    page.keyboard.press("Enter")
    expect(row.get_by_role("link", name="Fleet one")).to_be_visible()
    expect(row.get_by_role("button", name="Rename")).to_be_focused()

    row.get_by_role("button", name="Pause").press("Enter")
    expect(row.locator(".badge-state")).to_have_text("Paused")
    row.get_by_role("button", name="Resume").press("Enter")
    expect(row.locator(".badge-state")).to_have_text("Up", timeout=PATIENCE_MS)


def test_many_are_chosen_over_live_changes_and_tagged_at_once(
    owner_visit: Visitor, stage: Stage, fleet: list[str]
) -> None:
    page = owner_visit.page
    page.goto("/t/main/checks/?text=Fleet")
    boxes, chosen = page.locator("#checks [data-select]"), page.locator("#checks [data-select]:checked")
    expect(page.locator("#bulk")).to_be_hidden()

    boxes.nth(0).press("Space")
    boxes.nth(2).click(modifiers=["Shift"])
    expect(chosen).to_have_count(3)
    expect(page.locator("#bulk [data-count]")).to_have_text("3 selected")
    page.locator("h1").click()  # nobody types: the list may change by itself
    page.evaluate("document.querySelector('#checks').dataset.old = ''")
    expect(page.locator("#checks[data-old]")).to_have_count(0, timeout=PATIENCE_MS)
    expect(chosen).to_have_count(3)
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_function(f"() => {OVERFLOW} === 0")
    page.locator("#bulk [data-tags]").fill("fleet")
    page.keyboard.press("Enter")

    expect(page.locator("#toasts")).to_contain_text("Add tag: 3 checks changed.")
    assert [stage.call("GET", f"checks/{check_id}/")["tags"] for check_id in fleet] == [["fleet"]] * 3


def test_many_are_deleted_after_a_question_while_the_list_changes(
    owner_visit: Visitor, stage: Stage, fleet: list[str]
) -> None:
    page = owner_visit.page
    page.goto("/t/main/checks/?text=Fleet")

    page.get_by_label("Select all on this page").check()
    page.locator("#bulk").get_by_role("button", name="Delete").click()
    page.evaluate("document.querySelector('#checks').dataset.old = ''")
    stage.call("PATCH", f"checks/{fleet[0]}/", {"name": "Fleet A"})
    page.wait_for_timeout(2_000)
    expect(page.locator("#checks[data-old]")).to_have_count(1)
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(page.locator("#toasts")).to_contain_text("Delete: 3 checks changed.")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
