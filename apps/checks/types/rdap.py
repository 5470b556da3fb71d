"""What a registry says of a domain, by RDAP (RFC 9082, RFC 9083), found through IANA's bootstrap file (RFC 9224)."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from time import monotonic
from typing import Any

from publicsuffixlist import PublicSuffixList

from apps.checks.types.base import ProbeContext
from apps.checks.types.http_visit import Redirecting, Visit, visit
from apps.checks.types.texts import printable
from apps.core.http.codings import UnreadableCoding
from apps.core.http.curl import OutboundRequest
from apps.core.http.urls import BadUrl, check_url

BOOTSTRAP_URL = "https://data.iana.org/rdap/dns.json"
BOOTSTRAP_SECONDS = 86_400
RECORD_SECONDS = 3_600  # registries count questions, and a domain's end moves once a year
FAILURE_SECONDS = 300  # a registry in trouble is not asked at every probe
OLDEST_SECONDS = 86_400  # what it said before stands in meanwhile, but no longer than this
FAIR_SECONDS = 3.0  # a question with less time says nothing of the registry
RECORDS_KEPT = 10_000
ACCEPT = (b"Accept: application/rdap+json",)
MAX_REDIRECTS = 5
MAX_TEXT = 100
MAX_ENTRIES = 16
MOST_CANDIDATES = 4
NOT_FOUND = 404
NOT_REGISTRABLE = frozenset({400, 422})  # .org's registry says so of a name below those that can be registered
TOO_MANY = 429

Services = Mapping[str, str]  # a top-level domain, or one below it, and the address of its registry's RDAP


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registry knows of a domain; None or empty for what it does not tell."""

    domain: str
    registrar: str
    registered_at: datetime | None
    expires_at: datetime | None
    statuses: tuple[str, ...]
    name_servers: tuple[str, ...]


