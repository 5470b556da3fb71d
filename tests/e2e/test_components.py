"""The look in a real browser: the living page in every theme and width, and what its small modules promise."""

import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.browsing import OVERFLOW, PATIENCE_MS

pytestmark = pytest.mark.browser

SITE = "http://obsera.test"
POLICY = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"
AXE = settings.BASE_DIR / "node_modules" / "axe-core" / "axe.min.js"
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NOTE_SUBMIT = """document.addEventListener("submit", (event) => {
  if (event.target.method !== "dialog") { event.preventDefault(); document.title = "sent"; }
})"""


def serve(route: Route) -> None:
    """Answer with the living page for `/` and with our own files for /static/, under the product's strict policy."""
    path = urlsplit(route.request.url).path
    if path.startswith("/static/"):
        file = Path(settings.BASE_DIR) / "static" / path.removeprefix("/static/")
        route.fulfill(body=file.read_bytes(), content_type=mimetypes.guess_type(file.name)[0] or "font/woff2")
    else:
        body = render_to_string("console/components.html")
        route.fulfill(body=body, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})


class Tab:
    """A page of the site and everything its console complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.route("**/*", serve)

    def open(self) -> Page:
        self.page.goto(f"{SITE}/")
        expect(self.page.locator("time[data-relative]").first).not_to_contain_text("T")  # app.js has run
        return self.page


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, permissions=["clipboard-read", "clipboard-write"]
    )
    context.set_default_timeout(PATIENCE_MS)
    yield Tab(context.new_page())
    context.close()


@pytest.mark.parametrize(
    ("theme", "system", "width"),
    [("light", "dark", 1440), ("dark", "light", 360), ("contrast", "light", 360), ("contrast", "dark", 1440)],
)
def test_living_page_is_accessible_and_fits(tab: Tab, theme: str, system: Literal["light", "dark"], width: int) -> None:
    tab.page.set_viewport_size({"width": width, "height": 800})
    tab.page.emulate_media(color_scheme=system)
    tab.page.add_init_script(f"localStorage.setItem('obsera.theme', '{theme}')")

    page = tab.open()
    for chart in page.locator("[data-chart]").all():  # drawn only when in sight
        chart.scroll_into_view_if_needed()
        expect(chart.locator("canvas")).to_have_count(1)

    assert tab.complaints == []
    assert page.evaluate(OVERFLOW) == 0
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", AXE_RULES)
    assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []


def test_theme_is_remembered_and_reaches_the_server(tab: Tab) -> None:
    page = tab.open()

    page.locator("main [data-theme-switch] label").nth(2).click()
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    page.reload()

    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    assert cookies["obsera_theme"] == "dark.dark"


def test_theme_follows_the_system_by_default(tab: Tab) -> None:
    tab.page.emulate_media(color_scheme="dark")

    page = tab.open()
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    page.emulate_media(color_scheme="light", contrast="more")

    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")
    expect(page.locator("html")).to_have_attribute("data-contrast", "more")


def test_confirm_dialog_holds_the_submit_until_yes(tab: Tab) -> None:
    page = tab.open()
    page.evaluate(NOTE_SUBMIT)
    before = page.title()

    page.get_by_role("button", name="Ask first").click()
    expect(page.get_by_role("dialog")).to_contain_text("Its results and its outages go with it.")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.title() == before

    page.get_by_role("button", name="Ask first").click()
    page.get_by_role("button", name="Delete check").click()
    expect(page).to_have_title("sent")


def test_menu_opens_walks_and_closes_by_keyboard(tab: Tab) -> None:
    page = tab.open()
    menu = page.locator("main details[data-menu]")

    menu.locator("summary").focus()
    page.keyboard.press("ArrowDown")
    expect(menu.locator(".menu__item").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(menu.locator(".menu__item").nth(1)).to_be_focused()
    page.keyboard.press("Escape")

    expect(menu).not_to_have_attribute("open", "")
    expect(menu.locator("summary")).to_be_focused()


def test_toast_comes_with_htmx_and_goes_but_errors_stay(tab: Tab) -> None:
    tab.page.clock.install()
    page = tab.open()
    toasts = page.locator("#toasts [data-toast]")

    page.evaluate("htmx.trigger(document.body, 'toast', {text: 'Check created.', tone: 'success'})")
    page.evaluate("htmx.trigger(document.body, 'toast', {text: '<b>404</b>', tone: 'error'})")
    expect(toasts).to_have_count(2)
    expect(toasts.last).to_contain_text("<b>404</b>")
    page.clock.run_for(10_000)

    expect(toasts).to_have_count(1)
    expect(toasts).to_have_class("toast-note state-error")


def test_toast_stays_while_the_focus_is_in_it_though_the_pointer_has_left(tab: Tab) -> None:
    tab.page.clock.install()
    page = tab.open()
    toast = page.locator("#toasts [data-toast]")
    page.evaluate("htmx.trigger(document.body, 'toast', {text: 'Check created.'})")

    toast.locator("[data-toast-close]").focus()
    toast.dispatch_event("pointerleave")
    page.clock.run_for(20_000)
    expect(toast).to_have_count(1)
    page.evaluate("document.activeElement.blur()")
    page.clock.run_for(20_000)

    expect(toast).to_have_count(0)


def test_copy_button_copies_and_says_so(tab: Tab) -> None:
    tab.page.context.grant_permissions([])
    page = tab.open()
    page.evaluate("document.execCommand = () => { document.title = document.getSelection().toString() || 'copied' }")

    button = page.locator("[data-copy='obs_live_sample']").first
    button.click()

    expect(button).to_have_class("btn-icon btn-icon--sm copy is-copied")
    expect(button).to_have_attribute("aria-label", "Copied")


def test_copy_button_pressed_twice_gets_its_own_words_back(tab: Tab) -> None:
    tab.page.clock.install()
    page = tab.open()
    page.evaluate("document.execCommand = () => true")
    button = page.locator("[data-copy='obs_live_sample']").first

    button.evaluate("button => { button.click(); button.click(); }")
    page.clock.run_for(10_000)

    expect(button).to_have_attribute("aria-label", "Copy")


def test_secret_can_be_shown_and_hidden(tab: Tab) -> None:
    page = tab.open()
    toggle = page.get_by_role("button", name="Show what is typed")

    toggle.click()
    expect(page.locator("#s-secret")).to_have_attribute("type", "text")
    toggle.click()

    expect(page.locator("#s-secret")).to_have_attribute("type", "password")


def test_sidebar_width_is_remembered(tab: Tab) -> None:
    page = tab.open()

    page.get_by_role("button", name="Collapse or expand the sidebar").click()

    assert page.evaluate("document.documentElement.dataset.sidebar") == "collapsed"
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    assert cookies["obsera_sidebar"] == "collapsed"


def test_phone_navigation_is_a_drawer_that_keeps_the_focus(tab: Tab) -> None:
    tab.page.set_viewport_size({"width": 360, "height": 740})
    page = tab.open()
    expect(page.locator("#sidebar")).to_be_hidden()

    page.get_by_role("button", name="Open navigation").click()
    expect(page.locator("#sidebar")).to_be_visible()
    assert page.evaluate("document.querySelector('[data-shell-main]').inert") is True
    page.keyboard.press("Escape")

    expect(page.locator("#sidebar")).to_be_hidden()
    expect(page.get_by_role("button", name="Open navigation")).to_be_focused()


def test_chart_numbers_are_there_as_a_table(tab: Tab) -> None:
    page = tab.open()
    chart = page.locator("[data-chart-data='sample-phases']")

    chart.scroll_into_view_if_needed()
    expect(chart.locator("[data-chart-legend] button")).to_have_count(5)
    chart.get_by_text("Show the numbers").click()

    rows = chart.locator("tbody tr")
    expect(rows).to_have_count(8)
    assert rows.nth(0).locator("td").all_text_contents() == ["8 ms", "22 ms", "38 ms", "101 ms", "12 ms"]
    assert rows.nth(3).locator("td").all_text_contents() == ["–", "–", "–", "–", "–"]


ANSWER_BY_HAND = """() => {
  const numbers = (name) => ({ kind: "line", unit: "ms", times: [1795226400000], series: [{ name, values: [90] }] });
  window.answers = [];
  window.fetch = () =>
    new Promise((done) => window.answers.push((name) => done({ ok: name !== "", json: async () => numbers(name) })));
}"""


def test_chart_shows_the_newest_answer_to_the_newest_choice(tab: Tab) -> None:
    page = tab.open()
    chart = page.locator("[data-chart-data='sample-line']")
    chart.scroll_into_view_if_needed()
    expect(chart.locator("[data-chart-legend] button")).to_have_count(2)
    page.evaluate(ANSWER_BY_HAND)

    def choose(url: str) -> None:
        chart.evaluate("(it, url) => it.dispatchEvent(new CustomEvent('chart:url', { detail: { url } }))", url)

    def shown_after(turn: int, name: str) -> str | None:
        page.evaluate(
            "async ([turn, name]) => { window.answers[turn](name); await new Promise((done) => setTimeout(done)); }",
            [turn, name],
        )
        return chart.locator("[data-chart-legend]").text_content()

    choose("/week")
    choose("/day")
    for _ in range(3):
        chart.dispatch_event("live")

    assert shown_after(1, "day") == "day"
    assert shown_after(0, "week") == "day"
    assert shown_after(3, "day, later") == "day, later"
    assert shown_after(2, "day, between") == "day, later"
    assert shown_after(4, "day, at last") == "day, at last"

    for _ in range(2):
        chart.dispatch_event("live")
    assert shown_after(6, "") == "day, at last"  # which failed
    assert shown_after(5, "day, slow but well") == "day, slow but well"
