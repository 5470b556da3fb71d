"""One Chromium for all browser probes of a loop, driven by Playwright in a thread of its own.

Playwright speaks to Chromium over pipes of a child process, which wants asyncio's own loop; the prober's loop only waits.
Every probe has its own browser context and its own `GuardedProxy`; Chromium has no other way out: names are not resolved
by it, an unproxied connection leads to a port where nobody listens, and QUIC and unproxied WebRTC are switched off.
"""

import asyncio
import logging
import os
import shutil
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from importlib import import_module
from time import monotonic, perf_counter
from typing import Any

from apps.checks.engine.guarded_proxy import GuardedProxy
from apps.checks.engine.walking import Errand, Walker
from apps.checks.types.base import ProbeContext, ProbeFailure, Walk
from apps.checks.types.journeys import Step

logger = logging.getLogger(__name__)

AT_ONCE = 2  # a page takes a processor and 100 MiB
MAX_BYTES = 32 * 1_048_576
WALKS_PER_BROWSER = 50  # then a fresh one, since memory only grows
START_SECONDS = 30.0
STOP_SECONDS = 10.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NOWHERE = "http://127.0.0.1:9"  # the proxy of whatever belongs to no probe
ARGUMENTS = (
    "--proxy-bypass-list=<-loopback>",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-quic",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--dns-prefetch-disable",
    "--no-pings",
    "--disable-dev-shm-usage",
    "--renderer-process-limit=4",
    "--js-flags=--max-old-space-size=256",
)


class LoopBrowser:
    """The `Browser` of a probe loop. Nothing is started before the first walk."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._thread: threading.Thread | None = None
        self._loop = asyncio.new_event_loop()
        self._room = _Room()

    async def walk(
        self, steps: Sequence[Step], secrets: Mapping[str, str], *, context: ProbeContext, verify_tls: bool, walk: Walk
    ) -> None:
        """Take the steps in a fresh context; raises `ProbeFailure` for the first that fails."""
        deadline = monotonic() + context.timeout_seconds
        try:
            async with asyncio.timeout(context.timeout_seconds / 2):
                await self._places.acquire()
        except TimeoutError as error:
            raise ProbeFailure("browser_busy", is_ours=True) from error
        try:
            await self._warm(context.timeout_seconds / 2)
            await self._walk(Errand(steps, secrets, walk, deadline), context, verify_tls=verify_tls)
        finally:
            self._places.release()

    async def _warm(self, seconds: float) -> None:
        """Wait for a browser that runs. Its start goes on beyond our patience, for the next probe."""
        starting = asyncio.wrap_future(self._in_thread(self._room.ready()))
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(starting)
        except TimeoutError as error:
            starting.add_done_callback(_look_at)
            raise ProbeFailure("browser_busy", is_ours=True) from error

    async def _walk(self, errand: Errand, context: ProbeContext, *, verify_tls: bool) -> None:
        proxy = GuardedProxy(context.net, max_bytes=MAX_BYTES)
        try:
            port = await proxy.start()
            walker = Walker(errand, proxy.failures)
            await asyncio.wrap_future(self._in_thread(self._room.walk(walker, port, verify_tls=verify_tls)))
        finally:
            await proxy.close()
            if proxy.is_exhausted:  # which a page that was cut off may not even show
                raise ProbeFailure("browser_too_much", {"limit": MAX_BYTES // 1_048_576})

    def close(self) -> None:
        """Stop the browser, if it was ever started."""
        if self._thread is None:
            self._loop.close()
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._room.leave(), self._loop).result(STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    def _in_thread(self, work: Coroutine[Any, Any, None]) -> "Future[None]":
        if self._thread is None:
            thread = threading.Thread(target=self._loop.run_forever, name="browser", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the machine has no room for it now; the next walk tries again
                work.close()
                raise _broken(error) from error
            self._thread = thread
        return asyncio.run_coroutine_threadsafe(work, self._loop)


class _Room:
    """Where the browser lives: everything here runs on the browser's own loop."""

    def __init__(self) -> None:
        self._playwright: Any = None
        self._browser: Any = None
        self._door: asyncio.Lock | None = None
        self._walks = 0
        self._inside = 0

    async def walk(self, walker: Walker, port: int, *, verify_tls: bool) -> None:
        browser = self._browser
        self._inside += 1
        pages: Any = None
        try:
            pages = await browser.new_context(
                proxy={"server": f"http://127.0.0.1:{port}", "bypass": "<-loopback>"},
                ignore_https_errors=not verify_tls,
                accept_downloads=False,
                service_workers="block",
            )
            await walker.walk(pages)
        except ProbeFailure as failure:
            if not browser.is_connected():  # it died under the page, which is not to blame for the step
                raise _broken(failure) from failure
            raise
        except Exception as error:  # Playwright's errors cannot be named without importing it
            logger.exception("the browser broke")
            raise _broken(error) from error
        finally:
            self._inside -= 1
            if pages is not None:
                with suppress(Exception):
                    await pages.close()

    async def close(self) -> None:
        browser, playwright = self._browser, self._playwright
        self._browser = self._playwright = None
        with suppress(Exception):
            if browser is not None:
                await browser.close()
        with suppress(Exception):
            if playwright is not None:
                await playwright.stop()

    async def leave(self) -> None:
        """Close everything for good, tasks that nobody waits for any more included."""
        await self.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # in which closed pipes are let go of

    async def ready(self) -> None:
        """See to it that a browser runs: the one there is, or a fresh one."""
        self._door = self._door or asyncio.Lock()
        async with self._door:
            self._walks += 1
            is_old = self._walks > WALKS_PER_BROWSER and not self._inside
            if self._browser is not None and self._browser.is_connected() and not is_old:
                return
            await self.close()
            self._walks = 1
            try:
                async with asyncio.timeout(START_SECONDS):
                    self._browser = await self._launched()
            except ProbeFailure:
                raise
            except Exception as error:
                logger.exception("the browser does not start")
                raise _broken(error) from error

    async def _launched(self) -> Any:
        executable = next(filter(None, map(shutil.which, NAMES)), None)
        try:
            driver = import_module("playwright.async_api")
        except ModuleNotFoundError as error:
            raise ProbeFailure("browser_missing", {"detail": "Playwright"}, is_ours=True) from error
        if executable is None:
            raise ProbeFailure("browser_missing", {"detail": "Chromium"}, is_ours=True)
        began = perf_counter()
        self._playwright = await driver.async_playwright().start()
        browser = await self._playwright.chromium.launch(
            executable_path=executable,
            args=list(ARGUMENTS),
            proxy={"server": NOWHERE},
            chromium_sandbox=os.geteuid() != 0,  # which root cannot have
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
        logger.info("started %s in %.1f s", executable, perf_counter() - began)
        return browser


def _broken(error: Exception) -> ProbeFailure:
    return ProbeFailure("browser_broke", {"detail": type(error).__name__}, is_ours=True)


def _look_at(future: "asyncio.Future[None]") -> None:
    """Look at an error that nobody waits for any more, so that it is not reported as forgotten."""
    if not future.cancelled():
        future.exception()