class RegistryFailure(Exception):
    """There is no registration to judge. ``seen`` is the last request that was made, if one was."""

    def __init__(self, code: str, values: Mapping[str, str | int], seen: Visit | None, *, is_ours: bool) -> None:
        super().__init__(code)
        self.code = code
        self.values = values
        self.seen = seen
        self.is_ours = is_ours


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is answered without a request ``until`` then (of `monotonic`), and when the registry said so."""

    found: Registration | RegistryFailure
    until: float
    told_at: float


_services: dict[str, tuple[float, Services]] = {}
_records: dict[tuple[str, str], _Kept] = {}


def forget() -> None:
    """Empty what is kept."""
    _services.clear()
    _records.clear()


async def look_up(name: str, context: ProbeContext) -> tuple[Registration, Visit | None]:
    """Return the registration of ``name``, or of the domain that it lies in; raises `RegistryFailure`.

    What was asked within the hour is answered without a request, and so is what just failed: with what the registry
    said before, if that is not too old. That a domain is not registered is never kept, so that a second look is one.
    """
    key = (BOOTSTRAP_URL, name)
    kept = _records.get(key)
    if kept is not None and kept.until > monotonic():
        return _answered(kept.found), None
    try:
        registration, seen = await _ask(name, context)
    except RegistryFailure as failure:
        if not failure.is_ours:
            _records.pop(key, None)
            raise
        known = _still_known(key)
        if not _is_own_fault(failure, context):
            _keep_failure(key, failure, known)
        if known is None:
            raise
        return _answered(known.found), None
    _keep(key, _Kept(registration, monotonic() + RECORD_SECONDS, monotonic()))
    return registration, seen


def _answered(found: Registration | RegistryFailure) -> Registration:
    if isinstance(found, Registration):
        return found
    raise RegistryFailure(found.code, found.values, None, is_ours=found.is_ours)


def _still_known(key: tuple[str, str]) -> _Kept | None:
    """Return what the registry said last, unless that was nothing or is too old."""
    kept = _records.get(key)
    is_known = kept is not None and isinstance(kept.found, Registration)
    return kept if kept and is_known and kept.told_at + OLDEST_SECONDS > monotonic() else None


def _is_own_fault(failure: RegistryFailure, context: ProbeContext) -> bool:
    """Tell whether this prober failed, or gave the question too little time: the next may do better at once."""
    is_cut_short = failure.code == "rdap_unreachable" and context.timeout_seconds < FAIR_SECONDS
    return is_cut_short or (failure.seen is not None and failure.seen.is_ours)


def _keep_failure(key: tuple[str, str], failure: RegistryFailure, known: _Kept | None) -> None:
    """Ask no more for a while, and let what is ``known`` stand in until then."""
    until = monotonic() + (RECORD_SECONDS if failure.code == "rdap_limited" else FAILURE_SECONDS)
    if known is not None:
        _keep(key, replace(known, until=min(until, known.told_at + OLDEST_SECONDS)))
    else:
        kept = RegistryFailure(failure.code, failure.values, None, is_ours=failure.is_ours)
        _keep(key, _Kept(kept, until, monotonic()))


def _keep(key: tuple[str, str], kept: _Kept) -> None:
    if len(_records) >= RECORDS_KEPT:
        _records.clear()
    _records[key] = kept


async def _ask(name: str, context: ProbeContext) -> tuple[Registration, Visit]:
    deadline = monotonic() + context.timeout_seconds
    services = await _bootstrap(context, deadline)
    base = _service_of(name, services)
    seen: Visit | None = None
    candidates = await _candidates(name)
    for candidate in candidates:
        seen = await _get(f"{base}domain/{candidate}", context, deadline)
        is_last = candidate == candidates[-1]
        if seen.reply.status == NOT_FOUND or (seen.reply.status in NOT_REGISTRABLE and not is_last):
            continue
        return _registration(candidate, _json_of(seen), seen), seen
    raise RegistryFailure("domain_unregistered", {"domain": name}, seen, is_ours=False)


async def _bootstrap(context: ProbeContext, deadline: float) -> Services:
    known = _services.get(BOOTSTRAP_URL)
    if known is not None and known[0] > monotonic():
        return known[1]
    seen = await _get(BOOTSTRAP_URL, context, deadline)
    services = dict(_read_services(_json_of(seen)))
    if not services:
        raise _unreadable(seen)
    _services[BOOTSTRAP_URL] = monotonic() + BOOTSTRAP_SECONDS, services
    return services


def _read_services(document: Any) -> Iterator[tuple[str, str]]:
    entries = document.get("services") if isinstance(document, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, list) or len(entry) < 2 or not all(isinstance(part, list) for part in entry[:2]):
            continue
        addresses = sorted((text for text in entry[1] if isinstance(text, str)), reverse=True)  # https before http
        for domain in entry[0]:
            if addresses and isinstance(domain, str):
                yield domain.lower(), f"{addresses[0].rstrip('/')}/"


def _service_of(name: str, services: Services) -> str:
    labels = name.split(".")
    for start in range(1, len(labels)):
        found = services.get(".".join(labels[start:]))
        if found:
            return found
    raise RegistryFailure("rdap_unsupported", {"domain": labels[-1]}, None, is_ours=True)


async def _candidates(name: str) -> list[str]:
    """Return the name and what it may lie in: registries know ``example.co.uk``, not ``www.example.co.uk``.

    Never what belongs to the registry: ``co.uk`` may well have a record, and says nothing of who lies in it.
    """
    suffixes = await asyncio.to_thread(_suffixes)  # reading the list takes a tenth of a second, once
    labels = name.split(".")
    registrable = (suffixes.privatesuffix(name) or name).count(".") + 1
    return [".".join(labels[start:]) for start in range(len(labels) - registrable + 1)][-MOST_CANDIDATES:]


@cache
def _suffixes() -> PublicSuffixList:
    """Return under which names registries let others register (https://publicsuffix.org)."""
    return PublicSuffixList(only_icann=True)


async def _get(url: str, context: ProbeContext, deadline: float) -> Visit:
    try:
        address = check_url(url)
    except BadUrl as error:
        raise RegistryFailure("rdap_unreadable", {"server": url[:MAX_TEXT]}, None, is_ours=True) from error
    request = OutboundRequest("GET", address.url, ACCEPT)
    seen = await visit(request, address, Redirecting(most=MAX_REDIRECTS), context=context, deadline=deadline)
    if seen.code:
        values = {"server": address.host, "detail": seen.code.replace("_", " ")}
        raise RegistryFailure("rdap_unreachable", values, seen, is_ours=True)
    if seen.reply.status == TOO_MANY:
        raise RegistryFailure("rdap_limited", {"server": address.host}, seen, is_ours=True)
    return seen


def _json_of(seen: Visit) -> Any:
    try:
        if seen.reply.status == 200:
            return json.loads(seen.reply.content)
    except (ValueError, RecursionError, UnreadableCoding) as error:
        raise _unreadable(seen) from error
    raise _unreadable(seen)


def _unreadable(seen: Visit) -> RegistryFailure:
    return RegistryFailure("rdap_unreadable", {"server": seen.reply.remote_ip}, seen, is_ours=True)


def _registration(domain: str, document: Any, seen: Visit) -> Registration:
    if not isinstance(document, dict) or document.get("objectClassName") != "domain":
        raise _unreadable(seen)
    events = {_word(event.get("eventAction")): event.get("eventDate") for event in _dicts(document.get("events"))}
    servers = (_word(entry.get("ldhName")).rstrip(".") for entry in _dicts(document.get("nameservers")))
    statuses = document.get("status")
    return Registration(
        domain=domain,
        registrar=next(_registrars(document), ""),
        registered_at=_instant(events.get("registration")),
        expires_at=_instant(events.get("expiration")),
        statuses=tuple(map(_word, statuses[:MAX_ENTRIES])) if isinstance(statuses, list) else (),
        name_servers=tuple(sorted(server for server in servers if server)),
    )


def _registrars(document: Mapping[str, Any]) -> Iterator[str]:
    for entity in _dicts(document.get("entities")):
        roles, card = entity.get("roles"), entity.get("vcardArray")
        if not isinstance(roles, list) or "registrar" not in roles or not isinstance(card, list) or len(card) < 2:
            continue
        for line in card[1] if isinstance(card[1], list) else ():
            if isinstance(line, list) and len(line) > 3 and line[0] == "fn" and isinstance(line[3], str):
                yield printable(line[3], MAX_TEXT)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)][:MAX_ENTRIES] if isinstance(value, list) else []


def _word(value: Any) -> str:
    return printable(value, MAX_TEXT).lower()


def _instant(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC) if found else None
    except (ValueError, OverflowError):
        return None
