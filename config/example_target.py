"""A service to watch and to break: ``python -m config.example_target PORT`` (standard library only).

``GET /health`` answers 200, or 503 while broken. The page at ``/`` has the buttons; ``POST /break`` and ``POST /mend`` are
what they press. ``POST /break?seconds=60`` mends itself after that time.
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MAX_SECONDS = 3_600
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Example service</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; }}
main {{ max-width: 26rem; padding: 2rem; text-align: center; }}
strong {{ display: block; font-size: 2rem; margin: 1rem 0; color: {colour}; }}
button {{ font: inherit; padding: .75rem 1.5rem; border-radius: .5rem; border: 1px solid; cursor: pointer; }}
</style>
</head>
<body>
<main>
<h1>Example service</h1>
<strong>{word}</strong>
<form method="post" action="{action}"><button>{button}</button></form>
<p>Obsera watches this service. Press the button and look at the dashboard and at the status page.</p>
</main>
</body>
</html>
"""


class Health:
    """Whether the service is well; a break may have an end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._broken_until = 0.0

    def is_broken(self) -> bool:
        with self._lock:
            return time.monotonic() < self._broken_until

    def break_for(self, seconds: float) -> None:
        with self._lock:
            self._broken_until = time.monotonic() + seconds

    def mend(self) -> None:
        self.break_for(0)


class Handler(BaseHTTPRequestHandler):
    """Answers the four addresses."""

    health: Health
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        is_broken = self.health.is_broken()
        if path == "/health":
            self._answer(503 if is_broken else 200, "text/plain", "broken\n" if is_broken else "ok\n")
        elif path == "/":
            words = {"colour": "#c92a2a", "word": "Broken", "action": "/mend", "button": "Mend it"}
            if not is_broken:
                words = {"colour": "#2b8a3e", "word": "All is well", "action": "/break", "button": "Break it"}
            self._answer(200, "text/html; charset=utf-8", PAGE.format(**words))
        else:
            self._answer(404, "text/plain", "not found\n")

    def do_POST(self) -> None:
        self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 10_000))
        url = urlsplit(self.path)
        if url.path == "/break":
            wanted = parse_qs(url.query).get("seconds", ["3600"])[0]
            self.health.break_for(min(int(wanted), MAX_SECONDS) if wanted.isdigit() else MAX_SECONDS)
        elif url.path == "/mend":
            self.health.mend()
        else:
            self._answer(404, "text/plain", "not found\n")
            return
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, status: int, content_type: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: it is asked every few seconds."""


def serve(port: int) -> ThreadingHTTPServer:
    """Return the service listening on loopback, not yet answering (``serve_forever``)."""
    handler = type("ExampleHandler", (Handler,), {"health": Health()})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    return server


if __name__ == "__main__":
    serve(int(sys.argv[1])).serve_forever()
