"""The web process: uvicorn on sockets that the supervisor keeps open.

While this process is restarted, connections wait in the kernel's queue and are not refused.
Called as `python -m config.run.web FD…`.
"""

from __future__ import annotations

import socket
import sys

import uvicorn

from config import env
from config.asgi import application  # sets Django up: before all that needs it
from config.run.lane import IDLE_SECONDS, pings_first

GRACEFUL_SECONDS = 3


def main(descriptors: list[str]) -> None:
    """Serve the product on the inherited listening sockets."""
    configuration = uvicorn.Config(
        application,
        http=pings_first(application),
        lifespan="on",  # the ping door says when it opens, and stores what waits before it closes
        # A client could write itself any address, unless a proxy of ours is known to stand in front.
        proxy_headers=env.flag("TRUST_PROXY", default=False),
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        # Live messages are tiny and go one way: compressing them costs each socket memory and time for nothing.
        ws_per_message_deflate=False,
        ws_max_size=65_536,
    )
    listeners = [socket.socket(fileno=int(descriptor)) for descriptor in descriptors]
    uvicorn.Server(configuration).run(sockets=listeners)


if __name__ == "__main__":
    main(sys.argv[1:])
