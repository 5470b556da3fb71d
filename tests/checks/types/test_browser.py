"""Browser journeys in a real Chromium, past a real proxy, and what is said of those that cannot run."""

import asyncio
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import uvloop

from apps.checks.engine import browser as engine_browser
from apps.checks.engine import walking
from apps.checks.engine.guarded_proxy import GuardedProxy
from apps.checks.engine.job import ProbeJob
from apps.checks.engine.loop import ProbeLoop
from apps.checks.engine.resolver import Lookup, system_lookup
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.browser import BrowserCheck, BrowserConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask
from tests.e2e.browsing import is_installed
from tests.peers.process import free_port
from tests.peers.web import Handler, answer, serving

needs_browser = pytest.mark.skipif(not is_installed(), reason="no browser: chromium is not installed")
pytestmark = pytest.mark.browser

LOGIN = b"""<title>Sign in</title><form action="/inside" method="post"><input id="name" name="name">
<input id="password" type="password" name="password"><button>Go</button></form>"""
INSIDE = b"""<title>Inside</title><h1>Welcome back</h1><p id="late"></p>
<script>setTimeout(() => { document.getElementById('late').textContent = 'Three orders' }, 200)</script>"""


def site(**pages: bytes) -> Handler:
    """Return a handler that serves HTML by the first word of the path."""

    def handle(connection: socket.socket, request: bytes) -> None:
        words = request.split(b" ")
        name = words[1].strip(b"/").split(b"?")[0].decode() if len(words) > 1 else ""
        body = pages.get(name or "home")
        connection.sendall(answer(404 if body is None else 200, body or b"gone", Content_Type="text/html"))

    return handle


class Journeys:
    """Probes of one loop, and so of one browser."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._ended: dict[int, asyncio.Future[Outcome]] = {}
        self._loop = ProbeLoop(
            lambda token, outcome, _at: self._ended[token].set_result(outcome), lookup=lookup, has_browser=True
        )

    async def walk(
        self, *steps: str, timeout: float = 120, allow_private: bool = True, verify_tls: bool = True, **secrets: str
    ) -> Outcome:
        config = BrowserConfig(steps=list(steps), secrets=secrets, verify_tls=verify_tls)
        number = len(self._ended)
        self._ended[number] = asyncio.get_running_loop().create_future()
        self._loop.submit(ProbeJob(number, "browser", config, timeout, allow_private))
        return await self._ended[number]

    async def __aenter__(self) -> "Journeys":
        return self

    async def __aexit__(self, *_error: object) -> None:
        await asyncio.sleep(0)
        self._loop.close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chromium takes its time on a busy machine: to start, to show a page, to end."""
    monkeypatch.setattr(engine_browser, "START_SECONDS", 120.0)
    monkeypatch.setattr(engine_browser, "STOP_SECONDS", 120.0)
    monkeypatch.setattr(walking, "STEP_SECONDS", 60.0)


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> list[GuardedProxy]:
    """Every proxy that a probe had."""
    made: list[GuardedProxy] = []

    class Watched(GuardedProxy):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            made.append(self)

    monkeypatch.setattr(engine_browser, "GuardedProxy", Watched)
    return made


@needs_browser
async def test_whole_journey(proxies: list[GuardedProxy]) -> None:
    with serving(site(home=LOGIN, inside=INSIDE)) as web:
        async with Journeys() as browser:
            outcome = await browser.walk(
                f"goto {web.url('/?token=a')}",
                "# signing in",
                'fill "#name" "Ada Lovelace"',
                'fill "#password" "{{password}}"',
                "click button",
                'expect text "Three orders"',
                "expect element h1",
                "expect url /inside",
                "expect title Inside",
                "wait 0.1",
                password="s3cret & more",
            )

    posted = next(request for request in web.asked if request.startswith(b"POST"))
    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (Verdict.SUCCESS, "", 200)
    assert posted.endswith(b"\r\n\r\nname=Ada+Lovelace&password=s3cret+%26+more")
    assert len(outcome.details["steps_ms"]) == 9
    assert outcome.details["url"] == web.url("/inside")
    assert set(outcome.details) == set(BrowserCheck.facts)
    assert outcome.connect_ms is None
    assert outcome.total_ms is not None
    assert web.connections == len(proxies[0].reached)  # nothing went round the proxy, not even to loopback


