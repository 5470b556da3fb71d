"""Gatus' endpoints: which kind a scheme becomes, with which settings, and which conditions those can say.

What each scheme uses of an endpoint was read in its source: config/endpoint/endpoint.go and client/ of TwiN/gatus.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ValidationError

from apps.checks.importers.hosted import escaped, host_of, port_of
from apps.checks.importers.wish import is_true, oauth_login, seconds, text_pairs
from apps.checks.types.http_fields import check_domain_conditions
from apps.checks.types.rule_lines import MAX_RULES

BODY = r"\[(?i:BODY)\]"
CERTIFICATE = re.compile(r"\[CERTIFICATE_EXPIRATION\]\s*>=?\s*(\w+)", re.IGNORECASE)
CONNECTED = re.compile(r"\[CONNECTED\]\s*==\s*true", re.IGNORECASE)
RCODE = re.compile(r"\[DNS_RCODE\]\s*==\s*(\w+)", re.IGNORECASE)
BODY_IS = re.compile(BODY + r" == (\S.*)")
BODY_HAS = re.compile(BODY + r" == pat\(\*([^*?\[\]\\/]+)\*\)")
SERVING = re.compile(BODY + r"\.status == SERVING")
EXIT_STATUS = re.compile(r"\[STATUS\]\s*==\s*0", re.IGNORECASE)
CALL = re.compile(r"(pat|any)\((.*)\)")
NO_GLOB = re.compile(r"[^?\[\]\\/]+")  # Gatus takes slashes out of both sides
MADE_UP = re.compile(r"\[RANDOM_STRING_\d{1,6}\]|\[LOCAL_ADDRESS\]")
OWN_NAME = re.compile(r"\[ENDPOINT_(NAME|GROUP|URL)\]")
LONGEST_BODY = 64_000  # longer ones are refused
LONGEST_NAME = 2_000  # which may stand thousands of times in a body
ANY_ANSWER = r"[\s\S]"
EXPECT_ANY = f"expect /{ANY_ANSWER}/"
USUAL_WARNING = 14  # days
DAY = 86_400
WHOLE_RECORDS = frozenset({"A", "AAAA", "CNAME", "NS", "PTR"})

# What of an endpoint's client a scheme minds and a check here has no setting for; "timeout" is every scheme's.
HTTP_CLIENT = frozenset({"dns-resolver", "identity-aware-proxy", "kerberos", "tls", "tunnel"})
GRPC_CLIENT = frozenset({"dns-resolver", "tls", "tunnel"})
MINDED: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("http", "https"), HTTP_CLIENT),
    **dict.fromkeys(("grpc", "grpcs"), GRPC_CLIENT),
    **dict.fromkeys(("ws", "wss"), frozenset({"tls"})),
    "starttls": frozenset({"dns-resolver"}),
    "icmp": frozenset({"network"}),
}
# And what it minds and a check here does as well.
CARRIED: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("http", "https"), frozenset({"insecure", "ignore-redirect", "proxy-url", "oauth2"})),
    **dict.fromkeys(("tls", "starttls", "wss", "grpcs"), frozenset({"insecure"})),
}
CLIENT = frozenset({"insecure", "ignore-redirect", "proxy-url", "oauth2", "network"}) | HTTP_CLIENT

Endpoint = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """What an endpoint becomes. ``idle`` are settings that Gatus does not mind itself: nothing is lost with them."""

    kind: str
    settings: dict[str, Any]
    idle: set[str] = field(default_factory=set)


def made_of(endpoint: Endpoint) -> Made | None:
    """Return what an endpoint becomes, without its conditions; None where nothing here is like it."""
    url = str(endpoint.get("url") or "")
    is_question = isinstance(endpoint.get("dns"), Mapping)
    scheme = "" if is_question else url.partition("://")[0].lower()
    make = _dns if is_question else SCHEMES.get(scheme)
    if make is None:
        return None
    try:
        kind, settings = make(endpoint, url)
    except ValueError:  # a port that is none
        return None
    made = Made(kind, settings)
    for name, value in client_of(endpoint).items():
        if name == "timeout" or name in CARRIED.get(scheme, ()) or (name == "network" and value == "ip"):
            continue
        made.settings[f"client.{name}"] = value
        if name in CLIENT and name not in MINDED.get(scheme, ()):
            made.idle.add(f"client.{name}")
    return made


def client_of(endpoint: Endpoint) -> Mapping[str, Any]:
    client = endpoint.get("client")
    return client if isinstance(client, Mapping) else {}


def conditions_of(endpoint: Endpoint) -> list[str]:
    conditions = endpoint.get("conditions")
    return [str(part).strip() for part in conditions] if isinstance(conditions, list) else []


# --- Schemes -------------------------------------------------------------------------------------------------------------


def _place(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {"host": parts.hostname, "port": parts.port}


def _unverified(endpoint: Endpoint) -> dict[str, Any]:
    return {"verify_tls": False} if is_true(client_of(endpoint).get("insecure")) else {}


def _body(endpoint: Endpoint) -> dict[str, Any]:
    """Return the body with what Gatus puts into it, and what it makes up for each request, which no check here does."""
    body = str(endpoint.get("body") or "")
    if len(body) <= LONGEST_BODY:
        body = OWN_NAME.sub(lambda found: str(endpoint.get(found[1].lower()) or "")[:LONGEST_NAME], body)
    return {**dict.fromkeys(MADE_UP.findall(body), True), "body": body}


def _http(endpoint: Endpoint, url: str) -> tuple[str, dict[str, Any]]:
    client = client_of(endpoint)
    oauth = client.get("oauth2")
    settings = {
        "url": url,
        "method": str(endpoint.get("method") or "GET").upper(),
        "headers": text_pairs(endpoint.get("headers")),
        **_body(endpoint),
        "verify_tls": not is_true(client.get("insecure")),
        "follow_redirects": not is_true(client.get("ignore-redirect")),
        **_proxy(str(client.get("proxy-url") or "")),
    }
    if conditions_of(endpoint):
        settings["expected_status"] = "100-599"  # its conditions alone judge
    if is_true(endpoint.get("graphql")):
        settings["body"] = json.dumps({"query": settings["body"]}, ensure_ascii=False)
        if "content-type" not in {name.lower() for name in settings["headers"]}:
            settings["headers"]["Content-Type"] = "application/json"
    if isinstance(oauth, Mapping):
        settings |= oauth_login(*(oauth.get(name) for name in ("token-url", "client-id", "client-secret", "scopes")))
    return "http", settings


def _proxy(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    login = {"proxy_username": unquote(parts.username or ""), "proxy_password": unquote(parts.password or "")}
    return {"proxy": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.scheme else url, **login}


def _tcp(endpoint: Endpoint, url: str) -> tuple[str, dict[str, Any]]:
    body = _body(endpoint)
    said = body.pop("body")
    script = f'send "{escaped(said)}"\n{EXPECT_ANY}' if said else ""  # Gatus waits for an answer then
    return "tcp", {**_place(url), **body, "script": script}


def _tls(endpoint: Endpoint, url: str) -> tuple[str, dict[str, Any]]:
    if any(map(CERTIFICATE.fullmatch, conditions_of(endpoint))):
        return "tls", {**_place(url), **_unverified(endpoint), **_body(endpoint)}
    kind, settings = _tcp(endpoint, url)  # how long the certificate lasts is of no matter to Gatus then
    return kind, {**settings, "tls": True, **_unverified(endpoint)}


def _starttls(endpoint: Endpoint, url: str) -> tuple[str, dict[str, Any]]:
    if any(map(CERTIFICATE.fullmatch, conditions_of(endpoint))):
        return "tls", {**_place(url), **_unverified(endpoint), "prelude": "smtp"}
    return "smtp", {**_place(url), **_unverified(endpoint), "security": "starttls"}


def _udp(endpoint: Endpoint, url: str) -> tuple[str, dict[str, Any]]:
    body = _body(endpoint)
    return "udp", {**_place(url), "payload": escaped(body.pop("body")), **body}


def _icmp(_endpoint: Endpoint, url: str) -> tuple[str, dict[str, Any]]:
    return "icmp", {"host": url.partition("://")[2]}  # also an IPv6 address without brackets


def _ssh(endpoint: Endpoint, url: str) -> tuple[str, dict[str, Any]]:
    given = endpoint.get("ssh")
    login = {f"ssh.{name}": value for name, value in given.items()} if isinstance(given, Mapping) else {}
    return "ssh", {**_place(url), **login, **(_body(endpoint) if any(login.values()) else {})}


def _websocket(endpoint: Endpoint, url: str) -> tuple[str, dict[str, Any]]:
    body = _body(endpoint)
    said = body.pop("body")
    answer = {"expect": ANY_ANSWER, "expect_is_pattern": True} if said else {}
    headers = text_pairs(endpoint.get("headers"))
    return "websocket", {"url": url, "send": said, "headers": headers, **answer, **_unverified(endpoint), **body}


def _grpc(endpoint: Endpoint, url: str) -> tuple[str, dict[str, Any]]:
    is_secured = url.lower().startswith("grpcs:")
    return "grpc", {**_place(url), "uses_tls": is_secured, **(_unverified(endpoint) if is_secured else {})}


def _dns(endpoint: Endpoint, url: str) -> tuple[str, dict[str, Any]]:
    dns = endpoint["dns"]
    asked = {"name": str(dns.get("query-name") or "").rstrip("."), "record_type": str(dns.get("query-type") or "A")}
    # Gatus is content with an answer without records where none of its conditions looks at one.
    conditions = conditions_of(endpoint)
    records = {} if any(map(BODY_IS.fullmatch, conditions)) else {"matching": "free"}
    statuses = [found[1] for condition in conditions if (found := RCODE.fullmatch(condition))]
    status = {"rcode": statuses[-1]} if statuses else {}
    return "dns", {**asked, "server": host_of(url), "port": port_of(url), **records, **status}


SCHEMES: Mapping[str, Callable[[Endpoint, str], tuple[str, dict[str, Any]]]] = {
    **dict.fromkeys(("http", "https"), _http),
    **dict.fromkeys(("ws", "wss"), _websocket),
    **dict.fromkeys(("grpc", "grpcs"), _grpc),
    "tcp": _tcp,
    "udp": _udp,
    "tls": _tls,
    "starttls": _starttls,
    "ssh": _ssh,
    "icmp": _icmp,
}


# --- Conditions: each function puts one into the settings of its kind and tells whether that was possible ---------------


def put_condition(condition: str, made: Made) -> bool:
    """Put a condition into the settings; False where the kind cannot say it."""
    if made.kind != "http" and CONNECTED.fullmatch(condition):
        return not _takes_any_status(made)  # every other kind fails where nobody answers
    put = CONDITIONS.get(made.kind)
    return put is not None and put(condition, made.settings)


def is_blind(made: Made, conditions: list[str]) -> bool:
    """Tell whether none of an endpoint's conditions judges here, where a check would go by what is usual instead."""
    judges_alone = made.kind == "http" and not made.settings.get("conditions")
    return bool(conditions) and (judges_alone or _takes_any_status(made))


