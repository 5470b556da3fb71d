"""Gatus: its YAML configuration."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found, Reading, SourceError, read_each, refuse_beyond
from apps.checks.importers.hosted import host_of, port_of
from apps.checks.importers.wish import Gathering, Wish, is_true, oauth_login, seconds, text_pairs
from apps.checks.types.http_fields import check_conditions_field
from apps.core.kinds import Text

CERTIFICATE = re.compile(r"\[CERTIFICATE_EXPIRATION\]\s*>=?\s*(\w+)")
CONNECTED = re.compile(r"\[CONNECTED\]\s*==\s*true")
RCODE = re.compile(r"\[DNS_RCODE\]\s*==\s*(\w+)")
BODY_IS = re.compile(r"\[BODY\]\s*==\s*([\w.:-]+)")
LISTS = ("endpoints", "external-endpoints")
BEHIND: Mapping[str, Text] = {
    "alerts": _("Its alerts stay behind; make alert rules here."),
    "maintenance-windows": _("Its maintenance windows stay behind; plan them here."),
}


class Gatus:
    """Endpoints and external endpoints; alerting, storage and interface settings stay behind."""

    kind: ClassVar[str] = "gatus"
    label: ClassVar[Text] = _("Gatus")
    help: ClassVar[Text] = _("The file config.yaml.")
    icon: ClassVar[str] = "code"

    def sample(self) -> bytes:
        return b'endpoints:\n  - name: shop\n    url: https://shop.example/\n    conditions: ["[STATUS] == 200"]\n'

    def read(self, *files: bytes) -> Found:
        gathering = Gathering("gatus")
        count = 0
        for place, document in read_each(files, _document):
            count += sum(len(document[name]) for name in LISTS if isinstance(document.get(name), list))
            refuse_beyond(count)
            for where, endpoint in _listed(document, "endpoints"):
                _gather(place + where, endpoint, gathering)
            for where, endpoint in _listed(document, "external-endpoints"):
                _gather_external(place + where, endpoint, gathering)
            for name in sorted(set(document).difference(LISTS)):
                gathering.lose(place + name, "", _("This section stays behind."))
        return gathering.found()


def _document(raw: bytes, reading: Reading) -> Mapping[str, Any]:
    document = reading.document(raw)
    if not isinstance(document, Mapping) or not set(LISTS) & set(document):
        raise SourceError(_("Expected a configuration with “endpoints”."))
    return document


def _listed(document: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = document.get(name)
    for place, value in enumerate(found if isinstance(found, list) else ()):
        if isinstance(value, Mapping):
            yield f"{name}[{place}]", value


def _gather(where: str, endpoint: Mapping[str, Any], gathering: Gathering) -> None:
    name, group = str(endpoint.get("name") or where), str(endpoint.get("group") or "")
    conditions = _texts(endpoint.get("conditions"))
    kind, settings = _kind(endpoint)
    if kind is None:
        gathering.lose(
            where, name, _("Nothing here does “%(url)s”.") % {"url": str(endpoint.get("url"))[:80]}, is_whole=True
        )
        return
    for condition in conditions:
        if not CONDITIONS.get(kind, _is_met_anyway)(condition, settings):
            gathering.lose(where, name, _("The condition “%(text)s” stays behind.") % {"text": condition[:120]})
    for field, text in BEHIND.items():
        if endpoint.get(field):
            gathering.lose(where, name, text)
    gathering.add(
        Wish(
            where=where,
            name=name,
            source_id=f"{group}-{name}",
            kind=kind,
            settings=settings,
            interval_seconds=seconds(endpoint.get("interval", "60s")),
            timeout_seconds=seconds(_client(endpoint).get("timeout", "10s")),
            retries=0,
            tags=(group,) if group else (),
            is_paused="enabled" in endpoint and not is_true(endpoint["enabled"]),
        )
    )


def _gather_external(where: str, endpoint: Mapping[str, Any], gathering: Gathering) -> None:
    group, beat = str(endpoint.get("group") or ""), endpoint.get("heartbeat")
    period = seconds(beat.get("interval")) if isinstance(beat, Mapping) else None
    name = str(endpoint.get("name") or where)
    if period is None:
        gathering.lose(where, name, _("It names no heartbeat interval: an hour is taken."))
    gathering.add(
        Wish(
            where=where,
            name=name,
            source_id=f"{group}-{name}",
            kind="heartbeat",
            settings={"period_seconds": int(period or 3_600), "address": _address(group, name, endpoint.get("token"))},
            tags=(group,) if group else (),
        )
    )


def _address(group: str, name: str, secret: Any) -> str:
    """Return what our door makes of an endpoint's key and its secret, which several endpoints may share."""
    if not secret:
        return ""
    key = "_".join(re.sub(r"[/_,.#+& ]", "-", part.strip().lower()) for part in (group, name))
    return hashlib.sha256(f"{key}:{secret}".encode()).hexdigest()


