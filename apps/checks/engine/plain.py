"""Plain HTTP/1.1 without TLS on sockets of our own: a third of what a transfer costs through libcurl.

Only what most checks are is done here: a GET or HEAD of one address, without body, proxy or certificates. Everything else,
and an answer that our parser does not understand, is libcurl's (`CurlDriver`), so that both judge alike.
"""

import _socket
import asyncio
import errno
import os
import select
from time import monotonic

from httptools import HttpParserError

from apps.checks.engine.plain_answer import PlainAnswer
from apps.checks.engine.plain_request import request_bytes
from apps.core.http.bodies import NO_ROOM, BodyRoom
from apps.core.http.curl import Limits, OutboundRequest, Reply
from apps.core.http.failures import OWN_ERRORS, Failure, connect_failure, socket_failure
from apps.core.http.guard import forbidden_reason
from apps.core.http.urls import ParsedUrl, redirect_target

EVENTS_AT_ONCE = 512
CHUNK = 16_384
READS_IN_A_ROW = 4  # without a turn for others: a peer on the same floor sends faster than is read
# Edge-triggered: one registration serves the connection from its first moment to its last.
WATCHED = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
ENDING = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
STREAM = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
WAITING = (errno.EINPROGRESS, errno.EAGAIN)


class NotPlain(Exception):
    """The answer is none that we read ourselves."""


class _Exchange:
    """One connection, one request, one answer."""

    __slots__ = (
        "answer",
        "began",
        "connected",
        "first_byte",
        "future",
        "has_ending",
        "ip",
        "is_resting",
        "link",
        "request",
        "timer",
        "unsent",
        "url",
    )

    def __init__(
        self,
        link: _socket.socket,
        ip: str,
        request: OutboundRequest,
        future: asyncio.Future[Reply],
        bodies: BodyRoom,
    ) -> None:
        self.link = link
        self.ip = ip
        self.url = request.url
        self.unsent = request_bytes(request)
        self.answer = PlainAnswer(is_head=request.method == "HEAD", max_bytes=request.max_bytes, bodies=bodies)
        self.future = future
        self.began = monotonic()
        self.connected = self.first_byte = 0.0
        self.has_ending = self.is_resting = False
        self.timer: asyncio.TimerHandle | None = None

    def reply(self, failure: Failure | None) -> Reply:
        answer, began, now = self.answer, self.began, monotonic()
        connected = int((self.connected - began) * 1e6) if self.connected else 0
        return Reply(
            failure=failure,
            status=answer.status,
            http_version=answer.http_version,
            remote_ip=self.ip if self.connected else "",
            body=bytes(answer.body),  # no copy where it came as one part
            is_truncated=answer.is_truncated,
            content_type=answer.content_type.decode("utf-8", "replace"),
            redirect_url=redirect_target(self.url, answer.location) if answer.location else "",
            cert_expires_at=None,
            resolved_us=0,
            connected_us=connected,
            secured_us=0,
            sent_us=connected,
            first_byte_us=int((self.first_byte - began) * 1e6) if self.first_byte else 0,
            total_us=int((now - began) * 1e6),
            coding=answer.coding.decode("utf-8", "replace") if answer.coding else "",
        )


