"""Taking the steps of a browser journey in a page."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, perf_counter
from typing import Any

from apps.checks.engine.guarded_proxy import plain_host
from apps.checks.types.base import ProbeFailure, Walk
from apps.checks.types.journeys import Step
from apps.checks.types.texts import printable
from apps.core.http.urls import BadUrl, check_url

STEP_SECONDS = 15.0
SPARE_SECONDS = 0.5
POLL_MS = 50
SHOWN = 160
FIRST_LINE = re.compile(r"^[^\n]*")
CALL_NAME = re.compile(r"^[A-Z]\w+\.\w+: (?:Error: )?")  # "Page.goto: ", which says nothing to people


class Unmet(Exception):
    """What a step expects has not come."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What one probe wants of the browser, until ``deadline`` (of `monotonic`)."""

    steps: Sequence[Step]
    secrets: Mapping[str, str]
    walk: Walk
    deadline: float


class Walker:
    """One journey. ``failures`` are the proxy's, by host and port: they say better than the browser why no page came."""

    def __init__(self, errand: Errand, failures: Mapping[tuple[str, int], ProbeFailure]) -> None:
        self._steps, self._secrets = errand.steps, errand.secrets
        self._walk, self._deadline = errand.walk, errand.deadline
        self._failures = failures
        self._verbs: Mapping[str, Callable[..., Awaitable[None]]] = {
            "goto": self._goto,
            "click": self._click,
            "fill": self._fill,
            "press": self._press,
            "wait": self._wait,
            "expect text": self._expect_text,
            "expect element": self._expect_element,
            "expect url": self._expect_url,
            "expect title": self._expect_title,
        }

    async def walk(self, pages: Any) -> None:
        """Take all steps in a page of the browser context ``pages``."""
        page = await pages.new_page()
        for number, step in enumerate(self._steps, 1):
            began = perf_counter()
            page.set_default_timeout(self._seconds_left() * 1_000)
            try:
                await self._verbs[step.verb](page, *step.filled(self._secrets))
            except ProbeFailure:
                raise
            except Exception as error:
                if not isinstance(error, Unmet) and type(error).__module__.split(".")[0] != "playwright":
                    raise
                raise self._failure(number, step, str(error)) from error
            finally:
                self._walk.url = page.url.partition("?")[0].partition("#")[0]
            self._walk.step_ms.append(round((perf_counter() - began) * 1_000, 2))

    def _seconds_left(self) -> float:
        """Return the time of the next step: it ends before the probe does, so that it can be named."""
        return max(0.1, min(STEP_SECONDS, self._deadline - monotonic() - SPARE_SECONDS))

    def _failure(self, number: int, step: Step, words: str) -> ProbeFailure:
        detail = FIRST_LINE.findall(CALL_NAME.sub("", words))[0]
        for value in self._secrets.values():
            if value:
                detail = detail.replace(value, "•••")
        if step.verb == "goto":
            known = self._known(step.filled(self._secrets)[0])
            if known is not None:
                return known
        values: dict[str, str | int] = {"number": number, "step": printable(step.line, SHOWN)}
        return ProbeFailure("browser_step", {**values, "detail": printable(detail, SHOWN)})

    def _known(self, url: str) -> ProbeFailure | None:
        """Return why no page came from an address, or from another port of its host that it led to, such as https."""
        place = _place(url)
        of_host = [failure for (host, _port), failure in self._failures.items() if host == place[0]]
        return self._failures.get(place) or (of_host[-1] if of_host else None)

    async def _goto(self, page: Any, url: str) -> None:
        try:
            address = check_url(url)
        except BadUrl as error:
            raise ProbeFailure("bad_url", {"reason": error.code}) from error
        response = await page.goto(address.url, wait_until="load")
        self._walk.status_code = response.status if response is not None else None
        if response is not None and response.status >= 400:
            known = self._failures.get(_place(response.url))  # where it was led to: the answer may be the proxy's own
            raise known or ProbeFailure("status_mismatch", {"status": response.status, "expected": "200-399"})

    async def _click(self, page: Any, selector: str) -> None:
        await page.click(selector)

    async def _fill(self, page: Any, selector: str, value: str) -> None:
        await page.fill(selector, value)

    async def _press(self, page: Any, selector: str, key: str) -> None:
        await page.press(selector, key)

    async def _wait(self, page: Any, seconds: str) -> None:
        await page.wait_for_timeout(float(seconds) * 1_000)

    async def _expect_text(self, page: Any, text: str) -> None:
        await page.get_by_text(text).first.wait_for(state="visible")

    async def _expect_element(self, page: Any, selector: str) -> None:
        await page.locator(selector).first.wait_for(state="visible")

    async def _expect_url(self, page: Any, part: str) -> None:
        await self._until(page, lambda: _now(page.url), part)

    async def _expect_title(self, page: Any, part: str) -> None:
        await self._until(page, page.title, part)

    async def _until(self, page: Any, read: Callable[[], Awaitable[str]], part: str) -> None:
        """Wait until what is read contains ``part``."""
        until = monotonic() + self._seconds_left()
        while part not in (found := await read()):
            if monotonic() > until:
                raise Unmet(f"found “{found}”")
            await page.wait_for_timeout(POLL_MS)


async def _now(text: str) -> str:
    return text


def _place(url: str) -> tuple[str, int]:
    """Return the host and port of an address as the proxy files its failures."""
    try:
        address = check_url(url)
    except BadUrl:
        return "", 0
    return plain_host(address.host), address.port
