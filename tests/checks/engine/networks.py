"""A probe's network in a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from apps.checks.engine.network import LoopNetwork
from apps.checks.engine.resolver import HostResolver, Lookup, system_lookup
from apps.checks.types.base import ProbeFailure, TlsSettings
from tests.checks.engine.probing import PATIENCE


@asynccontextmanager
async def network(
    *, timeout: float = PATIENCE, allow_private: bool = True, lookup: Lookup = system_lookup
) -> AsyncIterator[LoopNetwork]:
    resolver = HostResolver(lookup)
    net = LoopNetwork(resolver, timeout_seconds=timeout, allow_private=allow_private)
    try:
        yield net
    finally:
        net.close()
        resolver.close()


async def failure_of(net: LoopNetwork, host: str, port: int, tls: TlsSettings | None = None) -> ProbeFailure:
    with pytest.raises(ProbeFailure) as caught:
        await net.open(host, port, tls=tls)
    return caught.value
