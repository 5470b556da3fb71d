"""libcurl's multi interface on an asyncio loop.

All sockets of libcurl sit in one epoll set of their own, and the loop watches only that set: a probe then costs no
handle, callback object or registration of the loop's, which is a fifth of its time.
"""

import asyncio
import select
from collections.abc import Callable
from contextlib import suppress

import pycurl

from apps.core.http.bodies import BodyRoom
from apps.core.http.curl import Limits, OutboundRequest, Reply, Transfer

EVENTS_AT_ONCE = 512
IDLE_KEPT = 256
POLL_MASKS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}


class CurlDriver:
    """Runs transfers; create and use it in the loop's thread."""

    def __init__(self, bodies: BodyRoom) -> None:
        self._loop = asyncio.get_running_loop()
        self._bodies = bodies
        self._epoll = select.epoll()
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._watched: set[int] = set()
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._running: dict[pycurl.Curl, tuple[Transfer, asyncio.Future[Reply]]] = {}
        self._idle: list[Transfer] = []
        self._loop.add_reader(self._epoll.fileno(), self._on_events)

    async def send(self, request: OutboundRequest, limits: Limits) -> Reply:
        """Run one transfer to its end."""
        transfer = self._idle.pop() if self._idle and request.extras is None else Transfer(self._bodies)
        future: asyncio.Future[Reply] = self._loop.create_future()
        try:
            transfer.prepare(request, limits)
            self._multi.add_handle(transfer.curl)  # which may be refused: it counts from here on
        except Exception:
            transfer.close()
            raise
        self._running[transfer.curl] = transfer, future
        try:
            return await future
        except asyncio.CancelledError:
            # Only while it is still ours: once ended, the handle may be at work for somebody else.
            if self._running.get(transfer.curl, (None, None))[1] is future:
                self._release(transfer.curl)
                transfer.close()
            raise

    def close(self) -> None:
        """End all transfers and let go of every socket."""
        self._loop.remove_reader(self._epoll.fileno())
        if self._timer is not None:
            self._timer.cancel()
        for curl, (transfer, future) in list(self._running.items()):
            self._release(curl)
            transfer.close()
            future.cancel()
        for transfer in self._idle:
            transfer.close()
        self._idle.clear()
        self._multi.close()
        self._epoll.close()

    def _watch(self, wanted: int, descriptor: int, _multi: object, _data: object) -> None:
        """Follow libcurl's wishes for a socket (its callback)."""
        if wanted == pycurl.POLL_REMOVE:
            self._watched.discard(descriptor)
            with suppress(OSError):  # closed already, which takes it out of the set
                self._epoll.unregister(descriptor)
            return
        if descriptor in self._watched:
            with suppress(FileNotFoundError):  # closed without a word, and its number given to a new socket
                self._epoll.modify(descriptor, POLL_MASKS[wanted])
                return
        self._watched.add(descriptor)
        self._epoll.register(descriptor, POLL_MASKS[wanted])

    def _set_timer(self, milliseconds: int) -> None:
        """Call libcurl back after a while, or as soon as possible, or never (its callback)."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if milliseconds == 0:  # not from in here: libcurl forbids calling it back from a callback
            self._timer = self._loop.call_soon(self._on_timer)
        elif milliseconds > 0:
            self._timer = self._loop.call_later(milliseconds / 1_000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._reap()

    def _on_events(self) -> None:
        act: Callable[[int, int], object] = self._multi.socket_action
        for descriptor, events in self._epoll.poll(0, EVENTS_AT_ONCE):
            action = pycurl.CSELECT_IN if events & select.EPOLLIN else 0
            if events & select.EPOLLOUT:
                action |= pycurl.CSELECT_OUT
            if events & (select.EPOLLERR | select.EPOLLHUP):
                action |= pycurl.CSELECT_ERR
            act(descriptor, action)
        self._reap()

    def _reap(self) -> None:
        _left, finished, failed = self._multi.info_read()
        for curl in finished:
            self._end(curl, 0, "")
        for curl, number, message in failed:
            self._end(curl, number, message)

    def _end(self, curl: pycurl.Curl, number: int, message: str) -> None:
        transfer, future = self._release(curl)
        try:
            reply = transfer.finish(number, message)
        except Exception as error:  # noqa: BLE001 - it goes to the one who waits
            # One answer that cannot be read must not cost those that ended with it.
            transfer.close()
            if not future.done():
                future.set_exception(error)
            return
        if transfer.is_reusable and len(self._idle) < IDLE_KEPT:
            self._idle.append(transfer)
        else:
            transfer.close()
        if not future.done():
            future.set_result(reply)

    def _release(self, curl: pycurl.Curl) -> tuple[Transfer, asyncio.Future[Reply]]:
        self._multi.remove_handle(curl)
        return self._running.pop(curl)
