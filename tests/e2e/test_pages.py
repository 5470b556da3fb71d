"""Every page of the line: accessible in all colours, fits a phone, and nothing in the console."""

from typing import Any

import pytest
from django.conf import settings

from tests.e2e.browsing import OVERFLOW, Visitor
from tests.e2e.conftest import Visits
from tests.e2e.scenery import Scenery
from tests.e2e.screens import pages_of_anyone, pages_of_members, settle, wear

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("product")]

AXE = settings.BASE_DIR / "node_modules" / "axe-core" / "axe.min.js"
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
GRAVE = {"serious", "critical"}
COLOURS = ["color-contrast"]
# What the look is called, its theme, its contrast, the window's width, the rules that can tell it from the first one.
LOOKS: tuple[tuple[str, str, str, int, list[str]], ...] = (
    ("light and wide", "light", "", 1440, LEVELS),
    ("light and narrow", "light", "", 360, ["target-size"]),
    ("dark and narrow", "dark", "", 360, COLOURS),
    ("contrast and wide", "light", "more", 1440, COLOURS),
)
DRESS = """([theme, contrast]) => {
  const { dataset } = document.documentElement;
  dataset.bsTheme = theme;
  if (contrast) dataset.contrast = contrast; else delete dataset.contrast;
  for (const animation of document.getAnimations()) {
    try { animation.finish(); } catch { animation.cancel(); } // endless ones cannot finish
  }
}"""
# Forms whose errors are looked at too; sent as they come, with a name or an address missing.
FORMS = ("check-new", "moving-import", "channel-new", "rule-new", "tenant-new", "sign-up", "onboarding")

SHOWS_ERRORS = {422, 200}  # ours, and the sign-in library's


def faults(visitor: Visitor, name: str) -> list[str]:
    """Return what axe finds grave on the page wide and narrow and in all colours, and how much it is too wide."""
    page, own_complaints = visitor.page, list(visitor.complaints)
    page.evaluate(AXE.read_text(encoding="utf-8"))  # through the debugger, which the page's policy does not concern
    found: list[str] = []
    for look, theme, contrast, width, rules in LOOKS:
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate(DRESS, [theme, contrast])
        report = page.evaluate("rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", rules)
        grave = [each for each in report["violations"] if each["impact"] in GRAVE]
        found += [f"{name}, {look}: {each['id']}: {each['nodes'][0]['html']}" for each in grave]
        if overflow := page.evaluate(OVERFLOW):
            found.append(f"{name}, {look}: {overflow} px too wide")
    visitor.complaints[:] = own_complaints  # axe tries styles that our policy refuses
    return found


def inspect(visitor: Visitor, pages: dict[str, str]) -> list[str]:
    found: list[str] = []
    for name, path in pages.items():
        visitor.expects_errors = name == "not-found"
        visitor.page.goto(path)
        settle(visitor.page)
        found += faults(visitor, name)
        if name in FORMS:
            visitor.expects_errors = True  # 422
            # The answer itself is looked at: a lost click, a refused connection and another page would all look like
            # errors that never come.
            with visitor.page.expect_navigation() as sent:
                visitor.page.locator("main form.form button[type=submit]").first.click()
            answered = sent.value.status if sent.value else None
            assert answered in SHOWS_ERRORS, f"{name}: {answered}"
            visitor.page.locator("[data-form-errors]").wait_for()
            found += faults(visitor, f"{name} with errors")
            visitor.expects_errors = False
    return found


def test_pages_of_anyone(visit: Visits, scenery: Scenery) -> None:
    visitor = visit()
    wear(visitor, "light", 1440, 800)

    assert inspect(visitor, pages_of_anyone(scenery)) == []


def test_pages_of_members(visit: Visits, owner_state: Any, scenery: Scenery) -> None:
    visitor = visit(storage_state=owner_state)
    wear(visitor, "light", 1440, 800)

    assert inspect(visitor, pages_of_members(scenery)) == []
