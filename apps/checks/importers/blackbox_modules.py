"""What a blackbox_exporter module asks of a target, as the settings of our kinds.

Its options are those of the exporter's CONFIGURATION.md and, for HTTP, of the client configuration that all of Prometheus
shares. Each is carried, passed by since it makes no difference here, or told by its name (`Options`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import takewhile
from typing import Any

from apps.checks.importers.blackbox_http import http_settings
from apps.checks.importers.blackbox_options import Options, lose_other_name, take_tls
from apps.checks.importers.hosted import escaped, host_of, port_of
from apps.checks.importers.wish import integer, is_true
from apps.checks.types.dns import RCODES, RECORD_TYPES, Matching

Settings = dict[str, Any]
LINE_END = re.compile(r"(?<!\\)\$\Z")
STEP_OPTIONS = frozenset({"expect", "send", "starttls", "labels"})
ICMP_BYTES = (8, 1_400)
DNS_PORT, DNS_TLS_PORT = 53, 853


@dataclass(frozen=True, slots=True)
class Made:
    """Our kind and settings for a module and a target.

    ``beside`` are options that stay behind and do not matter to the verdict, ``lost`` those without which it would be
    another.
    """

    kind: str
    settings: Settings
    beside: tuple[str, ...]
    lost: tuple[str, ...]


def module_settings(module: Mapping[str, Any], address: str, *, hostname: str = "") -> Made | None:
    """Return what a module asks of a target, and of its ``hostname`` where that is given; None for an unknown prober."""
    prober = str(module.get("prober") or "")
    found = PROBERS.get(prober)
    if found is None:
        return None
    kind, read = found
    whole = Options(_with_hostname(module, prober, hostname) if hostname else module)
    whole.pass_by("timeout", *PROBERS, "prober")
    options = whole.part(prober, path="")
    _take_family(options, address)
    settings = read(options, address)
    return Made(kind, settings, tuple(whole.beside()), tuple(whole.lost()))


def _with_hostname(module: Mapping[str, Any], prober: str, hostname: str) -> Mapping[str, Any]:
    """Return the module as the exporter has it where a job names another host than the one it connects to."""
    own = module.get(prober)
    given = own if isinstance(own, Mapping) else {}
    if prober == "http":
        headers = given.get("headers")
        named = {**(headers if isinstance(headers, Mapping) else {}), "Host": hostname}
        return {**module, prober: {**given, "headers": named}}
    tls = given.get("tls_config")
    named = {"server_name": hostname, **(tls if isinstance(tls, Mapping) else {})}
    return {**module, prober: {**given, "tls_config": named}} if prober == "tcp" else module


def _take_family(options: Options, address: str) -> None:
    """Tell where a name must have addresses of one family: here the first that answers counts.

    Without IPv4 there is little that would answer instead; a check for IPv6, though, would be up by IPv4.
    """
    wanted = options.text("preferred_ip_protocol")
    if options.flag("ip_protocol_fallback", default=True) or _is_ip(host_of(address)):
        return
    if wanted == "ip4":
        options.set_aside("ip_protocol_fallback")
    else:
        options.lose("ip_protocol_fallback")


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _take_source(options: Options) -> None:
    """Tell of the address to ask from: another machine asks now anyway."""
    if options.text("source_ip_address"):
        options.set_aside("source_ip_address")


# --- TCP ---------------------------------------------------------------------------------------------------------


def _tcp(options: Options, address: str) -> Settings:
    _take_source(options)
    steps = _sayable_steps(options)
    is_secured = options.flag("tls")
    settings: Settings = {
        "host": host_of(address),
        "port": port_of(address),
        "tls": is_secured,
        "script": "\n".join(_lines(steps)),
    }
    if is_secured or any(is_true(step.get("starttls", False)) for step in steps):
        tls = options.part("tls_config")
        settings |= {"verify_tls": take_tls(tls), "server_name": tls.text("server_name")}
    options.pass_by("tls_config")
    return settings


def _sayable_steps(options: Options) -> list[Mapping[str, Any]]:
    """Return the steps up to the first that no script here can say."""
    given = options.take("query_response")
    listed = given if isinstance(given, list) else []
    steps = list(takewhile(_is_sayable, listed))
    if len(steps) < len(listed):
        options.lose("query_response")
    if any(step.get("labels") for step in steps):
        options.set_aside("query_response.labels")  # of a metric
    return steps


def _is_sayable(step: Any) -> bool:
    """Tell whether a step sends nothing of what it matched (``${1}``), and wants nothing else that we do not know."""
    if not isinstance(step, Mapping) or not STEP_OPTIONS.issuperset(step):
        return False
    return not (step.get("expect") and "$" in str(step.get("send") or ""))


def _lines(steps: list[Mapping[str, Any]]) -> Iterator[str]:
    for step in steps:
        if step.get("expect"):
            yield f"expect /{_of_line(str(step['expect']))}/"
        if step.get("send"):
            yield f"send {_quoted(str(step['send']))}"
        if is_true(step.get("starttls", False)):
            yield "starttls"


def _of_line(pattern: str) -> str:
    """Return a pattern for a line without its end, as the exporter reads them, for lines that end in CR and LF."""
    return LINE_END.sub(lambda _end: r"\r?$", pattern)


def _quoted(text: str) -> str:
    """Return a line as our script writes it; the exporter ends each with a line feed."""
    return f'"{escaped(text)}\\n"'


# --- The others --------------------------------------------------------------------------------------------------


def _icmp(options: Options, address: str) -> Settings:
    _take_source(options)
    low, high = ICMP_BYTES
    size = integer(options.take("payload_size", 0))
    if size and not low <= size <= high:
        options.lose("payload_size")
        size = None
    return {"host": host_of(address), "size": size or None}


def _dns(options: Options, address: str) -> Settings:
    _take_source(options)
    host = host_of(address)
    is_secured = options.flag("dns_over_tls")
    if is_secured:
        tls = options.part("tls_config")
        lose_other_name(tls, host)
        if not take_tls(tls):
            tls.lose("insecure_skip_verify")
    options.pass_by("tls_config")
    if options.text("query_class").upper() not in ("", "IN"):
        options.lose("query_class")
    for section in ("answer", "authority", "additional"):
        options.part(f"validate_{section}_rrs")  # whole lines of the answer, which no check here looks at
    name = options.text("query_name")
    return {
        "name": name.rstrip(".") or name,
        "record_type": _record_type(options),
        "server": host,
        "port": port_of(address) or (DNS_TLS_PORT if is_secured else DNS_PORT),
        "transport": "tls" if is_secured else options.text("transport_protocol"),
        "is_recursive": options.flag("recursion_desired", default=True),
        "rcode": _rcode(options),
        "matching": Matching.FREE.value,  # the exporter is content with an answer without records
    }


def _record_type(options: Options) -> str:
    wanted = options.text("query_type").upper() or "ANY"
    if wanted in RECORD_TYPES:
        return wanted
    options.lose(f"query_type {wanted}")
    return ""


def _rcode(options: Options) -> str:
    """Return the one status that is expected."""
    wanted = options.texts("valid_rcodes") or ["NOERROR"]
    if len(wanted) == 1 and wanted[0] in RCODES:
        return wanted[0]
    options.lose("valid_rcodes")
    return ""


def _grpc(options: Options, address: str) -> Settings:
    is_secured = options.flag("tls")
    settings: Settings = {
        "host": host_of(address),
        "port": port_of(address),
        "service": options.text("service"),
        "uses_tls": is_secured,
    }
    if is_secured:
        tls = options.part("tls_config")
        settings |= {
            "verify_tls": take_tls(tls),
            "authority": tls.text("server_name"),
            "client_certificate": tls.take("cert"),
            "client_key": tls.take("key"),
        }
    options.pass_by("tls_config")
    return settings


Prober = Callable[[Options, str], Settings]
PROBERS: Mapping[str, tuple[str, Prober]] = {
    "http": ("http", http_settings),
    "tcp": ("tcp", _tcp),
    "icmp": ("icmp", _icmp),
    "dns": ("dns", _dns),
    "grpc": ("grpc", _grpc),
}