@needs_browser
async def test_failing_steps_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, pages = free_port(), site(home=LOGIN)

    def handle(connection: socket.socket, request: bytes) -> None:
        monkeypatch.setattr(walking, "STEP_SECONDS", 2.0)  # for the next step: the page comes, however long it takes
        pages(connection, request)

    async def fails(step: str, **secrets: str) -> Outcome:
        monkeypatch.setattr(walking, "STEP_SECONDS", 60.0)
        return await browser.walk(f"goto {web.url()}", step, **secrets)

    with serving(handle) as web:
        async with Journeys() as browser:
            missing = await browser.walk(f"goto {web.url('/nowhere')}")  # first, since it waits for the browser's start
            element = await fails('click "#no-such"')
            text = await fails('expect text "{{word}}"', word="top-secret-word")
            title = await fails("expect title Inside")
            selector = await fails('click "[[["')
            monkeypatch.setattr(walking, "STEP_SECONDS", 60.0)
            refused = await browser.walk(f"goto http://127.0.0.1:{closed}/")
            unknown = await browser.walk("goto http://no-such-host.invalid/")
            strange = await browser.walk("goto {{where}}", where="file:///etc/passwd")

    assert (element.verdict, element.error_code) == (Verdict.FAILURE, "browser_step")
    assert {name: element.error_values[name] for name in ("number", "step")} == {
        "number": 2,
        "step": 'click "#no-such"',
    }
    assert len(element.details["steps_ms"]) == 1
    assert text.error_code == "browser_step"
    assert "top-secret-word" not in str(text)
    assert title.error_values["detail"] == "found “Sign in”"
    assert selector.error_code == "browser_step"
    assert (missing.error_code, missing.error_values["status"]) == ("status_mismatch", 404)
    assert refused.error_code == "connect_refused"
    assert unknown.error_code == "dns_failure"
    assert strange.error_code == "bad_url"


@needs_browser
async def test_certificates(server_tls: ssl.SSLContext) -> None:
    with serving(site(home=LOGIN), tls=server_tls) as web:
        steps = (f"goto {web.url(host='localhost')}", 'expect title "Sign in"')
        async with Journeys() as browser:
            verified = await browser.walk(*steps)
            unverified = await browser.walk(*steps, verify_tls=False)

    assert (verified.verdict, verified.error_code) == (Verdict.FAILURE, "browser_step")
    assert "ERR_CERT_AUTHORITY_INVALID" in str(verified.error_values["detail"])
    assert unverified.verdict == Verdict.SUCCESS


@needs_browser
async def test_journeys_know_nothing_of_each_other() -> None:
    def handle(connection: socket.socket, request: bytes) -> None:
        seen = b"again" if b"Cookie: known=1" in request else b"first"
        connection.sendall(answer(200, b"<title>%s</title>" % seen, Content_Type="text/html", Set_Cookie="known=1"))

    with serving(handle) as web:
        async with Journeys() as browser:
            outcomes = await asyncio.gather(
                *(
                    browser.walk(f"goto {web.url()}", "expect title first", f"goto {web.url()}", "expect title again")
                    for _number in range(4)
                )
            )

    assert {outcome.verdict for outcome in outcomes} == {Verdict.SUCCESS}


@needs_browser
def test_journeys_run_where_the_prober_runs() -> None:
    """On uvloop and in a thread that is not the main one, where child processes are a matter of their own."""
    outcomes: list[Outcome] = []

    async def walk(url: str) -> None:
        async with Journeys() as browser:
            outcomes.append(await browser.walk(f"goto {url}", 'expect title "Sign in"'))

    with serving(site(home=LOGIN)) as web:
        thread = threading.Thread(target=lambda: uvloop.run(walk(web.url())))
        thread.start()
        thread.join()

    assert [outcome.verdict for outcome in outcomes] == [Verdict.SUCCESS]


async def test_installation_without_browser_checks_says_so() -> None:
    outcome = await ask("browser", steps=["goto https://example.com/"])

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "browser_off")


async def test_machine_without_chromium_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with Journeys() as browser:
        outcome = await browser.walk("goto https://example.com/")

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "browser_missing")
    assert outcome.error_values == {"detail": "Chromium"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"steps": []}, "steps"),
        ({"steps": ["click a"]}, "steps"),
        ({"steps": ["goto https://a.example/", "fly away"]}, "steps"),
        ({"steps": ["goto https://a.example/", "fill #a"]}, "steps"),
        ({"steps": ["goto https://a.example/", 'fill "#a']}, "steps"),
        ({"steps": ["goto https://a.example/", "expect"]}, "steps"),
        ({"steps": ["goto https://a.example/", "wait 11"]}, "steps"),
        ({"steps": ["goto https://a.example/", "wait -1"]}, "steps"),
        ({"steps": ["goto file:///etc/passwd"]}, "steps"),
        ({"steps": ["goto javascript:alert(1)"]}, "steps"),
        ({"steps": ["goto https://a.example/"] + ["click a"] * 50}, "steps"),
        ({"steps": ["goto https://a.example/{{token}}"]}, "secrets"),
    ],
)
def test_wrong_setting_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(BrowserConfig, given)

    assert list(caught.value.errors) == [field]


def test_target_shows_neither_query_nor_secret() -> None:
    config = BrowserConfig(steps=["goto https://a.example/{{key}}/x?token=1"], secrets={"key": "abc"})

    assert BrowserCheck().target(config) == "https://a.example/…/x"
