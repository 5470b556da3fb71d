"""The HTTP check: one request, its phases, its status, its words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from time import monotonic
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import Verdict
from apps.checks.types.base import NO_VALUES, Exchange, Fact, Group, Outcome, ProbeContext
from apps.checks.types.messages import Message
from apps.checks.types.status_set import StatusSet, check_status_set, parse_status_set
from apps.core.http.curl import HttpVersion, OutboundRequest, Reply
from apps.core.http.headers import BadHeader, header_lines
from apps.core.http.urls import BadUrl, ParsedUrl, check_url
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, Widget, setting

MAX_REDIRECTS = 10
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
METHODS_WITHOUT_BODY = ("GET", "HEAD")
REDIRECTS = frozenset({301, 302, 303, 307, 308})
REDIRECTS_KEEPING_METHOD = frozenset({307, 308})


def _check_url_field(url: str) -> None:
    try:
        check_url(url)
    except BadUrl as error:
        raise ValidationError(str(error), code=error.code) from error


def _check_headers_field(headers: Mapping[str, str]) -> None:
    try:
        header_lines(headers)
    except BadHeader as error:
        raise ValidationError(str(error), code="bad_header") from error


@dataclass(frozen=True, kw_only=True)
class HttpConfig(BaseConfig):
    """What an HTTP check asks, and what it wants to hear."""

    url: str = setting(
        label=_("URL"),
        help=_("The full address, such as https://example.com/health."),
        widget=Widget.URL,
        placeholder="https://example.com/health",
        check=_check_url_field,
    )
    method: str = setting("GET", label=_("Method"), choices=tuple((name, name) for name in METHODS))
    headers: dict[str, str] = setting(  # noqa: RUF009 - it makes a field
        dict,
        label=_("Headers"),
        help=_("One “Name: value” a line. Values are stored encrypted."),
        is_secret=True,
        max_length=8_000,
        check=_check_headers_field,
    )
    body: str = setting("", label=_("Body"), help=_("Sent as it stands."), widget=Widget.AREA, max_length=64_000)
    expected_status: str = setting(
        "200-299",
        label=_("Expected status"),
        help=_("Single codes, ranges or classes, separated by commas: 200-299, 301, 4xx."),
        max_length=200,
        check=check_status_set,
    )
    keyword: str = setting(
        "",
        label=_("Keyword"),
        help=_("Text that the answer must contain, looked for in its first MiB; upper and lower case matter."),
        max_length=500,
    )
    keyword_absent: bool = setting(
        False,
        label=_("Keyword must be absent"),
        help=_("Fail when the keyword is found instead of when it is missing."),
    )
    follow_redirects: bool = setting(
        True,
        label=_("Follow redirects"),
        help=_("At most ten. Headers set above are sent to the first host only."),
    )
    verify_tls: bool = setting(
        True,
        label=_("Verify the certificate"),
        help=_("Fail when the certificate is expired, unknown or for another name."),
    )
    http_version: str = setting(
        HttpVersion.AUTO.value,
        label=_("HTTP version"),
        choices=((HttpVersion.AUTO.value, _("Best that is offered")), ("1.1", "HTTP/1.1"), ("2", "HTTP/2")),
    )

    def clean(self) -> None:
        errors: dict[str, Any] = {
            name: _("This cannot be empty.")
            for name in ("method", "expected_status", "http_version")
            if not getattr(self, name)
        }
        if self.body and self.method in METHODS_WITHOUT_BODY:
            errors["body"] = _("GET and HEAD carry no body; choose another method or empty the body.")
        if self.keyword and self.method == "HEAD":
            errors["keyword"] = _("The answer to HEAD has no text; choose another method or empty the keyword.")
        if self.keyword_absent and not self.keyword:
            errors["keyword"] = _("Say which text must be absent.")
        if self.http_version == HttpVersion.TWO and self.address.scheme != "https":
            errors["http_version"] = _("HTTP/2 needs an https address.")
        if errors:
            raise ValidationError(errors)

    # Prepared once per configuration, since each is probed thousands of times.

    @cached_property
    def address(self) -> ParsedUrl:
        return check_url(self.url)

    @cached_property
    def request(self) -> OutboundRequest:
        body = self.body.encode() if self.body else None
        headers = dict(self.headers)
        if body is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = _content_type(self.body)
        return OutboundRequest(
            method=self.method,
            url=self.address.url,
            header_lines=header_lines(headers, has_body=body is not None),
            body=body,
            verify_tls=self.verify_tls,
            http_version=HttpVersion(self.http_version),
        )

    @cached_property
    def statuses(self) -> StatusSet:
        return parse_status_set(self.expected_status)


def _content_type(body: str) -> str:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return "text/plain; charset=utf-8"
    return "application/json"


class HttpCheck:
    """Asks one URL and judges the answer's status and text."""

    kind: ClassVar[str] = "http"
    label: ClassVar[Text] = _("HTTP")
    help: ClassVar[Text] = _("Asks a web address and judges status, text and certificate.")
    icon: ClassVar[str] = "world"
    group: ClassVar[Group] = Group.WEB
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = HttpConfig
    messages: ClassVar[Mapping[str, Message]] = {}
    facts: ClassVar[Mapping[str, Fact]] = {}

    def sample(self) -> HttpConfig:
        return HttpConfig(url="https://example.com/health", keyword="ok", headers={"Accept": "text/plain"})

    def target(self, config: BaseConfig) -> str:
        """Return the URL without its query, which may hold a secret."""
        return cast("HttpConfig", config).url.partition("?")[0].partition("#")[0]

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("HttpConfig", config)
        request, address = wanted.request, wanted.address
        deadline = monotonic() + context.timeout_seconds
        steps: list[Exchange] = []
        problem, values = "", NO_VALUES
        while True:
            seconds = max(0.001, deadline - monotonic())
            step = await context.http.exchange(request, address, context=context, timeout_seconds=seconds)
            steps.append(step)
            if step.reply.failure or not _leads_on(step.reply, wanted):
                break
            if len(steps) > MAX_REDIRECTS:
                problem, values = "too_many_redirects", {"count": MAX_REDIRECTS}
                break
            try:
                onward = check_url(step.reply.redirect_url)
            except BadUrl as error:
                problem, values = "bad_redirect", {"reason": error.code}
                break
            request, address = _onward(request, step.reply.status, address, onward), onward
        if not problem and step.reply.failure is None:
            problem, values = _judge(step.reply, wanted)
        return _outcome(steps, problem, values)


