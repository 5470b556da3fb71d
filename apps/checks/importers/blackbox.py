"""blackbox_exporter's modules with Prometheus' targets: several files, or documents of one divided by ``---``."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import MAX_DOCUMENTS, Found, Reading, SourceError, read_each, refuse_beyond
from apps.checks.importers.hosted import as_url, escaped, host_of, port_of
from apps.checks.importers.wish import (
    Gathering,
    Wish,
    basic_login,
    bearer_login,
    is_true,
    oauth_login,
    seconds,
    text_pairs,
)
from apps.core.kinds import Text

DIVIDER = re.compile(rb"^---[ \t]*\r?$", re.MULTILINE)
DEFAULT_MODULE = {"prober": "http"}
DEFAULT_STATUSES = "200-299"
LINE_END = re.compile(r"(?<!\\)\$\Z")


class Blackbox:
    """Each target of a job that asks ``/probe`` becomes a check made of its module."""

    kind: ClassVar[str] = "blackbox"
    label: ClassVar[Text] = _("blackbox_exporter")
    help: ClassVar[Text] = _("blackbox.yml together with prometheus.yml, or with target files in YAML or JSON.")
    icon: ClassVar[str] = "flame"

    def sample(self) -> bytes:
        return (
            b"modules: {http_2xx: {prober: http, timeout: 5s}}\n---\n"
            b"- targets: [https://shop.example/]\n  labels: {env: prod}\n"
        )

    def read(self, *files: bytes) -> Found:
        sources = _Sources()
        for file, documents in read_each(files, _documents):
            for document in documents:
                sources.take(document, file)
                refuse_beyond(len(sources.targets))
        if not sources.targets:
            raise SourceError(_("There are no targets: add prometheus.yml or a target file, divided by a line “---”."))
        gathering = Gathering("blackbox")
        for job in sources.unread:
            gathering.lose(job, "", _("Only static targets are read; paste what its discovery finds as a target file."))
        for target in sources.targets:
            _gather(target, sources.modules, gathering)
        return gathering.found()


def _documents(raw: bytes, reading: Reading) -> list[Any]:
    return [_document(part, number, reading) for number, part in enumerate(DIVIDER.split(raw, maxsplit=MAX_DOCUMENTS))]


def _document(part: bytes, number: int, reading: Reading) -> Any:
    try:
        return reading.document(part)
    except SourceError as error:
        raise SourceError(f"[{number}] {error}") from error


@dataclass(frozen=True, slots=True)
class _Target:
    where: str
    address: str
    module: str
    job: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    interval: float | None = None


class _Sources:
    """What the documents bring: modules, targets, and jobs whose targets are found elsewhere."""

    def __init__(self) -> None:
        self.modules: dict[str, Mapping[str, Any]] = {}
        self.targets: list[_Target] = []
        self.unread: list[str] = []

    def take(self, document: Any, file: str) -> None:
        """Add what a document brings; ``file`` is written before its places."""
        if isinstance(document, list):
            self.targets.extend(_targets(document, f"{file}targets", "", "", None))
        if not isinstance(document, Mapping):
            return
        modules = document.get("modules")
        if isinstance(modules, Mapping):
            self.modules.update({name: module for name, module in modules.items() if isinstance(module, Mapping)})
        overall = document.get("global")
        interval = seconds(overall.get("scrape_interval", "1m")) if isinstance(overall, Mapping) else 60
        jobs = document.get("scrape_configs")
        for place, job in enumerate(jobs if isinstance(jobs, list) else ()):
            if isinstance(job, Mapping) and _is_probing(job):
                self._take_job(job, f"{file}scrape_configs[{place}]", interval)

    def _take_job(self, job: Mapping[str, Any], where: str, interval: float | None) -> None:
        params = job.get("params")
        modules = params.get("module") if isinstance(params, Mapping) else None
        module = str(modules[0]) if isinstance(modules, list) and modules else ""
        own = seconds(job.get("scrape_interval")) or interval
        static = job.get("static_configs")
        name = str(job.get("job_name") or "")
        self.targets.extend(_targets(static if isinstance(static, list) else [], where, name, module, own))
        if any(part.endswith("_sd_configs") for part in job):
            self.unread.append(where)


def _is_probing(job: Mapping[str, Any]) -> bool:
    params = job.get("params")
    return job.get("metrics_path") == "/probe" or (isinstance(params, Mapping) and "module" in params)


def _targets(groups: list[Any], where: str, job: str, module: str, interval: float | None) -> Iterator[_Target]:
    for place, group in enumerate(groups):
        if not isinstance(group, Mapping) or not isinstance(group.get("targets"), list):
            continue
        labels = text_pairs(group.get("labels"))
        own = labels.pop("__param_module", "") or labels.get("module", "") or module
        shown = {name: text for name, text in labels.items() if not name.startswith("__") and name != "module"}
        for number, address in enumerate(group["targets"]):
            yield _Target(f"{where}[{place}].targets[{number}]", str(address), own, job, shown, interval)


def _gather(target: _Target, modules: Mapping[str, Mapping[str, Any]], gathering: Gathering) -> None:
    name = target.labels.get("instance") or target.labels.get("name") or target.address
    module_name = target.module or (next(iter(modules)) if len(modules) == 1 else "http_2xx")
    module = modules.get(module_name)
    if module is None:
        gathering.lose(
            target.where,
            name,
            _("The module “%(module)s” is not given: a plain HTTP check is made.") % {"module": module_name},
        )
        module = DEFAULT_MODULE
    kind, settings, lost = module_settings(module, target.address)
    for text in lost:
        gathering.lose(target.where, name, text, is_whole=kind is None)
    if kind is None:
        return
    labels = [f"{label}:{text}" for label, text in target.labels.items() if label not in ("instance", "name")]
    gathering.add(
        Wish(
            where=target.where,
            name=name,
            source_id=f"{target.job}-{target.address}",
            kind=kind,
            settings=settings,
            interval_seconds=target.interval,
            timeout_seconds=seconds(module.get("timeout")) or None,
            retries=0,
            tags=tuple(filter(None, [target.job, *labels])),
        )
    )


# --- Modules -----------------------------------------------------------------------------------------------------


def module_settings(module: Mapping[str, Any], address: str) -> tuple[str | None, dict[str, Any], list[Text]]:
    """Return our kind and settings for a module and a target, and what of the module stays behind."""
    prober = str(module.get("prober") or "")
    own = module.get(prober)
    given: Mapping[str, Any] = own if isinstance(own, Mapping) else {}
    make = PROBERS.get(prober)
    if make is None:
        return None, {}, [_("Nothing here is like the prober “%(prober)s”.") % {"prober": prober}]
    kind, settings, known = make(given, address)
    lost: list[Text] = [
        _("“%(option)s” of the module stays behind.") % {"option": name} for name in given if name not in known
    ]
    return kind, settings, lost


Made = tuple[str, dict[str, Any], frozenset[str]]
HARMLESS = frozenset({"preferred_ip_protocol", "ip_protocol_fallback", "enable_http2", "enable_http3"})
HTTP_KNOWN = HARMLESS | {
    *("valid_status_codes", "method", "headers", "body", "basic_auth", "bearer_token", "authorization", "tls_config"),
    *("no_follow_redirects", "follow_redirects", "fail_if_body_not_matches_regexp", "fail_if_body_matches_regexp"),
    *("fail_if_header_not_matches", "fail_if_header_matches", "fail_if_not_ssl", "oauth2", "proxy_url"),
}


def _http(given: Mapping[str, Any], address: str) -> Made:
    statuses = given.get("valid_status_codes")
    follows = given.get("follow_redirects", not is_true(given.get("no_follow_redirects", False)))
    settings: dict[str, Any] = {
        "url": as_url(address, scheme="http"),
        "method": str(given.get("method") or "GET").upper(),
        "headers": text_pairs(given.get("headers")),
        **_login(given),
        "body": given.get("body"),
        "expected_status": ", ".join(map(str, statuses))
        if isinstance(statuses, list) and statuses
        else DEFAULT_STATUSES,
        "verify_tls": not _is_insecure(given),
        "follow_redirects": is_true(follows),
        "proxy": given.get("proxy_url"),
    }
    settings |= {
        "patterns": _texts(given.get("fail_if_body_not_matches_regexp")),
        "patterns_absent": _texts(given.get("fail_if_body_matches_regexp")),
        "header_rules": list(_header_rules(given)),
    }
    if is_true(given.get("fail_if_not_ssl", False)):
        settings["url"] = settings["url"].replace("http://", "https://", 1)
    return "http", settings, HTTP_KNOWN


def _login(given: Mapping[str, Any]) -> dict[str, Any]:
    basic, wider, oauth = given.get("basic_auth"), given.get("authorization"), given.get("oauth2")
    if isinstance(basic, Mapping):
        return basic_login(basic.get("username"), basic.get("password"))
    if isinstance(oauth, Mapping):
        names = ("token_url", "client_id", "client_secret", "scopes")
        return oauth_login(*(oauth.get(name) for name in names))
    return bearer_login(given.get("bearer_token") or (isinstance(wider, Mapping) and wider.get("credentials")))


def _texts(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else []


def _header_rules(given: Mapping[str, Any]) -> Iterator[str]:
    for option, operator in (("fail_if_header_not_matches", "~"), ("fail_if_header_matches", "!~")):
        rules = given.get(option)
        for rule in rules if isinstance(rules, list) else ():
            if isinstance(rule, Mapping):
                yield f"{rule.get('header')}: {operator} {rule.get('regexp')}"


def _is_insecure(given: Mapping[str, Any]) -> bool:
    tls = given.get("tls_config")
    return isinstance(tls, Mapping) and is_true(tls.get("insecure_skip_verify", False))


def _tcp(given: Mapping[str, Any], address: str) -> Made:
    settings = {
        "host": host_of(address),
        "port": port_of(address),
        "tls": is_true(given.get("tls", False)),
        "verify_tls": not _is_insecure(given),
        "script": "\n".join(_lines(_plain_steps(given.get("query_response")))),
    }
    is_whole = _plain_steps(given.get("query_response")) == given.get("query_response", [])
    return "tcp", settings, HARMLESS | {"tls", "tls_config"} | ({"query_response"} if is_whole else set())


def _plain_steps(steps: Any) -> list[Any]:
    """Return the steps up to the first that sends back what an earlier one matched (``${1}``): no script here does."""
    listed = steps if isinstance(steps, list) else []
    return list(takewhile(lambda step: not (isinstance(step, Mapping) and "${" in str(step.get("send"))), listed))


def _lines(steps: list[Any]) -> Iterator[str]:
    for step in steps:
        if isinstance(step, Mapping):
            if step.get("expect"):
                yield f"expect /{_of_line(str(step['expect']))}/"
            if step.get("send") is not None:
                yield f"send {_quoted(str(step['send']))}"
            if is_true(step.get("starttls", False)):
                yield "starttls"


def _of_line(pattern: str) -> str:
    """Return a pattern for a line without its end, as the exporter reads them, for lines that end in CR and LF."""
    return LINE_END.sub(lambda _end: r"\r?$", pattern)


def _quoted(text: str) -> str:
    """Return a line as our script writes it; the exporter ends each with a line feed."""
    return f'"{escaped(text)}\\n"'


def _icmp(_given: Mapping[str, Any], address: str) -> Made:
    return "icmp", {"host": host_of(address)}, HARMLESS


def _dns(given: Mapping[str, Any], address: str) -> Made:
    settings = {
        "name": str(given.get("query_name") or "").rstrip("."),
        "record_type": given.get("query_type") or "ANY",
        "server": host_of(address),
        "port": port_of(address),
        **_answers(given),
    }
    return "dns", settings, HARMLESS | {"query_name", "query_type", "valid_rcodes", "validate_answer_rrs"}


def _answers(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the answer must be: one status and one pattern at most."""
    codes, answers = given.get("valid_rcodes"), given.get("validate_answer_rrs")
    found: dict[str, Any] = {"rcode": codes[0]} if isinstance(codes, list) and codes else {}
    patterns = _texts(answers.get("fail_if_not_matches_regexp")) if isinstance(answers, Mapping) else []
    return {**found, "matching": "pattern", "expected": patterns[0]} if patterns else found


def _grpc(given: Mapping[str, Any], address: str) -> Made:
    settings = {
        "host": host_of(address),
        "port": port_of(address),
        "service": given.get("service"),
        "uses_tls": is_true(given.get("tls", False)),
        "verify_tls": not _is_insecure(given),
    }
    return "grpc", settings, HARMLESS | {"service", "tls", "tls_config"}


PROBERS = {"http": _http, "tcp": _tcp, "icmp": _icmp, "dns": _dns, "grpc": _grpc}
