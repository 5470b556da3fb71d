"""The way out below HTTP: resolve, judge every address, then connect to the first that answers."""

import asyncio
import socket
from collections.abc import Coroutine
from copy import copy
from time import monotonic, perf_counter
from typing import Any

from apps.checks.engine.icmp import EchoSeries, open_echo_socket
from apps.checks.engine.resolver import HostResolver, LookupFailed, NameNotFound
from apps.checks.engine.stream import (
    LoopDatagrams,
    LoopStream,
    connect_failure,
    ms_since,
    plus,
    socket_failure,
    speaking_for_all,
)
from apps.checks.types.base import Phases, Pings, ProbeFailure, TlsSettings
from apps.core.http.guard import forbidden_reason
from apps.core.http.urls import BadUrl, check_host

STAGGER_SECONDS = 0.25  # RFC 8305's advice for when the next address is tried beside a slow one
MAX_ADDRESSES = 6  # that are tried of one name

Connected = tuple[str, socket.socket]  # to which address


class LoopNetwork:
    """The `Network` of one probe. All that it opened is closed by `close`."""

    def __init__(self, resolver: HostResolver, *, timeout_seconds: float, allow_private: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._resolver = resolver
        self._allow_private = allow_private
        self._deadline = self._loop.time() + timeout_seconds
        self._sockets: list[socket.socket] = []
        self.phases = Phases()

    def beside(self) -> "LoopNetwork":
        """Return a copy that measures for itself; what it opens is closed with this one's."""
        other = copy(self)
        other.phases = Phases()
        return other

    def seconds_left(self) -> float:
        return self._deadline - self._loop.time()

    def close(self) -> None:
        """Close every connection of the probe."""
        for link in self._sockets:
            link.close()

    async def resolve(self, host: str) -> tuple[tuple[str, ...], float | None]:
        """Return the addresses of ``host`` that may be connected to; fails where there is none."""
        name, literal = _ascii_host(host)
        addresses, dns_ms = ((literal,), None) if literal else await self._look_up(name)
        self.phases.dns_ms = plus(self.phases.dns_ms, dns_ms)
        reasons = [(ip, forbidden_reason(ip, allow_private=self._allow_private)) for ip in addresses]
        allowed = tuple(ip for ip, reason in reasons if reason is None)
        if not allowed:
            ip, reason = reasons[0]
            raise ProbeFailure("address_forbidden", {"address": ip, "reason": reason or ""})
        return allowed, dns_ms

    async def open(self, host: str, port: int, *, tls: TlsSettings | None = None) -> LoopStream:
        """Connect to ``host``; with ``tls``, secure the connection before anything else."""
        addresses, dns_ms = await self.resolve(host)
        began = perf_counter()
        try:
            async with asyncio.timeout_at(self._deadline):
                ip, link = await self._connect_any(addresses[:MAX_ADDRESSES], port)
        except TimeoutError as error:
            raise ProbeFailure("connect_timeout") from error
        connect_ms = ms_since(began)
        self.phases.connect_ms = plus(self.phases.connect_ms, connect_ms)
        name, _literal = _ascii_host(host)
        stream = LoopStream(
            link,
            self.phases,
            remote_ip=ip,
            deadline=self._deadline,
            dns_ms=dns_ms,
            connect_ms=connect_ms,
            host=name,
        )
        if tls is not None:
            await stream.start_tls(tls)
        return stream

    async def open_datagrams(self, host: str, port: int) -> LoopDatagrams:
        """Return a UDP socket that speaks with the first usable address of ``host`` alone."""
        addresses, dns_ms = await self.resolve(host)
        failed: list[ProbeFailure] = []
        for ip in addresses[:MAX_ADDRESSES]:
            try:
                link = self._socket(ip, port, socket.SOCK_DGRAM)
                link.connect((ip, port))  # sends nothing: it only finds the route
            except ProbeFailure as failure:
                failed.append(failure)
            except OSError as error:
                failed.append(connect_failure(error, ip))
            else:
                return LoopDatagrams(link, self.phases, remote_ip=ip, deadline=self._deadline, dns_ms=dns_ms)
        raise speaking_for_all(failed)

    async def ping(self, host: str, *, count: int, interval_seconds: float, wait_seconds: float, size: int) -> Pings:
        """Ping the first usable address of ``host``."""
        addresses, _dns_ms = await self.resolve(host)
        ip = addresses[0]
        series = EchoSeries(open_echo_socket(ip, self._guard), deadline=self._deadline)
        self._sockets.append(series.link)
        self.phases.remote_ip = ip
        trips = await series.run(count, interval_seconds, wait_seconds, size)
        first = next((trip for trip in trips if trip is not None), None)
        self.phases.first_byte_ms = first
        return Pings(ip, trips)

    async def _look_up(self, name: str) -> tuple[tuple[str, ...], float]:
        began, asked_at = perf_counter(), monotonic()
        try:
            async with asyncio.timeout_at(self._deadline):
                answer = await self._resolver.resolve(name)
        except TimeoutError as error:
            self.phases.dns_ms = plus(self.phases.dns_ms, ms_since(began))
            late = self._resolver.why_late(name, since=asked_at)
            raise ProbeFailure(late.code, late.values, is_ours=late.is_ours) from error
        except LookupFailed as error:
            self.phases.dns_ms = plus(self.phases.dns_ms, ms_since(began))
            code = "resolver_failure" if error.is_ours else "dns_no_answer"
            values = {"host": name, "detail": str(error)[:200]}
            raise ProbeFailure(code, values, is_ours=error.is_ours) from error
        except NameNotFound as error:
            self.phases.dns_ms = plus(self.phases.dns_ms, ms_since(began))
            raise ProbeFailure("dns_failure", {"host": name, "detail": str(error)[:200]}) from error
        return answer.addresses, round(answer.took_us / 1_000, 2)

    async def _connect_any(self, addresses: tuple[str, ...], port: int) -> Connected:
        """Return the first connection that comes about: the next address starts when one fails or dawdles."""
        if len(addresses) == 1:
            return await self._connect(addresses[0], port)
        waiting = [self._connect(ip, port) for ip in addresses]
        attempts: list[asyncio.Task[Connected]] = []
        try:
            return await self._race(waiting, attempts)
        finally:
            for attempt in attempts:
                attempt.cancel()
            await asyncio.gather(*attempts, return_exceptions=True)  # a socket is closed after its last watcher only
            for unused in waiting:
                unused.close()

    async def _race(
        self, waiting: list[Coroutine[Any, Any, Connected]], attempts: list[asyncio.Task[Connected]]
    ) -> Connected:
        running: set[asyncio.Task[Connected]] = set()
        while waiting or running:
            if waiting:
                attempt = self._loop.create_task(waiting.pop(0))
                attempts.append(attempt)
                running.add(attempt)
            done, running = await asyncio.wait(
                running, timeout=STAGGER_SECONDS if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                if attempt.exception() is None:
                    return attempt.result()
        raise speaking_for_all([_failure(attempt) for attempt in attempts])

    async def _connect(self, ip: str, port: int) -> Connected:
        link = self._socket(ip, port, socket.SOCK_STREAM)
        try:
            await self._loop.sock_connect(link, (ip, port))
        except OSError as error:
            link.close()
            raise connect_failure(error, ip) from error
        except asyncio.CancelledError:
            link.close()
            raise
        return ip, link

    def _socket(self, ip: str, port: int, kind: int) -> socket.socket:
        """Return a socket for ``ip``, unless the guard refuses it. This is the last look before anything is sent."""
        self._guard(ip, port)
        try:
            link = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, kind)
        except OSError as error:
            raise socket_failure(error, ip) from error
        link.setblocking(False)
        if kind == socket.SOCK_STREAM:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets.append(link)
        return link

    def _guard(self, ip: str, port: int = 0) -> None:
        reason = forbidden_reason(ip, allow_private=self._allow_private, port=port)
        if reason is not None:
            raise ProbeFailure("address_forbidden", {"address": ip, "reason": reason})


def _failure(attempt: asyncio.Task[Connected]) -> ProbeFailure:
    """Return why an attempt that has ended failed; raises what is no failure of a connection."""
    error = attempt.exception()
    if isinstance(error, ProbeFailure):
        return error
    raise error or AssertionError(attempt)


def _ascii_host(host: str) -> tuple[str, str | None]:
    """Return the name as DNS and certificates spell it, and the address where it is one."""
    try:
        return check_host(host.strip("[]"))
    except BadUrl as error:
        raise ProbeFailure("dns_failure", {"host": host, "detail": error.code}) from error
