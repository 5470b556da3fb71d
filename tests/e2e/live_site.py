"""A page with live parts, its server, and what is asked of both: for the browser tests of live.js."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright, expect

from apps.live.domain.hub import hub
from apps.live.domain.publish import publish
from apps.live.routing import websocket_application
from tests.e2e.browsing import CHROMIUM, LAUNCH, PATIENCE_MS, is_installed
from tests.live.conftest import PATIENCE_SECONDS, Valkey, open_topics, valkey

__all__ = ["open_topics", "valkey"]

SCRIPTS = Path(__file__).parents[2] / "static" / "js"
HTMX = Path(str(find_spec("django_htmx").origin)).parent / "static/django_htmx/htmx-2.min.js"

PART = """<div id="{name}" data-live="{ids}" hx-get="/part/{name}" hx-trigger="live" hx-swap="outerHTML">
<button></button>{name} {count}</div>"""
PARTS = {"one": "check:1", "two": "check:2", "checks": "check:*", "any": "*", "outages": "outage:*"}
FIELD = '<input id="field">'
PAGE = """<!doctype html>
<html><head><title>live</title><link rel="icon" href="data:,"><script src="/htmx.js"></script></head>
<body data-live-url="/ws/live/open/{slug}/" data-live-rest="{rest}"><span data-live-status="connecting"></span>{parts}
<div id="form" data-live="check:7" hx-get="/part/form" hx-trigger="live">{form}</div>
<script type="module" src="/js/live.js"></script></body></html>"""


@dataclass
class Site:
    """A page with live parts; every part shows how often it was fetched."""

    fetches: Counter[str] = field(default_factory=Counter)
    delay: float = 0.0
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    rest: int = 0
    is_socket_blocked: bool = False
    port: int = 0
    _server: uvicorn.Server | None = None
    _running: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            if self.is_socket_blocked:
                await receive()
                await send({"type": "websocket.close"})
            else:
                await self._sockets(scope, receive, send)
            return
        body, kind = await self._answer(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, path: str) -> tuple[bytes, bytes]:
        if path.startswith("/part/"):
            name = path.removeprefix("/part/")
            self.fetches[name] += 1
            answer = PART.format(name=name, ids=PARTS[name], count=self.fetches[name]) if name in PARTS else FIELD
            await asyncio.sleep(self.delay)
            await self.may_answer.wait()
            return answer.encode(), b"text/html"
        if path == "/htmx.js":
            return HTMX.read_bytes(), b"text/javascript"
        if path.startswith("/js/"):
            return (SCRIPTS / path.removeprefix("/js/")).read_bytes(), b"text/javascript"
        parts = "".join(PART.format(name=name, ids=ids, count=0) for name, ids in PARTS.items())
        return PAGE.format(slug=path.strip("/"), rest=self.rest, parts=parts, form=FIELD).encode(), b"text/html"

    async def start(self) -> None:
        self._sockets = websocket_application()
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(self, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        )
        self._running = asyncio.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self._server.should_exit = True
        await self._running


@pytest.fixture
async def site(valkey: Valkey, open_topics: None) -> AsyncIterator[Site]:
    site = Site()
    site.may_answer.set()
    await site.start()
    yield site
    await site.stop()
    await hub().aclose()


@pytest.fixture
async def page(site: Site) -> AsyncIterator[Page]:
    if not is_installed():
        pytest.skip(f"no browser: {CHROMIUM} is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**LAUNCH)
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        await browser.close()
        assert errors == []


async def visit(page: Page, site: Site, status: str = "live") -> None:
    await page.goto(f"http://127.0.0.1:{site.port}/a")
    await shows_status(page, status)
    await settle(page, site, quiet=1.5)
    site.fetches.clear()


async def shows_status(page: Page, status: str) -> None:
    await expect(page.locator("[data-live-status]")).to_have_attribute("data-live-status", status)


async def settle(page: Page, site: Site, quiet: float = 0.6) -> None:
    """Wait until nothing was fetched for a while, and the browser has come so far: a busy machine holds it up."""
    before = -1
    while before != site.fetches.total():
        before = site.fetches.total()
        await asyncio.sleep(quiet)
        await page.evaluate("fetch('/quiet')")


async def fetched(page: Page, site: Site, **parts: int) -> None:
    """Wait until the parts were fetched so often; nothing else may be, and nothing more often."""
    await fetches(site, **parts)
    await settle(page, site)
    assert site.fetches == parts


async def fetches(site: Site, **parts: int) -> None:
    """Wait until the parts were fetched so often at least."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while any(site.fetches[part] < times for part, times in parts.items()):
            await asyncio.sleep(0.05)


async def say(*ids: str) -> None:
    await asyncio.to_thread(publish, "open:a", ids)


async def hide(page: Page, is_hidden: bool) -> None:
    await page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )
