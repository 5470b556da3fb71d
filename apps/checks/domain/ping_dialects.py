"""How jobs report: the addresses and answers of Healthchecks, Uptime Kuma and Gatus, so that theirs need a new host only.

Pure: a request is read into a ping, and a ping's fate is worded in the asker's way.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import parse_qs, unquote
from uuid import UUID

from apps.checks.domain.heartbeat_rules import Report
from apps.checks.domain.pings import Address, BySlug, Fate, NewPing
from apps.checks.models import MAX_BODY_BYTES
from apps.checks.types.heartbeat import PING_KEY, SLUG, Signal

MAX_EXIT_STATUS = 255
# As many as Healthchecks and Uptime Kuma read: a log that is sent as it is may hold an "&" in each of its lines.
MAX_FIELDS = 1_000
# Most tokens. A look costs a tenth of making a UUID of it.
CANONICAL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# RFC 9110: what a 503 and a 429 bring.
RETRY_AFTER_SECONDS = 5


@dataclass(slots=True)  # a frozen one costs three times as much to make
class Asked:
    """A request, reduced to what a ping is made of."""

    method: str
    path: str
    query: str
    source_ip: str | None
    agent: str = ""
    bearer: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Wording:
    """An answer: status, text, and header fields besides the usual ones."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


@lru_cache(maxsize=1_000)
def ip_of(host: str) -> str | None:
    """Return a sender's address; None for what is none. Its interface is left out: PostgreSQL knows no "fe80::1%eth0"."""
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


class Refused(Exception):
    """The request is no ping; ``wording`` says why."""

    def __init__(self, wording: Wording) -> None:
        super().__init__(wording.status)
        self.wording = wording


@dataclass(slots=True)
class Heeded:
    """A ping, where it goes ``otherwise`` if nobody has its address, and whether its heartbeat may be made if there is none."""

    ping: NewPing
    may_create: bool = False
    otherwise: Address | None = None


class Dialect(Protocol):
    """One product's way of reporting."""

    prefix: str

    def read(self, asked: Asked, at: datetime) -> Heeded:
        """Return the ping; raises `Refused`."""
        ...

    def word(self, fate: Fate, *, is_created: bool = False) -> Wording: ...

    def word_trouble(self, status: int, text: str) -> Wording:
        """Word a refusal that has nothing to do with the address: too many, too large, try again."""
        ...


def _one(query: Mapping[str, list[str]], name: str) -> str | None:
    return query[name][0] if name in query else None


def _query(asked: Asked, dialect: Dialect) -> Mapping[str, list[str]]:
    """Return what was asked for; raises `Refused` for what would have to be guessed."""
    if not asked.query:
        return {}
    try:
        return parse_qs(asked.query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Refused(dialect.word_trouble(400, f"more than {MAX_FIELDS} fields in the query")) from error


def _ping(
    asked: Asked, address: str | BySlug, report: Report, body: bytes, duration: timedelta | None = None
) -> NewPing:
    return NewPing(
        address=address,
        report=report,
        duration=duration,
        method=asked.method[:10],
        source_ip=asked.source_ip,
        agent=asked.agent[:200],
        body=body[:MAX_BODY_BYTES],
    )


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


# --- Healthchecks -------------------------------------------------------------------------------------------------------

ACTIONS = {"start": Signal.START, "fail": Signal.FAIL, "log": Signal.LOG}


def plain(status: int, text: str) -> Wording:
    """Return an answer as Healthchecks gives it."""
    headers = (
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"ping-body-limit", str(MAX_BODY_BYTES).encode()),
        (b"access-control-allow-origin", b"*"),
    )
    return Wording(status, text.encode(), headers)


class Healthchecks:
    """``/ping/<uuid>[/start|fail|log|<exit status>]`` and ``/ping/<ping key>/<slug>[/…]`` with ``?rid=`` and ``?create=1``."""

    prefix = "/ping/"
    WORDS: Mapping[Fate, Wording] = {
        Fate.STORED: plain(200, "OK"),
        Fate.NOT_FOUND: plain(404, "not found"),
        Fate.AMBIGUOUS: plain(409, "ambiguous slug"),
    }

    def read(self, asked: Asked, at: datetime) -> Heeded:
        parts = asked.path[len(self.prefix) :].rstrip("/").split("/")
        token = _token(parts[0])
        address: str | BySlug
        if token is not None:
            address, rest = token, parts[1:]
        elif len(parts) > 1 and PING_KEY.fullmatch(parts[0]) and SLUG.fullmatch(parts[1]):
            address, rest = BySlug(parts[0], parts[1]), parts[2:]
        else:
            raise Refused(plain(404, "not found"))
        query = _query(asked, self)
        signal, exit_status = _action(rest)
        report = Report(
            signal=signal,
            at=at,
            run_id=_run_id(_one(query, "rid")),
            exit_status=exit_status,
            is_post=asked.method == "POST",
            text=_text(asked.body) if asked.body else "",
        )
        may_create = isinstance(address, BySlug) and _one(query, "create") == "1"
        return Heeded(_ping(asked, address, report, asked.body), may_create)

    def word(self, fate: Fate, *, is_created: bool = False) -> Wording:
        return plain(201, "Created") if is_created and fate == Fate.STORED else self.WORDS[fate]

    def word_trouble(self, status: int, text: str) -> Wording:
        return plain(status, text)


class BareHealthchecks(Healthchecks):
    """The same without ``/ping``, as where it has a host of its own for pings: ``/<uuid>…`` and ``/<ping key>/<slug>…``.

    Nothing else of the product begins so.
    """

    prefix = "/"
    PATH = re.compile(
        r"/(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[A-Za-z0-9_-]{22}/[a-z0-9_-]{1,100})(?:/[a-z0-9]*/?)?"
    )


def _token(text: str) -> str | None:
    """Return a UUID as tokens are written; None for what is none."""
    if CANONICAL.fullmatch(text):
        return text
    found = _uuid(text)
    return str(found) if found else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if len(text) in (32, 36) else None
    except ValueError:
        return None


def _run_id(text: str | None) -> UUID | None:
    if text is None:
        return None
    found = _uuid(text)
    if found is None:
        raise Refused(plain(400, "invalid uuid format"))
    return found


def _action(rest: list[str]) -> tuple[Signal, int | None]:
    if not rest:
        return Signal.SUCCESS, None
    if len(rest) > 1:
        raise Refused(plain(404, "not found"))
    word = rest[0]
    if word in ACTIONS:
        return ACTIONS[word], None
    if not (word.isascii() and word.isdigit()):
        raise Refused(plain(404, "not found"))
    if len(word) > 3 or int(word) > MAX_EXIT_STATUS:
        raise Refused(plain(400, "invalid url format"))
    return Signal.SUCCESS, int(word)


# --- Uptime Kuma --------------------------------------------------------------------------------------------------------


def as_json(status: int, **values: object) -> Wording:
    """Return an answer as Uptime Kuma gives it."""
    return Wording(status, json.dumps(values).encode(), ((b"content-type", b"application/json; charset=utf-8"),))


class UptimeKuma:
    """``/api/push/<token>?status=up|down&msg=…&ping=<milliseconds>``."""

    prefix = "/api/push/"
    WORDS: Mapping[Fate, Wording] = {
        Fate.STORED: as_json(200, ok=True),
        Fate.NOT_FOUND: as_json(404, ok=False, msg="Monitor not found or not active."),
        Fate.AMBIGUOUS: as_json(409, ok=False, msg="Several monitors have this address."),
    }

    def read(self, asked: Asked, at: datetime) -> Heeded:
        token = asked.path[len(self.prefix) :].rstrip("/")
        if not token or "/" in token or len(token) > 64 or not token.isascii():
            raise Refused(self.WORDS[Fate.NOT_FOUND])
        query = _query(asked, self)
        text = _one(query, "msg") or ""
        # Its own code takes every word but this one for a failure, and no word at all for this one.
        signal = Signal.SUCCESS if (_one(query, "status") or "up") == "up" else Signal.FAIL
        report = Report(signal=signal, at=at, is_post=asked.method == "POST", text=text)
        address = _token(token) or token
        return Heeded(_ping(asked, address, report, text.encode(), _milliseconds(_one(query, "ping") or "")))

    def word(self, fate: Fate, *, is_created: bool = False) -> Wording:
        return self.WORDS[fate]

    def word_trouble(self, status: int, text: str) -> Wording:
        return as_json(status, ok=False, msg=text)


