"""A registry on this machine that answers as RFC 9083 has it, beside IANA's file that leads to it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from apps.checks.types import rdap
from apps.core import clock
from tests.peers.web import Web, answer, serving

SERVERS = ["ns1.example.net", "NS2.example.net."]


def registered(ends: datetime | str | None, **parts: Any) -> dict[str, Any]:
    events = [{"eventAction": "registration", "eventDate": "2001-02-03T04:05:06Z"}]
    if ends is not None:
        events.append({"eventAction": "expiration", "eventDate": ends if isinstance(ends, str) else ends.isoformat()})
    return {
        "objectClassName": "domain",
        "ldhName": "EXAMPLE.TEST",
        "events": events,
        "status": ["active", "client transfer prohibited"],
        "nameservers": [{"objectClassName": "nameserver", "ldhName": name} for name in SERVERS],
        "entities": [
            {"roles": ["abuse"], "vcardArray": ["vcard", [["fn", {}, "text", "Abuse"]]]},
            {
                "roles": ["registrar"],
                "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", "Reg Ltd"]]],
            },
        ],
        **parts,
    }


@contextmanager
def registry(
    monkeypatch: pytest.MonkeyPatch, reply: Callable[[str], bytes], *, services: Any = None
) -> Iterator[tuple[Web, list[str]]]:
    """Serve IANA's file and a registry for ``.test``; ``reply`` gets the path below its address."""
    asked: list[str] = []

    def serve(connection: Any, request: bytes) -> None:
        path = request.split(b" ")[1].decode()
        asked.append(path)
        if path == "/dns.json":
            entries = services or [[["other"], ["http://127.0.0.1:9/"]], [["test", "uk"], [web.url("/rdap")]]]
            connection.sendall(answer(200, json.dumps({"services": entries}).encode()))
        else:
            connection.sendall(reply(path.removeprefix("/rdap/")))

    with serving(serve) as web:
        monkeypatch.setattr(rdap, "BOOTSTRAP_URL", web.url("/dns.json"))
        yield web, asked


def always(document: Any) -> Callable[[str], bytes]:
    return lambda _path: answer(200, json.dumps(document).encode())


def until_in(days: int) -> datetime:
    return (clock.now() + timedelta(days=days, hours=1)).replace(microsecond=0)
