"""HTTP on the engine's loop: resolve, then send to the addresses found."""

import asyncio
from dataclasses import replace
from time import monotonic

from apps.checks.engine.driver import CurlDriver
from apps.checks.engine.resolver import HostResolver, NameNotFound
from apps.checks.types.base import Exchange, ProbeContext
from apps.core.http.curl import Limits, OutboundRequest, Reply, pin
from apps.core.http.failures import Failure
from apps.core.http.urls import ParsedUrl


class LoopTransport:
    """The `HttpTransport` of a probe loop."""

    def __init__(self, driver: CurlDriver, resolver: HostResolver) -> None:
        self._driver = driver
        self._resolver = resolver

    async def exchange(
        self, request: OutboundRequest, address: ParsedUrl, *, context: ProbeContext, timeout_seconds: float
    ) -> Exchange:
        """Send ``request``; the time for the lookup counts as time of the request."""
        limits = Limits(
            timeout_seconds=timeout_seconds,
            allow_private=context.allow_private,
            reads_certificate=context.reads_certificate,
        )
        if address.literal_ip is not None:
            return Exchange(await self._driver.send(request, limits), 0)
        began = monotonic()
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._resolver.resolve(address.host)
        except TimeoutError:
            return _unresolved(Failure("dns_timeout", {"host": address.host}), began)
        except NameNotFound as error:
            return _unresolved(Failure("dns_failure", {"host": address.host, "detail": str(error)[:200]}), began)
        left = max(0.001, timeout_seconds - (monotonic() - began))
        pinned = pin(address.host, address.port, answer.addresses)
        return Exchange(
            await self._driver.send(request, replace(limits, timeout_seconds=left, pinned=pinned)), answer.took_us
        )


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
