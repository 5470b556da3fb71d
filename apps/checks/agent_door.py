"""``/agent/v1/<verb>``: where agents fetch turns and hand in what they saw.

An agent proves itself by its token; we prove ourselves by signing each answer, its question's nonce included, with the key
that the token pins. Called once a second by each agent.
"""

import re
import zlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError

from apps.checks.domain import agent_work
from apps.checks.domain.agent_wire import (
    MAX_BODY_BYTES,
    MAX_TURNS,
    decode_count,
    decode_held,
    decode_ids,
    decode_results,
    decode_texts,
    encode_settings,
    encode_turns,
    known_failures,
    seal_answer,
)
from apps.checks.domain.agent_words import decode_words
from apps.checks.domain.agents import RevokedToken, UnknownToken, authenticate, signing_key
from apps.checks.domain.ping_bounds import Bound
from apps.checks.domain.wire_fields import HEX, WireError, load
from apps.checks.models import Agent
from apps.core import clock, rate, redis
from apps.core.doors import View, marked
from apps.core.tenancy import tenant_scope

# A beat a second, a few in a row where there is news, and several processes may share an agent.
PER_AGENT = rate.Limit(per_minute=3_000, burst=600)
NONCE_SECONDS = 600
MAX_AHEAD_MS = 60_000
UNPRINTABLE = re.compile(r"[^\x20-\x7e]")

_misses = Bound(per_minute=60, burst=60)  # wrong tokens of one address, in this process


class _Refused(Exception):
    """The answer is a status and a code."""

    def __init__(
        self,
        status: int,
        code: str,
        *,
        errors: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, code)
        content = {"code": code, **({"errors": errors} if errors else {})}
        self.response = JsonResponse(content, status=status, headers={"Cache-Control": "no-store", **(headers or {})})


def _door(request: HttpRequest, verb: str) -> HttpResponse:
    """Do what an agent asks, and sign the answer."""
    if request.method != "POST":
        return _Refused(405, "method_not_allowed", headers={"Allow": "POST"}).response
    try:
        agent = _admitted(request)
        nonce = _nonce(request, agent)
        if verb not in VERBS:
            raise _Refused(404, "unknown_verb")
        given = load(_body(request))
        with tenant_scope(agent.tenant_id):
            fields = VERBS[verb](agent, given, request)
    except _Refused as refused:
        return refused.response
    except WireError as error:
        return _Refused(400, "invalid", errors={error.field: [error.problem]}).response
    except (OperationalError, InterfaceError, InternalError):  # the last where it may only be read
        return _Refused(503, "try_again", headers={"Retry-After": "2"}).response
    body, signature = seal_answer(signing_key(agent.id), verb, nonce, fields, at=clock.now())
    headers = {"Obsera-Signature": signature, "Cache-Control": "no-store"}
    return HttpResponse(body, content_type="application/json", headers=headers)


agent_door: View = marked(csrf_exempt(_door), "key")


# --- who asks ---------------------------------------------------------------------------------------------------------


def _admitted(request: HttpRequest) -> Agent:
    scheme, _space, bearer = request.headers.get("Authorization", "").partition(" ")
    try:
        agent = authenticate(bearer.strip() if scheme.lower() == "bearer" else "")
    except UnknownToken:
        # Who guesses is slowed down, but not the agents behind the same router.
        if not _misses.spend(request.META.get("REMOTE_ADDR", "")):
            raise _Refused(429, "too_many_requests", headers={"Retry-After": "60"}) from None
        raise _Refused(401, "token_unknown", headers={"WWW-Authenticate": "Bearer"}) from None
    except RevokedToken:
        raise _Refused(401, "token_revoked", headers={"WWW-Authenticate": "Bearer"}) from None
    verdict = rate.spend(f"agent:{agent.id}", PER_AGENT)
    if not verdict.is_allowed:
        raise _Refused(429, "too_many_requests", headers=verdict.headers())
    return agent


def _nonce(request: HttpRequest, agent: Agent) -> str:
    """Return the question's nonce. Each is answered once, so that there are no two signed answers to one question."""
    nonce = request.headers.get("Obsera-Nonce", "")
    if not HEX.fullmatch(nonce):
        raise WireError("Obsera-Nonce", "must be 32 hex digits")
    try:
        is_new = redis.client().set(f"obsera:agent:{agent.id.hex}:{nonce}", b"", nx=True, ex=NONCE_SECONDS)
    except (RedisError, OSError):
        return nonce  # Redis only reminds: what is asked twice is harmless, results are kept once
    if not is_new:
        raise WireError("Obsera-Nonce", "was used already")
    return nonce


# --- what is asked ----------------------------------------------------------------------------------------------------


def _body(request: HttpRequest) -> bytes:
    """Return the body, unpacked, never more of it than is allowed."""
    body = request.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise _Refused(413, "too_large")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise _Refused(415, "unknown_encoding", headers={"Accept-Encoding": "gzip"})
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise WireError("body", "must be gzip, as its Content-Encoding says") from error
    if len(unpacked) > MAX_BODY_BYTES:
        raise _Refused(413, "too_large")
    if not unpacker.eof:
        raise WireError("body", "is cut short")
    return unpacked


Given = Mapping[str, Any]


def _trade(agent: Agent, given: Given, request: HttpRequest) -> dict[str, Any]:
    results = decode_results(given.get("results"), tenant_id=agent.tenant_id, region_id=agent.region_id)
    limit = decode_count(given.get("limit"), "limit", at_most=MAX_TURNS)
    ahead_ms = decode_count(given.get("ahead_ms", 0), "ahead_ms", at_most=MAX_AHEAD_MS)
    traded = agent_work.trade(agent, results, limit=limit, ahead=timedelta(milliseconds=ahead_ms))
    return {
        **{"region": agent.region_id, "beat_seconds": agent_work.BEAT_SECONDS},
        **{"turns": encode_turns(traded.turns), "skipped": traded.skipped, "is_all": traded.is_all},
        "known_failures": known_failures(traded.turns),
    }


def _settings(agent: Agent, given: Given, request: HttpRequest) -> dict[str, Any]:
    opened, unreadable = agent_work.open_settings(agent, decode_ids(given.get("checks"), "checks"))
    return {"settings": encode_settings(opened), "unreadable": [check_id.hex for check_id in unreadable]}


def _leases(agent: Agent, given: Given, request: HttpRequest) -> dict[str, Any]:
    agent_work.renew_leases(
        agent,
        extend=decode_held(given.get("extend"), "extend"),
        give_up=decode_held(given.get("give_back"), "give_back"),
    )
    return {}


def _health(agent: Agent, given: Given, request: HttpRequest) -> dict[str, Any]:
    agent_work.hear_of(
        agent,
        failed_controls=decode_texts(given.get("failed_controls"), "failed_controls"),
        buffered=decode_count(given.get("buffered"), "buffered"),
        version=UNPRINTABLE.sub("", request.headers.get("Obsera-Agent-Version", "")),
        source_ip=_address(request),
        words=decode_words(given),
    )
    return {}


def _late(agent: Agent, given: Given, request: HttpRequest) -> dict[str, Any]:
    results = decode_results(given.get("results"), tenant_id=agent.tenant_id, region_id=agent.region_id)
    stored, dropped = agent_work.backfill(agent, results)
    return {"stored": stored, "dropped": dropped}


def _address(request: HttpRequest) -> str | None:
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


VERBS: Mapping[str, Callable[[Agent, Given, HttpRequest], dict[str, Any]]] = {
    "trade": _trade,
    "settings": _settings,
    "leases": _leases,
    "health": _health,
    "late": _late,
}
