"""The product behind a real web server, on the test's own database."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from django.core.asgi import get_asgi_application
from django.db import connections

from tests.peers.process import free_port


@contextmanager
def serving_product(port: int = 0) -> Iterator[str]:
    """Serve the pages and the API on one event loop; yields the address. The test must use `transactional_db`."""
    kept = connections["default"].settings_dict["CONN_MAX_AGE"]
    connections["default"].settings_dict["CONN_MAX_AGE"] = 0  # the server's threads end with their requests
    port = port or free_port()
    server = uvicorn.Server(
        uvicorn.Config(get_asgi_application(), port=port, lifespan="off", log_config=None, timeout_graceful_shutdown=60)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        connections["default"].settings_dict["CONN_MAX_AGE"] = kept
