"""Chromium for the journeys: contexts that hear every complaint, signing in, looking at a whole page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright import async_api, sync_api
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

CHROMIUM = os.environ.get("OBSERA_CHROMIUM", "/usr/bin/chromium")
# Only a bound against hanging: what a page is expected to show may take its time on a busy machine.
PATIENCE_MS = 60_000
sync_api.expect.set_options(timeout=PATIENCE_MS)
async_api.expect.set_options(timeout=PATIENCE_MS)
LAUNCH: dict[str, Any] = {"executable_path": CHROMIUM, "args": ["--no-sandbox"], "timeout": 3 * PATIENCE_MS}
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def is_installed() -> bool:
    return Path(CHROMIUM).exists()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a headless Chromium for the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**LAUNCH)
        yield browser
        browser.close()


class Visitor:
    """One person's browser: a context of its own, a page, and everything the console complained about."""

    def __init__(self, browser: Browser, base_url: str, **options: Any) -> None:
        size = {"width": 1280, "height": 900}
        self.context: BrowserContext = browser.new_context(base_url=base_url, **{"viewport": size, **options})
        self.context.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        # Addresses whose answer is meant to be an error page: Chromium reports each as a failed resource.
        self.expects_errors = False
        self.page = self.new_page()

    def new_page(self) -> Page:
        page = self.context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not (self.expects_errors and "status of 4" in message.text):
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def sign_in(self, email: str, password: str) -> Page:
        self.page.goto("/account/login/")
        self.page.get_by_label("E-mail").fill(email)
        self.page.locator("input[type=password]").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/t/**")
        return self.page

    def close(self) -> None:
        self.context.close()