def _takes_any_status(made: Made) -> bool:
    """Tell whether Gatus is content with whatever a name server says, which a check here is not."""
    return made.kind == "dns" and "rcode" not in made.settings and made.settings.get("matching") == "free"


def _http_condition(condition: str, settings: dict[str, Any]) -> bool:
    kept = settings.setdefault("conditions", [])
    try:
        check_domain_conditions([condition])
    except ValidationError:
        return False
    if len(kept) < MAX_RULES:
        kept.append(condition)
        return True
    return False


def _tls_condition(condition: str, settings: dict[str, Any]) -> bool:
    found = CERTIFICATE.fullmatch(condition)
    lasts = seconds(found[1]) if found else None
    if lasts is None:
        return False
    days = max(1, math.ceil(lasts / DAY), settings.get("fail_days", 0))
    settings["fail_days"] = days
    if days > USUAL_WARNING:
        settings["warn_days"] = days
    return True


def _tcp_condition(condition: str, settings: dict[str, Any]) -> bool:
    found = BODY_HAS.fullmatch(condition)
    if found is None or not settings["script"].endswith(EXPECT_ANY):
        return False
    settings["script"] = settings["script"].removesuffix(EXPECT_ANY) + f'expect "{escaped(found[1])}"'
    return True


def _udp_condition(condition: str, settings: dict[str, Any]) -> bool:
    found = BODY_HAS.fullmatch(condition)
    if found is None or "expected" in settings:
        return False
    settings["expected"] = escaped(found[1])
    return True


