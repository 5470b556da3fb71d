"""Gatus: its YAML configuration."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found, SourceError
from apps.checks.importers.wish import Gathering, Wish, has_setting, is_true, seconds, text_pairs
from apps.core.documents import DocumentError, read_document
from apps.core.kinds import Text

STATUS = re.compile(r"\[STATUS\]\s*(==|<=|<|>=|>)\s*(\d{3})")
STATUS_ANY = re.compile(r"\[STATUS\]\s*==\s*any\(([\d,\s]+)\)")
BODY_HAS = re.compile(r"\[BODY\]\s*(==|!=)\s*pat\(\*([^*]+)\*\)")
SLOWER = re.compile(r"\[RESPONSE_TIME\]\s*<=?\s*(\d+)")
CERTIFICATE = re.compile(r"\[CERTIFICATE_EXPIRATION\]\s*>=?\s*(\w+)")
CONNECTED = re.compile(r"\[CONNECTED\]\s*==\s*true")
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

    def read(self, raw: bytes) -> Found:
        try:
            document = read_document(raw)
        except DocumentError as error:
            raise SourceError(f"{error.path}: {error}" if error.path else str(error)) from error
        if not isinstance(document, Mapping) or not {"endpoints", "external-endpoints"} & set(document):
            raise SourceError(_("Expected a configuration with “endpoints”."))
        gathering = Gathering("gatus")
        for where, endpoint in _listed(document, "endpoints"):
            _gather(where, endpoint, gathering)
        for where, endpoint in _listed(document, "external-endpoints"):
            _gather_external(where, endpoint, gathering)
        for name in sorted(set(document) - {"endpoints", "external-endpoints"}):
            gathering.lose(name, "", _("This section stays behind."))
        return gathering.found()


def _listed(document: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = document.get(name)
    for place, value in enumerate(found if isinstance(found, list) else ()):
        if isinstance(value, Mapping):
            yield f"{name}[{place}]", value


def _gather(where: str, endpoint: Mapping[str, Any], gathering: Gathering) -> None:
    name, group = str(endpoint.get("name") or where), str(endpoint.get("group") or "")
    conditions = _texts(endpoint.get("conditions"))
    kind, settings, is_judged = _kind(endpoint)
    if kind is None:
        gathering.lose(
            where, name, _("Nothing here does “%(url)s”.") % {"url": str(endpoint.get("url"))[:80]}, is_whole=True
        )
        return
    if is_judged and has_setting(kind, "conditions"):
        settings["conditions"] = "\n".join(conditions)
    else:
        for condition in conditions:
            if not _understood(condition, kind, settings):
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
            settings={"period_seconds": int(period or 3_600)},
            tags=(group,) if group else (),
        )
    )


def _client(endpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    client = endpoint.get("client")
    return client if isinstance(client, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []


def _kind(endpoint: Mapping[str, Any]) -> tuple[str | None, dict[str, Any], bool]:
    """Return our kind, its settings, and whether it may judge by conditions."""
    url, dns = str(endpoint.get("url") or ""), endpoint.get("dns")
    if isinstance(dns, Mapping):
        name, record = str(dns.get("query-name") or "").rstrip("."), dns.get("query-type")
        return "dns", {"name": name, "record_type": record or "A", "server": url}, False
    try:
        parts = urlsplit(url)
        place = {"host": parts.hostname, "port": parts.port}
    except ValueError:
        return None, {}, False
    make = SCHEMES.get(parts.scheme)
    if make is None:
        return None, {}, False
    kind, settings = make(endpoint, url, place)
    return kind, settings, kind == "http"


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
        "proxy_url": client.get("proxy-url"),
        "graphql": endpoint.get("graphql"),
    }
    if isinstance(oauth, Mapping):
        settings |= {
            "oauth2_token_url": oauth.get("token-url"),
            "oauth2_client_id": oauth.get("client-id"),
            "oauth2_client_secret": oauth.get("client-secret"),
            "oauth2_scopes": " ".join(_texts(oauth.get("scopes"))),
        }
    if isinstance(tls, Mapping):
        settings |= {
            "client_certificate_file": tls.get("certificate-file"),
            "client_key_file": tls.get("private-key-file"),
        }
    return "http", settings


def _of(kind: str, **fixed: Any) -> Callable[[Mapping[str, Any], str, Mapping[str, Any]], tuple[str, dict[str, Any]]]:
    def make(endpoint: Mapping[str, Any], _url: str, place: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        return kind, {**place, **fixed, "body": endpoint.get("body")}

    return make


def _icmp(_endpoint: Mapping[str, Any], _url: str, place: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "icmp", {"host": place["host"]}


def _websocket(endpoint: Mapping[str, Any], url: str, _place: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    return "websocket", {"url": url, "send": endpoint.get("body"), "headers": text_pairs(endpoint.get("headers"))}


SCHEMES: Mapping[str, Callable[[Mapping[str, Any], str, Mapping[str, Any]], tuple[str, dict[str, Any]]]] = {
    "http": _http,
    "https": _http,
    "tcp": _of("tcp"),
    "udp": _of("udp"),
    "tls": _of("tls"),
    "starttls": _of("smtp", security="starttls"),
    "ssh": _of("ssh"),
    "icmp": _icmp,
    "ws": _websocket,
    "wss": _websocket,
    "grpc": _of("grpc"),
    "grpcs": _of("grpc", tls=True),
}


def _understood(condition: str, kind: str, settings: dict[str, Any]) -> bool:
    """Put what a condition says into the settings; tell whether that was possible."""
    if CONNECTED.fullmatch(condition):
        return True
    if found := CERTIFICATE.fullmatch(condition):
        settings["certificate_days"] = max(1, round((seconds(found[1]) or 0) / 86_400))
        return has_setting(kind, "certificate_days")
    if kind != "http":
        return False
    if found := STATUS_ANY.fullmatch(condition):
        settings["expected_status"] = found[1]
        return True
    if found := STATUS.fullmatch(condition):
        settings["expected_status"] = _statuses(found[1], int(found[2]))
        return True
    if found := BODY_HAS.fullmatch(condition):
        settings["keyword"], settings["keyword_absent"] = found[2].strip(), found[1] == "!="
        return True
    if found := SLOWER.fullmatch(condition):
        settings["max_response_ms"] = int(found[1])
        return has_setting(kind, "max_response_ms")
    return False


def _statuses(operator: str, status: int) -> str:
    low = {"==": status, ">": status + 1, ">=": status}.get(operator, 100)
    high = {"==": status, "<": status - 1, "<=": status}.get(operator, 599)
    return str(low) if low == high else f"{low}-{high}"
