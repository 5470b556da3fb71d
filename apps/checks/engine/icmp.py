"""Echo requests (ping): privileged by a raw socket, or unprivileged by ICMP's own datagram socket."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from time import perf_counter

from apps.checks.engine.stream import READS_IN_A_ROW, connect_failure, socket_failure
from apps.checks.types.base import ProbeFailure
from apps.core.http.failures import OWN_ERRORS

ECHO_REQUEST, ECHO_REPLY = 8, 0
ECHO_REQUEST_6, ECHO_REPLY_6 = 128, 129
HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
TOKEN_BYTES = 8  # of the data, so that a reply to somebody else's request is not taken for ours
MAX_ERRORS = 100  # from routers on the way to one target
# Linux: https://man7.org/linux/man-pages/man7/raw.7.html and RFC 3542
SOL_RAW, ICMP_FILTER = 255, 1
SOL_ICMPV6, ICMP6_FILTER = 58, 1


def open_echo_socket(ip: str, guard: Callable[[str], None]) -> socket.socket:
    """Return a socket that exchanges echoes with ``ip`` alone; raises `ProbeFailure`."""
    guard(ip)
    link = _open(ip)
    link.setblocking(False)
    try:
        link.connect((ip, 0))  # the kernel then passes on what comes from there, and errors on the way
    except OSError as error:
        link.close()
        raise connect_failure(error, ip) from error
    return link


def _open(ip: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            link = socket.socket(family, kind, protocol)
        except PermissionError:
            continue
        except OSError as error:
            raise socket_failure(error, ip) from error
        if kind == socket.SOCK_RAW:
            _pass_replies_only(link)
        return link
    raise ProbeFailure("icmp_not_allowed", is_ours=True)


def _pass_replies_only(link: socket.socket) -> None:
    """Leave all but echo replies to others: a raw socket gets everything that the machine gets."""
    if link.family == socket.AF_INET6:
        blocked = bytearray(b"\xff" * 32)
        words = list(struct.unpack("=8I", blocked))
        words[ECHO_REPLY_6 >> 5] &= ~(1 << (ECHO_REPLY_6 & 31))
        link.setsockopt(SOL_ICMPV6, ICMP6_FILTER, struct.pack("=8I", *words))
    else:
        link.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("=I", 0xFFFFFFFF & ~(1 << ECHO_REPLY)))


class EchoSeries:
    """One series of requests over a socket of `open_echo_socket`."""

    def __init__(self, link: socket.socket, *, deadline: float) -> None:
        self.link = link
        self._loop = asyncio.get_running_loop()
        self._deadline = deadline
        self._is_v6 = link.family == socket.AF_INET6
        self._is_raw = link.type == socket.SOCK_RAW
        self._identifier = int.from_bytes(os.urandom(2))  # a datagram socket's kernel writes its own
        self._token = os.urandom(TOKEN_BYTES)
        self._sent_at: list[float] = []
        self._trips: dict[int, float] = {}
        self._unsent: dict[int, OSError] = {}  # for want of room on this machine: they are not lost
        self._error: OSError | None = None

    async def run(
        self, count: int, interval_seconds: float, wait_seconds: float, size: int
    ) -> tuple[float | None, ...]:
        """Return the round trips in milliseconds. Raises `ProbeFailure` where no request could be sent at all."""
        listening = self._loop.create_task(self._listen(count))
        try:
            # Half of the time is for the answers at most: a request sent at the last moment would be lost by our doing.
            spare = min(wait_seconds, max(0.0, self._deadline - self._loop.time()) / 2)
            await self._send_all(count, interval_seconds, size, until=self._deadline - spare)
            async with asyncio.timeout_at(min(self._deadline, self._loop.time() + wait_seconds)):
                await asyncio.shield(listening)
        except TimeoutError:
            pass  # what has not come by now is lost
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)  # the socket is closed after its last reader only
        sent = [number for number in range(len(self._sent_at)) if number not in self._unsent]
        error = self._error if sent else self._unsent[0]  # what was sent has asked the target, whatever else was not
        if not self._trips and error is not None:
            raise connect_failure(error, self.link.getpeername()[0]) from error
        return tuple(self._trips.get(number) for number in sent)

    async def _send_all(self, count: int, interval_seconds: float, size: int, *, until: float) -> None:
        data = self._token + bytes(max(0, size - TOKEN_BYTES))
        for number in range(count):
            if number:
                if self._loop.time() + interval_seconds >= until:
                    return
                await asyncio.sleep(interval_seconds)
            self._sent_at.append(perf_counter())
            try:
                self.link.send(self._request(number, data))
            except OSError as error:
                if error.errno in OWN_ERRORS:
                    self._unsent[number] = error
                else:  # no route, say: this one is lost
                    self._error = error

    async def _listen(self, count: int) -> None:
        errors = heard = 0
        while len(self._trips) < count and errors < MAX_ERRORS:
            try:
                packet = await self._loop.sock_recv(self.link, 65_535)
            except OSError as error:  # such as a router's word that nobody is there
                self._error = error
                errors += 1
                continue
            self._take(packet, perf_counter())
            heard += 1
            if not heard % READS_IN_A_ROW:  # a flood is always there already, and would let nobody else have a turn
                await asyncio.sleep(0)

    def _request(self, number: int, data: bytes) -> bytes:
        kind = ECHO_REQUEST_6 if self._is_v6 else ECHO_REQUEST
        header = HEADER.pack(kind, 0, 0, self._identifier, number)
        if self._is_v6:  # whose checksum covers addresses, and is the kernel's work
            return header + data
        return HEADER.pack(kind, 0, checksum(header + data), self._identifier, number) + data

    def _take(self, packet: bytes, at: float) -> None:
        """Note a reply, unless it is somebody else's."""
        if self._is_raw and not self._is_v6:  # the IP header comes along
            packet = packet[(packet[0] & 0x0F) * 4 :] if packet else packet
        if len(packet) < HEADER.size + TOKEN_BYTES:
            return
        kind, _code, _checksum, _identifier, number = HEADER.unpack_from(packet)
        is_reply = kind == (ECHO_REPLY_6 if self._is_v6 else ECHO_REPLY)
        if not is_reply or not packet.startswith(self._token, HEADER.size):
            return
        if number < len(self._sent_at) and number not in self._trips:
            self._trips[number] = round((at - self._sent_at[number]) * 1_000, 2)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