class PlainDriver:
    """Runs exchanges on the event loop; create and use it in the loop's thread."""

    def __init__(self, bodies: BodyRoom) -> None:
        self._loop = asyncio.get_running_loop()
        self._bodies = bodies
        self._epoll = select.epoll()
        self._open: dict[int, _Exchange] = {}
        self._loop.add_reader(self._epoll.fileno(), self._on_events)

    async def send(self, request: OutboundRequest, address: ParsedUrl, ip: str, limits: Limits) -> Reply:
        """Run one exchange with ``ip`` to its end; raises `NotPlain` where libcurl must look at the answer."""
        reason = forbidden_reason(ip, allow_private=limits.allow_private, port=address.port)
        if reason is not None:
            return _unsent(Failure("address_forbidden", {"address": ip, "reason": reason}))
        try:
            link = _socket.socket(_socket.AF_INET6 if ":" in ip else _socket.AF_INET, STREAM)
        except OSError as error:
            return _unsent(socket_failure(error, ip))
        future: asyncio.Future[Reply] = self._loop.create_future()
        exchange = _Exchange(link, ip, request, future, self._bodies)
        number = link.connect_ex((ip, address.port))
        if number and number not in WAITING:
            link.close()
            return exchange.reply(connect_failure(number, ip, os.strerror(number)))
        descriptor = link.fileno()
        self._open[descriptor] = exchange
        try:
            self._epoll.register(descriptor, WATCHED)
            exchange.timer = self._loop.call_later(limits.timeout_seconds, self._run_out, descriptor)
            return await future
        finally:
            if self._open.get(descriptor) is exchange:  # given up by the one who asked, or never begun
                self._close(descriptor)

    def close(self) -> None:
        """End all exchanges and let go of every socket."""
        self._loop.remove_reader(self._epoll.fileno())
        for descriptor, exchange in list(self._open.items()):
            self._close(descriptor)
            exchange.future.cancel()
        self._epoll.close()

    def _on_events(self) -> None:
        for descriptor, events in self._epoll.poll(0, EVENTS_AT_ONCE):
            exchange = self._open.get(descriptor)
            if exchange is None:  # ended by an earlier event of this round
                continue
            try:
                self._act(descriptor, exchange, events)
            except Exception as error:  # noqa: BLE001 - one answer must not cost those that came with it
                self._break(descriptor, exchange, error)

    def _break(self, descriptor: int, exchange: _Exchange, error: Exception) -> None:
        """End an exchange for an error: a broken connection's, or one that goes to whoever waits."""
        if isinstance(error, HttpParserError):
            self._fail(descriptor, NotPlain())
        elif isinstance(error, OSError):
            self._end(descriptor, _broken(exchange, error))
        else:
            self._fail(descriptor, error)

    def _act(self, descriptor: int, exchange: _Exchange, events: int) -> None:
        if not exchange.connected:
            number = exchange.link.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            if number:
                self._end(descriptor, connect_failure(number, exchange.ip, os.strerror(number)))
                return
            if not events & select.EPOLLOUT:
                return
            exchange.connected = monotonic()
        if exchange.unsent and events & select.EPOLLOUT:
            exchange.unsent = exchange.unsent[exchange.link.send(exchange.unsent) :]
        if events & (select.EPOLLIN | ENDING):
            if events & ENDING:
                exchange.has_ending = True
            if not exchange.is_resting:
                self._read(descriptor, exchange)

    def _read(self, descriptor: int, exchange: _Exchange) -> None:
        answer, reads = exchange.answer, 0
        while not answer.is_over:
            if reads == READS_IN_A_ROW:
                exchange.is_resting = True
                self._loop.call_soon(self._read_on, descriptor, exchange)
                return
            reads += 1
            try:
                data = exchange.link.recv(CHUNK)
            except BlockingIOError:
                return
            if not data:
                self._end(descriptor, None if answer.end() else _cut_off(exchange))
                return
            if not exchange.first_byte:
                exchange.first_byte = monotonic()
            answer.feed(data)
            if len(data) < CHUNK and not exchange.has_ending:
                break  # that was all; what comes next is a new edge
        if answer.is_over:
            self._end(descriptor, _failure(answer))

    def _read_on(self, descriptor: int, exchange: _Exchange) -> None:
        """Read what is left after a rest; its edge has gone by."""
        if self._open.get(descriptor) is not exchange:  # ended meanwhile
            return
        exchange.is_resting = False
        try:
            self._read(descriptor, exchange)
        except Exception as error:  # noqa: BLE001 - it goes to the one who waits
            self._break(descriptor, exchange, error)

    def _run_out(self, descriptor: int) -> None:
        exchange = self._open[descriptor]
        if not exchange.connected:
            self._end(descriptor, Failure("connect_timeout"))
        else:
            self._end(descriptor, Failure("transfer_timeout" if exchange.answer.has_begun else "timeout"))

    def _end(self, descriptor: int, failure: Failure | None) -> None:
        reply = self._open[descriptor].reply(failure)
        exchange = self._close(descriptor)
        if not exchange.future.done():
            exchange.future.set_result(reply)

    def _fail(self, descriptor: int, error: Exception) -> None:
        exchange = self._close(descriptor)
        if not exchange.future.done():
            exchange.future.set_exception(error)

    def _close(self, descriptor: int) -> _Exchange:
        exchange = self._open.pop(descriptor)
        if exchange.timer is not None:
            exchange.timer.cancel()
        exchange.answer.forget()
        exchange.link.close()  # which takes it out of the epoll set
        return exchange


def _failure(answer: PlainAnswer) -> Failure | None:
    """Name what is wrong with an answer that is over."""
    if answer.is_crowded:
        return NO_ROOM
    return Failure("header_flood") if answer.is_flood else None


def _unsent(failure: Failure) -> Reply:
    return Reply(failure, 0, "", "", b"", False, "", "", None, 0, 0, 0, 0, 0, 0)


def _broken(exchange: _Exchange, error: OSError) -> Failure:
    detail = error.strerror or type(error).__name__
    if not exchange.connected or error.errno in OWN_ERRORS:
        return connect_failure(error.errno or 0, exchange.ip, detail)
    return Failure("connection_lost", {"detail": detail})


def _cut_off(exchange: _Exchange) -> Failure:
    """Name an end of the connection before the end of the answer."""
    detail = "closed early"
    return Failure("connection_lost" if exchange.first_byte else "empty_response", {"detail": detail})
