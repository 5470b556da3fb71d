"""What cannot be begun leaves nothing behind, and blames nobody."""

import asyncio
import errno
import os
import threading
from types import SimpleNamespace
from typing import Any

import pycurl
import pytest

from apps.checks.engine.browser import LoopBrowser, _Room
from apps.checks.engine.driver import CurlDriver
from apps.checks.engine.guarded_proxy import GuardedProxy
from apps.checks.engine.plain import PlainDriver
from apps.checks.engine.secure import _context
from apps.checks.engine.walking import _place
from apps.checks.types.base import ProbeFailure
from apps.core.http.bodies import BodyRoom
from apps.core.http.curl import Limits, OutboundRequest, Transfer, ca_file
from apps.core.http.urls import check_url
from tests.checks.engine.networks import network
from tests.checks.engine.test_resolver_threads import Refused
from tests.peers.process import free_port
from tests.peers.web import answer, saying, serving

LIMITS = Limits(timeout_seconds=60, allow_private=True)


def refused(*_arguments: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_transfer_that_libcurl_does_not_take_is_closed_and_not_counted() -> None:
    driver = CurlDriver(BodyRoom())
    driver._idle.append(transfer := Transfer())
    multi, driver._multi = driver._multi, SimpleNamespace(add_handle=refused)
    with pytest.raises(OSError, match="No space left"):
        await driver.send(OutboundRequest("GET", "http://127.0.0.1:9/"), LIMITS)
    driver._multi = multi

    assert (driver._running, driver._idle) == ({}, [])
    with pytest.raises(pycurl.error, match="no curl handle"):
        transfer.curl.getinfo(pycurl.RESPONSE_CODE)
    driver.close()


async def test_connection_that_cannot_be_watched_is_closed() -> None:
    driver = PlainDriver(BodyRoom())
    epoll, driver._epoll = driver._epoll, SimpleNamespace(register=refused)
    with serving(saying(answer())) as web:
        address = check_url(web.url())
        with pytest.raises(OSError, match="No space left"):
            await driver.send(OutboundRequest("GET", address.url), address, "127.0.0.1", LIMITS)
    driver._epoll = epoll

    assert driver._open == {}
    driver.close()


async def test_browser_whose_thread_is_refused_is_started_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    browser = LoopBrowser()
    for _walk in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(threading, "Thread", Refused)
            with pytest.raises(ProbeFailure) as caught:
                await browser._warm(1.0)
        assert (caught.value.code, caught.value.is_ours) == ("browser_broke", True)

    assert browser._thread is None
    browser.close()


@pytest.mark.parametrize(("is_alive", "code"), [(True, "browser_step"), (False, "browser_broke")])
async def test_step_is_not_blamed_on_a_page_whose_browser_died(is_alive: bool, code: str) -> None:
    async def fail(_pages: object) -> None:
        raise ProbeFailure("browser_step", {"number": 1})

    async def nothing(**_options: object) -> None:
        return None

    room: Any = _Room()
    room._browser = SimpleNamespace(new_context=nothing, is_connected=lambda: is_alive)
    with pytest.raises(ProbeFailure) as caught:
        await room.walk(SimpleNamespace(walk=fail), 9, verify_tls=True)

    assert (caught.value.code, caught.value.is_ours) == (code, not is_alive)


async def test_failure_is_of_one_port_until_that_is_reached() -> None:
    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", door)
        writer.write(b"GET http://127.0.0.1:%d/ HTTP/1.1\r\n\r\n" % port)
        said = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return said

    async with network() as net:
        proxy = GuardedProxy(net, max_bytes=10_000)
        door = await proxy.start()
        with serving(saying(answer())) as web:
            dead = free_port()
            proxy.failures["127.0.0.1", web.port] = ProbeFailure("connect_refused")  # an earlier try's
            said = [await ask(port) for port in (dead, web.port)]
        await proxy.close()

    failures = {place: failure.code for place, failure in proxy.failures.items()}
    assert [line.split()[1] for line in said] == [b"502", b"200"]
    assert failures == {("127.0.0.1", dead): "connect_refused"}
    assert [_place(url) in failures for url in (f"http://127.0.0.1:{dead}/x", "http://127.0.0.1/")] == [True, False]


@pytest.mark.parametrize(
    ("number", "code", "is_ours"),
    [(errno.EMFILE, "own_fault", True), (errno.ENOENT, "client_certificate_unusable", False)],
)
def test_certificate_that_no_descriptor_is_left_for_is_not_blamed(
    number: int, code: str, is_ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(_descriptor: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "dup", exhausted)
    with pytest.raises(ProbeFailure) as caught:
        _context(True, "certificate", "key", (), ca_file(), 0)

    assert (caught.value.code, caught.value.is_ours) == (code, is_ours)
