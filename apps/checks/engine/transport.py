"""HTTP on the engine's loop: resolve, then send to the addresses found."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

from apps.checks.engine.driver import CurlDriver
from apps.checks.engine.plain import NotPlain, PlainDriver
from apps.checks.engine.plain_request import is_plain
from apps.checks.engine.resolver import HostResolver, LookupFailed, NameNotFound
from apps.checks.types.base import Exchange, ProbeContext
from apps.core.http.curl import Limits, OutboundRequest, Reply, pin
from apps.core.http.failures import Failure
from apps.core.http.guard import forbidden_reason
from apps.core.http.urls import ParsedUrl

NOT_PLAIN_KEPT = 1_000


class LoopTransport:
    """The `HttpTransport` of a probe loop."""

    def __init__(self, driver: CurlDriver, plain: PlainDriver, resolver: HostResolver) -> None:
        self._driver = driver
        self._plain = plain
        self._resolver = resolver
        self._not_plain: set[str] = set()

    async def exchange(
        self, request: OutboundRequest, address: ParsedUrl, *, context: ProbeContext, timeout_seconds: float
    ) -> Exchange:
        """Send ``request``; the time for the lookup counts as time of the request.

        Where a proxy is used, it is the proxy that is looked up and connected to. The target's name is then the proxy's
        to look up; a target written as an address is still judged here, since that costs nothing.
        """
        limits = Limits(
            timeout_seconds=timeout_seconds,
            allow_private=context.allow_private,
            reads_certificate=context.reads_certificate,
        )
        began = monotonic()
        proxy = request.extras.proxy if request.extras is not None else None
        host, port, literal_ip = address.host, address.port, address.literal_ip
        if proxy is not None:
            reason = literal_ip and forbidden_reason(literal_ip, allow_private=context.allow_private, port=port)
            if literal_ip and reason:
                return _unresolved(Failure("address_forbidden", {"address": literal_ip, "reason": reason}), began)
            host, port, literal_ip = proxy.host, proxy.port, proxy.literal_ip
        if literal_ip is not None:
            return Exchange(await self._send(request, address, (literal_ip,), limits), 0)
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._resolver.resolve(host)
        except TimeoutError:
            return _unresolved(self._resolver.why_late(host, since=began), began)
        except LookupFailed as error:
            code = "resolver_failure" if error.is_ours else "dns_no_answer"
            values: dict[str, str | int] = {"host": host, "detail": str(error)[:200]}
            return _unresolved(Failure(code, values, is_ours=error.is_ours), began)
        except NameNotFound as error:
            return _unresolved(Failure("dns_failure", {"host": host, "detail": str(error)[:200]}), began)
        left = max(0.001, timeout_seconds - (monotonic() - began))
        limits = replace(limits, timeout_seconds=left, pinned=pin(host, port, answer.addresses))
        return Exchange(await self._send(request, address, answer.addresses, limits), answer.took_us)

    async def _send(
        self, request: OutboundRequest, address: ParsedUrl, addresses: Sequence[str], limits: Limits
    ) -> Reply:
        """Take the cheap way where there is one. Of several addresses libcurl tries the next while one is slow."""
        if len(addresses) > 1 or not is_plain(request, address) or address.host in self._not_plain:
            return await self._driver.send(request, limits)
        began = monotonic()
        try:
            return await self._plain.send(request, address, addresses[0], limits)
        except NotPlain:
            if len(self._not_plain) >= NOT_PLAIN_KEPT:
                self._not_plain.clear()
            self._not_plain.add(address.host)
        left = max(0.001, limits.timeout_seconds - (monotonic() - began))
        return await self._driver.send(request, replace(limits, timeout_seconds=left))


def _unresolved(failure: Failure, began: float) -> Exchange:
    reply = Reply(
        failure=failure,
        status=0,
        http_version="",
        remote_ip="",
        body=b"",
        is_truncated=False,
        content_type="",
        redirect_url="",
        cert_expires_at=None,
        resolved_us=0,
        connected_us=0,
        secured_us=0,
        sent_us=0,
        first_byte_us=0,
        total_us=0,
    )
    return Exchange(reply, int((monotonic() - began) * 1_000_000))
