"""Connections of a probe: bytes and datagrams, each bounded in time and size."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter

from apps.checks.engine.secure import SecureChannel
from apps.checks.types.base import Phases, ProbeFailure, TlsSettings
from apps.core.http import failures
from apps.core.http.curl import MEBIBYTE
from apps.core.http.failures import NO_IPV6, OWN_ERRORS, UNPRINTABLE, Failure

MAX_RECEIVED = MEBIBYTE  # from one connection: an endless answer ends here
CHUNK = 65_536
READS_IN_A_ROW = 16  # without a turn for others: reading what is there already does not wait


def ms_since(began: float) -> float:
    """Return the milliseconds since ``began`` (of `perf_counter`), rounded to a hundredth."""
    return round((perf_counter() - began) * 1_000, 2)


def plus(so_far: float | None, more: float | None) -> float | None:
    """Add to a phase."""
    return so_far if more is None else round((so_far or 0.0) + more, 2)


def connect_failure(error: OSError, ip: str) -> ProbeFailure:
    """Name why no connection to ``ip`` came about."""
    detail = UNPRINTABLE.sub(" ", error.strerror or type(error).__name__)[:200]
    return _as_probes(failures.connect_failure(error.errno or 0, ip, detail))


def socket_failure(error: OSError, ip: str) -> ProbeFailure:
    """Name why no socket could be opened to reach ``ip``."""
    return _as_probes(failures.socket_failure(error, ip))


def speaking_for_all(failed: Sequence[ProbeFailure]) -> ProbeFailure:
    """Return which of several addresses' failures says why none was reached.

    Trouble of this machine's comes first: not all were asked. Of the others the last one, as it is the one that was meant
    to be the way round; but that we have no IPv6 says nothing where an IPv4 address was asked.
    """

    def weight(failure: ProbeFailure) -> int:
        if not failure.is_ours:
            return 1
        return 0 if failure.code == NO_IPV6 else 2

    return max(reversed(failed), key=weight)


def _as_probes(failure: Failure) -> ProbeFailure:
    return ProbeFailure(failure.code, failure.values, is_ours=failure.is_ours)


class Connection:
    """What a stream and a datagram socket share: the socket, its clock, and the first answer's time."""

    def __init__(
        self, link: socket.socket, phases: Phases, *, remote_ip: str, deadline: float, dns_ms: float | None
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = link
        self._phases = phases
        self._deadline = deadline
        self._ready_at = perf_counter()
        self._received = 0
        self._reads = 0
        self.remote_ip = remote_ip  # not the socket's word: one that was reset at once has forgotten whom it spoke with
        self.dns_ms = dns_ms
        phases.remote_ip = self.remote_ip

    def close(self) -> None:
        self._socket.close()

    async def _receive(self, limit: int) -> bytes:
        """Return what comes next; fails where the time runs out or the connection breaks."""
        try:
            async with asyncio.timeout_at(self._deadline):
                data = await self._loop.sock_recv(self._socket, limit)
        except TimeoutError as error:
            raise ProbeFailure("transfer_timeout" if self._received else "timeout") from error
        except ConnectionRefusedError as error:  # what a closed UDP port makes of the next read
            raise ProbeFailure("connect_refused") from error
        except OSError as error:
            raise self._broken(error) from error
        self._reads += 1
        if not self._reads % READS_IN_A_ROW:
            await asyncio.sleep(0)
        self._received += len(data)
        return data

    def _broken(self, error: OSError) -> ProbeFailure:
        """Name a connection's end."""
        if error.errno in OWN_ERRORS:
            return connect_failure(error, self.remote_ip)
        return ProbeFailure("connection_lost" if self._received else "empty_response")

    def _count(self, data: bytes) -> None:
        """Note an answer's arrival and size."""
        if self._phases.first_byte_ms is None and data:
            self._phases.first_byte_ms = ms_since(self._ready_at)
        self._phases.received_bytes += len(data)

    async def _send(self, data: bytes) -> None:
        try:
            async with asyncio.timeout_at(self._deadline):
                await self._loop.sock_sendall(self._socket, data)
        except TimeoutError as error:
            raise ProbeFailure("timeout") from error
        except ConnectionRefusedError as error:
            raise ProbeFailure("connect_refused") from error
        except OSError as error:
            own = error.errno in OWN_ERRORS
            raise connect_failure(error, self.remote_ip) if own else ProbeFailure("connection_lost") from error


class LoopStream(Connection):
    """The `Stream` of a probe loop."""

    def __init__(
        self,
        link: socket.socket,
        phases: Phases,
        *,
        remote_ip: str,
        deadline: float,
        dns_ms: float | None,
        connect_ms: float,
        host: str,
    ) -> None:
        super().__init__(link, phases, remote_ip=remote_ip, deadline=deadline, dns_ms=dns_ms)
        self._host = host
        self._channel: SecureChannel | None = None
        self._buffer = bytearray()
        self._total = 0
        self._has_ended = False
        self.connect_ms = connect_ms
        self.tls_ms: float | None = None

    async def write(self, data: bytes) -> None:
        if self._channel is None:
            await self._send(data)
            return
        self._channel.write(data)
        await self._send(self._channel.take())

    async def read_some(self, limit: int = CHUNK) -> bytes:
        if not self._buffer:
            await self._fill()
        return self._cut(min(limit, len(self._buffer)))

    async def read_exactly(self, size: int) -> bytes:
        if size > MAX_RECEIVED:
            raise ProbeFailure("answer_too_large", {"limit": MAX_RECEIVED})
        while len(self._buffer) < size:
            await self._fill_or_fail()
        return self._cut(size)

    async def read_until(self, separator: bytes, *, limit: int = CHUNK) -> bytes:
        seen = 0
        while (at := self._buffer.find(separator, max(0, seen - len(separator) + 1))) < 0:
            seen = len(self._buffer)
            if seen >= limit:
                raise ProbeFailure("answer_too_large", {"limit": limit})
            await self._fill_or_fail()
        if at + len(separator) > limit:
            raise ProbeFailure("answer_too_large", {"limit": limit})
        return self._cut(at + len(separator))

    async def start_tls(self, tls: TlsSettings) -> None:
        if self._buffer:  # sent in clear and read as if it had come protected: never
            raise ProbeFailure("tls_failed", {"detail": "data before the handshake"})
        began = perf_counter()
        channel = SecureChannel(tls, self._host)
        try:
            while not channel.shake():
                await self._send(channel.take())
                channel.feed(await self._receive(CHUNK))
            await self._send(channel.take())
        except ProbeFailure as failure:
            await self._say_goodbye(channel)
            raise _of_handshake(failure) from failure
        self._channel = channel
        self.tls_ms = ms_since(began)
        self._phases.tls_ms = plus(self._phases.tls_ms, self.tls_ms)
        self._phases.certificates = channel.certificates()
        self._ready_at = perf_counter()

    def certificates(self) -> tuple[bytes, ...]:
        return self._channel.certificates() if self._channel else ()

    def tls_version(self) -> str:
        return self._channel.version() if self._channel else ""

    def alpn(self) -> str:
        return self._channel.alpn() if self._channel else ""

    async def _say_goodbye(self, channel: SecureChannel) -> None:
        """Tell the server why the handshake ends, if it still listens."""
        with suppress(OSError):
            self._socket.send(channel.take())

    async def _fill(self) -> None:
        """Add to the buffer what comes next; nothing at the end of the stream."""
        if self._has_ended:
            return
        data = await (self._receive(CHUNK) if self._channel is None else self._decrypted(self._channel))
        self._count(data)
        self._total += len(data)
        if self._total > MAX_RECEIVED:
            raise ProbeFailure("answer_too_large", {"limit": MAX_RECEIVED})
        self._has_ended = not data
        self._buffer += data

    async def _decrypted(self, channel: SecureChannel) -> bytes:
        while (data := channel.read(CHUNK)) is None:
            if pending := channel.take():
                await self._send(pending)
            channel.feed(await self._receive(CHUNK))
        return data

    async def _fill_or_fail(self) -> None:
        await self._fill()
        if self._has_ended:
            raise ProbeFailure("connection_lost" if self._total else "empty_response")

    def _cut(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


class LoopDatagrams(Connection):
    """The `Datagrams` of a probe loop."""

    def _broken(self, error: OSError) -> ProbeFailure:
        """Name what a router, or the target itself, said of an earlier datagram."""
        return connect_failure(error, self.remote_ip)

    async def send(self, data: bytes) -> None:
        await self._send(data)

    async def receive(self, limit: int = 65_535) -> bytes:
        data = await self._receive(limit)
        self._count(data)
        if self._phases.received_bytes > MAX_RECEIVED:
            raise ProbeFailure("answer_too_large", {"limit": MAX_RECEIVED})
        return data


def _of_handshake(failure: ProbeFailure) -> ProbeFailure:
    """Return the failure as one of the handshake."""
    if failure.code in {"timeout", "transfer_timeout"}:
        return ProbeFailure("tls_timeout")
    if failure.code in {"connection_lost", "empty_response"}:
        return ProbeFailure("tls_failed", {"detail": "connection closed"})
    return failure
