"""The days of a check walked by keyboard, a list that grows, and a chart whose time people choose."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browsing import OVERFLOW, Visitor
from tests.e2e.stage import PATIENCE_SECONDS, Stage

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("product")]

PATIENCE_MS = PATIENCE_SECONDS * 1_000
MANY = 60
ENDS = re.compile(r"from=(\d+)&to=(\d+)")


@pytest.fixture(scope="module")
def watched(stage: Stage) -> str:
    """A check with results; its id."""
    check_id = stage.make_check("Timeline", "/timeline")
    stage.await_state(check_id, "up")
    return check_id


def chart_of(page: Page, check_id: str, query: str = "") -> Locator:
    page.goto(f"/t/main/checks/{check_id}/{query}")
    chart = page.locator("#check-chart [data-chart]")
    chart.scroll_into_view_if_needed()
    expect(chart.locator("[data-chart-tools]")).to_be_visible(timeout=PATIENCE_MS)
    return chart


def ends(page: Page) -> tuple[int, int]:
    """Return the time in the page's address."""
    expect(page).to_have_url(ENDS)
    found = ENDS.search(page.url)
    assert found
    return int(found[1]), int(found[2])


def test_time_is_chosen_by_dragging_and_all_of_it_comes_back_by_a_double_click(
    owner_visit: Visitor, watched: str
) -> None:
    page = owner_visit.page
    chart = chart_of(page, watched, "?period=1h")
    canvas = chart.locator("[data-chart-canvas]")
    box = canvas.bounding_box()
    assert box

    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60)
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60)
    expect(canvas.locator(".chart__selection")).to_be_visible()
    page.mouse.up()

    expect(chart.locator("[data-chart-range]")).to_contain_text(" – ", timeout=PATIENCE_MS)
    expect(canvas.locator(".chart__selection")).to_have_count(0)
    since, until = ends(page)
    assert 13 * 60_000 < until - since < 18 * 60_000  # a quarter of an hour
    chart_of(page, watched, f"?period=1h&from={since}&to={until}")
    expect(page.get_by_role("button", name="Show all")).to_be_visible()
    page.locator("[data-chart-canvas]").dblclick(position={"x": 200, "y": 60})
    expect(page.locator("[data-chart-range]")).to_have_text("", timeout=PATIENCE_MS)
    expect(page).not_to_have_url(ENDS)


def test_time_is_chosen_by_keyboard(owner_visit: Visitor, watched: str) -> None:
    page = owner_visit.page
    chart = chart_of(page, watched, "?period=1h")

    chart.get_by_role("button", name="Zoom in").press("Enter")
    expect(chart.get_by_role("button", name="Show all")).to_be_visible(timeout=PATIENCE_MS)
    inner = ends(page)
    chart.get_by_role("button", name="Earlier").press("Enter")
    page.wait_for_function("before => !location.search.includes(before)", arg=str(inner[0]))
    earlier = ends(page)

    assert abs(inner[1] - inner[0] - 30 * 60_000) < 1_000
    assert abs(inner[0] - earlier[0] - 15 * 60_000) < 1_000
    chart.get_by_role("button", name="Show all").press("Enter")
    expect(chart.get_by_role("button", name="Zoom in")).to_be_focused()
    expect(chart.get_by_role("button", name="Show all")).to_be_hidden(timeout=PATIENCE_MS)

    page.evaluate("() => { window.fetch = () => new Promise(() => {}); }")  # the answers take their time
    chart.get_by_role("button", name="Zoom in").press("Enter")
    chart.get_by_role("button", name="Zoom in").press("Enter")
    since, until = ends(page)
    assert abs(until - since - 15 * 60_000) < 1_000


def test_days_are_walked_by_keyboard_and_said(owner_visit: Visitor, watched: str) -> None:
    page = owner_visit.page
    page.goto("/t/main/checks/?text=Timeline&view=availability")
    days = page.get_by_role("slider", name="Uptime of Timeline over 90 days")

    days.focus()
    page.keyboard.press("Home")
    expect(days).to_have_attribute("aria-valuenow", "1")
    expect(days).to_have_attribute("aria-valuetext", re.compile(r"^\w+ \d+: No data$"))
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")

    expect(days).to_have_attribute("aria-valuenow", "90")
    expect(page.locator(".tip")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.locator("#checks").evaluate(
        "list => list.toggleAttribute('data-old') && list.dispatchEvent(new Event('live'))"
    )
    expect(page.locator("#checks[data-old]")).to_have_count(0, timeout=PATIENCE_MS)
    expect(days).to_be_focused()
    expect(days).to_have_attribute("aria-valuenow", "89")
    expect(page.locator(".tip")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".tip")).to_have_count(0)
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_function(f"() => {OVERFLOW} === 0")

    page.goto(f"/t/main/checks/{watched}/")
    days.focus()
    page.keyboard.press("Home")
    page.locator("#check-now").evaluate(
        "now => now.toggleAttribute('data-old') && now.dispatchEvent(new Event('live'))"
    )
    expect(page.locator("#check-now[data-old]")).to_have_count(0, timeout=PATIENCE_MS)
    expect(days).to_be_focused()
    expect(days).to_have_attribute("aria-valuenow", "1")


@pytest.fixture
def many(stage: Stage) -> Iterator[list[str]]:
    """Many checks, which no later journey's overview counts; their ids."""
    made = [stage.make_check(f"Many {number:02}", "/many", interval_seconds=3_600) for number in range(MANY)]
    yield made
    for check_id in made:
        stage.call("DELETE", f"checks/{check_id}/")


@pytest.mark.usefixtures("many")
def test_list_grows_while_it_is_scrolled_and_stays_so_when_it_changes(owner_visit: Visitor, stage: Stage) -> None:
    page = owner_visit.page
    page.goto("/t/main/checks/?text=Many")
    rows = page.locator("#checks tbody tr[id]")
    expect(page.locator(".list-head__count")).to_have_text(f"{MANY} checks")

    for _ in range(100):  # the end moves away as the list grows
        if rows.count() == MANY:
            break
        page.mouse.wheel(0, 20_000)
        page.wait_for_timeout(500)
    expect(rows).to_have_count(MANY)
    page.locator("h1").click()
    page.evaluate("document.querySelector('#checks').dataset.old = ''")
    stage.call(
        "PATCH", f"checks/{(rows.nth(40).get_attribute('id') or '').removeprefix('check-')}/", {"name": "Many more"}
    )
    expect(page.locator("#checks[data-old]")).to_have_count(0, timeout=PATIENCE_MS)

    expect(rows).to_have_count(MANY)
    expect(page.get_by_role("link", name="Many more")).to_be_visible()
    assert len(set(rows.evaluate_all("rows => rows.map(row => row.id)"))) == MANY
    page.get_by_label("Select all on this page").check()
    expect(page.locator("#bulk [data-count]")).to_have_text(f"{MANY} selected")
