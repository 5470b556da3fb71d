"""How the ping lane and uvicorn share the listening sockets: the lane sees each connection first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from apps.checks.consumers import PingDoor
from apps.checks.ping_lane import PingLane

IDLE_SECONDS = 5


class Behind:
    """uvicorn, as the ping lane asks for it."""

    idle_seconds: float = IDLE_SECONDS

    def __init__(self, config: uvicorn.Config, server_state: Any, app_state: dict[str, Any]) -> None:
        self.connections = server_state.connections
        # Set where `proxy_headers` put uvicorn's middleware in front.
        self.proxies = getattr(config.loaded_app, "trusted_hosts", None)
        uvicorns: Any = AutoHTTPProtocol
        self.take_over: Callable[[], asyncio.Protocol] = partial(
            uvicorns, config=config, server_state=server_state, app_state=app_state
        )
        self._state = server_state
        self._fields: list[tuple[bytes, bytes]] | None = None
        self._date = b""

    def date(self) -> bytes:
        """Return the fields that uvicorn puts into every answer; it renews the list each second."""
        if self._fields is not self._state.default_headers:
            self._fields = self._state.default_headers
            self._date = b"".join([b"%b: %b\r\n" % field for field in self._fields])
        return self._date


def pings_first(door: PingDoor) -> Any:
    """Return what uvicorn makes a protocol with: the ping lane, with uvicorn's own behind it."""
    servers: list[Behind] = []

    def connect(
        *, config: uvicorn.Config, server_state: Any, app_state: dict[str, Any], _loop: Any = None
    ) -> asyncio.Protocol:
        if not servers:
            servers.append(Behind(config, server_state, app_state))
        return PingLane(door.reception, servers[0])

    return connect
