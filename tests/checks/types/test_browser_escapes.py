"""Browser journeys to pages that want out: to forbidden addresses, round the proxy, or never to an end."""

import socket
import threading
from collections.abc import Iterator

import pytest

from apps.checks.engine import browser as engine_browser
from apps.checks.engine import walking
from apps.checks.engine.guarded_proxy import GuardedProxy
from apps.checks.engine.resolver import system_lookup
from apps.checks.enums import Verdict
from tests.checks.types.test_browser import LOGIN, Journeys, _patient, needs_browser, proxies, site
from tests.peers.web import answer, serving

__all__ = ["_patient", "proxies"]
pytestmark = pytest.mark.browser


@needs_browser
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "rebound.example"])
async def test_private_address_is_refused_without_the_right(host: str) -> None:
    def lookup(name: str) -> tuple[str, ...]:
        return ("127.0.0.1",) if name == "rebound.example" else system_lookup(name)

    with serving(site(home=LOGIN)) as web:
        async with Journeys(lookup) as browser:
            outcome = await browser.walk(f"goto {web.url(host=host)}", allow_private=False)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "address_forbidden")
    assert outcome.error_values["reason"] == "loopback"
    assert web.connections == 0


ESCAPES = b"""<title>trying</title>
<img src="http://169.254.169.254/img"><iframe src="http://metadata.example/frame"></iframe>
<link rel="prefetch" href="http://169.254.170.2/prefetch"><link rel="preconnect" href="http://100.100.100.200/">
<script>
  const socket = path => new Promise(done => {
    const made = new WebSocket('ws://168.63.129.16/' + path)
    made.onopen = () => done('OPEN'); made.onerror = () => done('shut')
  })
  const ask = url => fetch(url, {mode: 'no-cors'}).then(answer => answer.type, () => 'shut')
  Promise.all([
    ask('https://[fd00:ec2::254]/fetch'), ask('/redirect'), socket('socket'), ask('http://2852039166/decimal'),
    navigator.sendBeacon('http://192.0.0.192/beacon') && 'sent', ask('http://rebinding.example/'),
  ]).then(ends => { document.title = 'ended ' + ends.join(' ') })
</script>"""


@needs_browser
async def test_page_reaches_no_forbidden_address(proxies: list[GuardedProxy]) -> None:
    asked: list[str] = []

    def lookup(name: str) -> tuple[str, ...]:
        asked.append(name)
        return {"page.example": ("127.0.0.1",)}.get(name, ("169.254.169.254",))

    def handle(connection: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET /redirect"):
            connection.sendall(answer(302, b"", Location="http://169.254.169.254/redirected"))
        else:
            connection.sendall(answer(200, ESCAPES, Content_Type="text/html"))

    with serving(handle) as web:
        async with Journeys(lookup) as browser:
            outcome = await browser.walk(f"goto {web.url(host='page.example')}", 'expect title "ended"', "wait 0.5")

    refused = proxies[0].failures
    assert outcome.verdict == Verdict.SUCCESS
    assert {failure.code for failure in refused.values()} == {"address_forbidden"}
    assert {
        "169.254.169.254",
        "metadata.example",
        "fd00:ec2::254",
        "168.63.129.16",
        "rebinding.example",
    } <= {host for host, _port in refused}
    assert set(proxies[0].reached) == {"127.0.0.1"}
    assert web.connections == len(proxies[0].reached)
    assert "page.example" in asked


RTC = b"""<title>trying</title><script>
  const call = new RTCPeerConnection({iceServers: [{urls: 'stun:127.0.0.1:%d'}]})
  call.createDataChannel('x')
  call.createOffer().then(offer => call.setLocalDescription(offer))
  new WebTransport('https://127.0.0.1:%d/').closed.catch(() => {})
  setTimeout(() => { document.title = 'ended' }, 1500)
</script>"""


@pytest.fixture
def stun() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        yield listener


def heard(listener: socket.socket) -> bool:
    try:
        return bool(listener.recv(2_000))
    except BlockingIOError:
        return False


@needs_browser
async def test_calls_do_not_leak_datagrams(stun: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    page = RTC % (stun.getsockname()[1], stun.getsockname()[1])
    with serving(site(home=page)) as web:
        steps = (f"goto {web.url()}", "expect title ended")
        async with Journeys() as browser:
            guarded = await browser.walk(*steps)
        leaks_guarded = heard(stun)
        monkeypatch.setattr(engine_browser, "ARGUMENTS", ("--proxy-bypass-list=<-loopback>",))
        async with Journeys() as browser:
            for _try in range(20):  # a busy browser may be about to ask when the page ends
                plain = await browser.walk(*steps)
                leaks_plain = heard(stun)
                if leaks_plain:
                    break

    assert (guarded.verdict, plain.verdict) == (Verdict.SUCCESS, Verdict.SUCCESS)
    assert (leaks_guarded, leaks_plain) == (False, True)  # without the switches the very same page does get out


@needs_browser
async def test_hostile_pages_end_and_leave_the_browser_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_browser, "MAX_BYTES", 2 * 1_048_576)
    stopped = threading.Event()
    pages = site(
        home=LOGIN,
        busy=b"<script>while (true) {}</script>",
        boxes=b"<title>Boxes</title><script>alert(1); confirm(2); prompt(3); window.open('/'); print()</script>ok",
        crash=b"<script>const all = []; while (true) all.push(new Array(1e6).fill(all.length))</script>",
    )

    def handle(connection: socket.socket, request: bytes) -> None:
        if b" /endless" not in request:
            pages(connection, request)
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        while not stopped.is_set():
            connection.sendall(b"<p>" + b"more " * 10_000)

    with serving(handle) as web:
        async with Journeys() as browser:
            first = await browser.walk(f"goto {web.url()}")
            monkeypatch.setattr(walking, "STEP_SECONDS", 5.0)
            busy = await browser.walk(f"goto {web.url('/busy')}", 'expect text "x"')
            monkeypatch.setattr(walking, "STEP_SECONDS", 60.0)
            boxes = await browser.walk(f"goto {web.url('/boxes')}", "expect title Boxes", 'expect text "ok"')
            endless = await browser.walk(f"goto {web.url('/endless')}")
            crash = await browser.walk(f"goto {web.url('/crash')}", 'expect text "x"', timeout=60)
            after = await browser.walk(f"goto {web.url()}", 'expect title "Sign in"')
            stopped.set()

    assert first.verdict == Verdict.SUCCESS
    assert (busy.verdict, busy.error_code) == (Verdict.FAILURE, "browser_step")
    assert boxes.verdict == Verdict.SUCCESS
    assert (endless.verdict, endless.error_code, endless.error_values) == (
        Verdict.FAILURE,
        "browser_too_much",
        {"limit": 2},
    )
    assert crash.verdict == Verdict.FAILURE
    assert after.verdict == Verdict.SUCCESS