def _websocket_condition(condition: str, settings: dict[str, Any]) -> bool:
    found = BODY_HAS.fullmatch(condition)
    if found is None or not settings.get("expect_is_pattern"):
        return False
    settings |= {"expect": found[1], "expect_is_pattern": False}
    return True


def _dns_condition(condition: str, settings: dict[str, Any]) -> bool:
    if RCODE.fullmatch(condition):
        return True  # it stands in the settings already
    wanted = BODY_IS.fullmatch(condition)
    if wanted is None or "matching" in settings:
        return False
    record_type = settings["record_type"]
    if record_type in WHOLE_RECORDS and "(" not in wanted[1]:
        settings |= {"matching": "includes", "expected": wanted[1]}
        return True
    patterns = list(_record_patterns(wanted[1], record_type))
    if not patterns or None in patterns:
        return False
    settings |= {"matching": "pattern", "expected": f"(?i)^(?:{'|'.join(map(str, patterns))})$"}
    return True


def _record_patterns(wanted: str, record_type: str) -> Iterator[str | None]:
    """Yield a pattern for each record that would do, None for what cannot be said by one. Gatus compares the name of an
    MX record, and the name and port of an SRV record; all of a record stands here."""
    call = CALL.fullmatch(wanted)
    options = call[2].split(",") if call and call[1] == "any" else [call[2] if call else wanted]
    for option in map(str.strip, options):
        if not NO_GLOB.fullmatch(option) or ("*" in option and not (call and call[1] == "pat")):
            yield None
        elif record_type == "SRV":
            name, _colon, port = option.rpartition(":")
            yield rf"\d+ \d+ {_pattern_of(port)} {_pattern_of(name)}\.?" if name else None
        elif record_type == "MX":
            yield rf"\d+ {_pattern_of(option)}\.?"
        else:
            yield rf"{_pattern_of(option)}\.?" if record_type in WHOLE_RECORDS else None


def _pattern_of(glob: str) -> str:
    return ".*".join(map(re.escape, glob.removesuffix(".").split("*")))


CONDITIONS: Mapping[str, Callable[[str, dict[str, Any]], bool]] = {
    "http": _http_condition,
    "tls": _tls_condition,
    "tcp": _tcp_condition,
    "udp": _udp_condition,
    "websocket": _websocket_condition,
    "dns": _dns_condition,
    "ssh": lambda condition, settings: bool(EXIT_STATUS.fullmatch(condition)) and "body" not in settings,
    "grpc": lambda condition, _settings: bool(SERVING.fullmatch(condition)),
}