def _milliseconds(text: str) -> timedelta | None:
    try:
        count = float(text)
    except ValueError:
        return None
    return timedelta(milliseconds=count) if 0 <= count <= 3_600_000 else None


# --- Gatus --------------------------------------------------------------------------------------------------------------

GO_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)")
GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0}


def gatus_token(key: str, secret: str) -> str:
    """Return the token of an external endpoint that moved in: there several may share one secret, and differ by key."""
    return hashlib.sha256(f"{key}:{secret}".encode()).hexdigest()


class Gatus:
    """``POST /api/v1/endpoints/<key>/external?success=true|false&error=…&duration=…`` with a bearer token.

    The token is the tenant's ping key (then the key is a slug), a heartbeat's own token, or the secret that moved in.
    """

    prefix = "/api/v1/endpoints/"
    PATH = re.compile(r"/api/v1/endpoints/([^/]{1,200})/external/?")
    WORDS: Mapping[Fate, Wording] = {
        Fate.STORED: plain(200, ""),
        Fate.NOT_FOUND: plain(404, "not found"),
        Fate.AMBIGUOUS: plain(409, "ambiguous key"),
    }

    def read(self, asked: Asked, at: datetime) -> Heeded:
        match = self.PATH.fullmatch(asked.path)
        if match is None:
            raise Refused(plain(404, "not found"))
        if asked.method != "POST":
            raise Refused(Wording(405, b"", ((b"allow", b"POST"),)))
        if not asked.bearer:
            raise Refused(plain(401, "invalid token"))
        query = _query(asked, self)
        success = _one(query, "success")
        if success not in ("true", "false"):
            raise Refused(plain(400, "invalid success value"))
        text = _one(query, "error") or ""
        signal = Signal.SUCCESS if success == "true" else Signal.FAIL
        report = Report(signal=signal, at=at, is_post=True, text=text)
        key = unquote(match[1]).lower()  # as Gatus looks it up
        own, moved = self._own(key, asked.bearer), gatus_token(key, asked.bearer)
        ping = _ping(asked, own or moved, report, text.encode(), _go_duration(_one(query, "duration") or ""))
        return Heeded(ping, otherwise=moved if own else None)

    def _own(self, key: str, bearer: str) -> Address | None:
        """Return what a bearer token of our making means; a secret that moved in may look like one."""
        if PING_KEY.fullmatch(bearer) and SLUG.fullmatch(key):
            return BySlug(bearer, key)
        return _token(bearer)

    def word(self, fate: Fate, *, is_created: bool = False) -> Wording:
        return self.WORDS[fate]

    def word_trouble(self, status: int, text: str) -> Wording:
        return plain(status, text)


def _go_duration(text: str) -> timedelta | None:
    if not text or GO_DURATION.sub("", text):
        return None
    seconds = sum(float(count) * GO_UNITS[unit] for count, unit in GO_DURATION.findall(text))
    return timedelta(seconds=seconds) if seconds <= 3_600 * 72 else None


DIALECTS: tuple[Dialect, ...] = (Healthchecks(), UptimeKuma(), Gatus())
BARE = BareHealthchecks()


def dialect_of(path: str) -> Dialect | None:
    """Return whose way of reporting an address is; None for every other address of the product."""
    for dialect in DIALECTS:  # a generator costs more than the search, and every request of the product comes by here
        if path.startswith(dialect.prefix):
            return dialect
    return BARE if BARE.PATH.fullmatch(path) else None