def _client(endpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    client = endpoint.get("client")
    return client if isinstance(client, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []


def _kind(endpoint: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return our kind and its settings."""
    url, dns = str(endpoint.get("url") or ""), endpoint.get("dns")
    if isinstance(dns, Mapping):
        name, record = str(dns.get("query-name") or "").rstrip("."), dns.get("query-type")
        server = {"server": host_of(url), "port": port_of(url)}
        return "dns", {"name": name, "record_type": record or "A", **server}
    try:
        parts = urlsplit(url)
        place = {"host": parts.hostname, "port": parts.port}
    except ValueError:
        return None, {}
    make = SCHEMES.get(parts.scheme)
    if make is None:
        return None, {}
    return make(endpoint, url, place)


def _http(endpoint: Mapping[str, Any], url: str, _place: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    client = _client(endpoint)
    oauth = client.get("oauth2")
    tls = client.get("tls")
    settings = {
        "url": url,
        "method": str(endpoint.get("method") or "GET").upper(),
        "headers": text_pairs(endpoint.get("headers")),
        "body": endpoint.get("body"),
        "verify_tls": not is_true(client.get("insecure")),
        "follow_redirects": not is_true(client.get("ignore-redirect")),
        "expected_status": "100-599",  # its conditions alone judge
        "proxy": client.get("proxy-url"),
        "graphql": endpoint.get("graphql"),
    }
    if isinstance(oauth, Mapping):
        settings |= oauth_login(*(oauth.get(name) for name in ("token-url", "client-id", "client-secret", "scopes")))
    if isinstance(tls, Mapping):
        settings |= {
            "client_certificate_file": tls.get("certificate-file"),
            "client_key_file": tls.get("private-key-file"),
        }
    return "http", settings


def _of(kind: str, **fixed: Any) -> Callable[[Mapping[str, Any], str, Mapping[str, Any]], tuple[str, dict[str, Any]]]:
    def make(endpoint: Mapping[str, Any], _url: str, place: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        return kind, {**place, **fixed, "body": endpoint.get("body")}  # no such kind sends one: it is reported

    return make


def _udp(endpoint: Mapping[str, Any], _url: str, place: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "udp", {**place, "payload": endpoint.get("body")}


def _icmp(_endpoint: Mapping[str, Any], _url: str, place: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "icmp", {"host": place["host"]}


def _websocket(endpoint: Mapping[str, Any], url: str, _place: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "websocket", {"url": url, "send": endpoint.get("body"), "headers": text_pairs(endpoint.get("headers"))}


SCHEMES: Mapping[str, Callable[[Mapping[str, Any], str, Mapping[str, Any]], tuple[str, dict[str, Any]]]] = {
    "http": _http,
    "https": _http,
    "tcp": _of("tcp"),
    "udp": _udp,
    "tls": _of("tls"),
    "starttls": _of("smtp", security="starttls"),
    "ssh": _of("ssh"),
    "icmp": _icmp,
    "ws": _websocket,
    "wss": _websocket,
    "grpc": _of("grpc"),
    "grpcs": _of("grpc", uses_tls=True),
}


# --- Conditions: each function puts one into the settings of its kind and tells whether that was possible -----------------


def _is_met_anyway(condition: str, _settings: dict[str, Any]) -> bool:
    return bool(CONNECTED.fullmatch(condition))


def _http_condition(condition: str, settings: dict[str, Any]) -> bool:
    try:
        check_conditions_field([condition])
    except ValidationError:
        return False
    settings.setdefault("conditions", []).append(condition)
    return True


def _tls_condition(condition: str, settings: dict[str, Any]) -> bool:
    if found := CERTIFICATE.fullmatch(condition):
        settings["fail_days"] = max(1, round((seconds(found[1]) or 0) / 86_400))
        return True
    return _is_met_anyway(condition, settings)


def _dns_condition(condition: str, settings: dict[str, Any]) -> bool:
    if found := RCODE.fullmatch(condition):
        settings["rcode"] = found[1]
        return True
    if found := BODY_IS.fullmatch(condition):
        settings["matching"], settings["expected"] = "includes", found[1]
        return True
    return _is_met_anyway(condition, settings)


CONDITIONS: Mapping[str, Callable[[str, dict[str, Any]], bool]] = {
    "http": _http_condition,
    "tls": _tls_condition,
    "dns": _dns_condition,
}