def _leads_on(reply: Reply, wanted: HttpConfig) -> bool:
    return wanted.follow_redirects and reply.status in REDIRECTS and bool(reply.redirect_url)


def _onward(request: OutboundRequest, status: int, here: ParsedUrl, there: ParsedUrl) -> OutboundRequest:
    """Return the request to the next place: what is secret stays with the host that it was meant for."""
    lines = request.header_lines if here.origin == there.origin else ()
    if status in REDIRECTS_KEEPING_METHOD or request.method in METHODS_WITHOUT_BODY:
        return replace(request, url=there.url, header_lines=lines if request.body is None or lines else (b"Expect:",))
    return replace(request, url=there.url, header_lines=lines, method="GET", body=None)


def _judge(reply: Reply, wanted: HttpConfig) -> tuple[str, Mapping[str, str | int]]:
    """Return the problem with an answer and its values, or an empty code."""
    if reply.status not in wanted.statuses:
        return "status_mismatch", {"status": reply.status, "expected": wanted.expected_status}
    if wanted.keyword and _contains(reply, wanted.keyword) == wanted.keyword_absent:
        return ("keyword_present" if wanted.keyword_absent else "keyword_missing"), {"keyword": wanted.keyword}
    if wanted.http_version == HttpVersion.TWO and reply.http_version != "2":
        return "http_version_mismatch", {"version": reply.http_version}
    return "", NO_VALUES


def _contains(reply: Reply, keyword: str) -> bool:
    """Look for the keyword as UTF-8 and in the encoding that the server names."""
    if keyword.encode() in reply.body:
        return True
    charset = reply.content_type.lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
    if not charset or keyword.isascii():
        return False
    try:
        return keyword.encode(charset) in reply.body
    except (LookupError, UnicodeError):
        return False


def _outcome(steps: list[Exchange], problem: str, values: Mapping[str, str | int]) -> Outcome:
    """Sum the phases of all steps; status, address and certificate are those of the last."""
    last = steps[-1].reply
    if last.failure is not None:
        problem, values = last.failure.code, last.failure.values
    phases = [_phases(step) for step in steps]
    dns, connect, tls, first_byte, transfer, total = (
        phases[0] if len(steps) == 1 else map(_sum, zip(*phases, strict=True))
    )
    is_ours = last.failure is not None and last.failure.is_ours
    return Outcome(
        verdict=Verdict.UNKNOWN if is_ours else Verdict.FAILURE if problem else Verdict.SUCCESS,
        error_code=problem,
        error_values=values,
        dns_ms=dns,
        connect_ms=connect,
        tls_ms=tls,
        first_byte_ms=first_byte,
        transfer_ms=transfer,
        total_ms=total,
        status_code=last.status or None,
        remote_ip=last.remote_ip or None,
        body_bytes=len(last.body),
        is_truncated=last.is_truncated,
        http_version=last.http_version,
        cert_expires_at=last.cert_expires_at,
        redirects=len(steps) - 1,
    )


def _phases(step: Exchange) -> tuple[float | None, ...]:
    """Return dns, connect, tls, first byte, transfer and total in milliseconds; None for a phase that was not finished."""
    reply, dns = step.reply, step.dns_us
    ready = reply.secured_us or reply.connected_us
    begun = reply.sent_us or ready
    return (
        _ms(dns) if dns else None,
        _ms(reply.connected_us - reply.resolved_us) if reply.connected_us else None,
        _ms(reply.secured_us - reply.connected_us) if reply.secured_us else None,
        _ms(reply.first_byte_us - begun) if reply.status else None,
        _ms(reply.total_us - reply.first_byte_us) if reply.status else None,
        _ms(dns + reply.total_us),
    )


def _ms(microseconds: int) -> float:
    return round(max(0, microseconds) / 1_000, 2)


def _sum(values: tuple[float | None, ...]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 2) if known else None
