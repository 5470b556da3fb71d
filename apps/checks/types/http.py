"""The HTTP check: one address, its phases, its status, and whatever else is asserted of the answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_lazy as _

from apps.checks.enums import Verdict
from apps.checks.types.assertions import (
    ASSERTION_FACTS,
    ASSERTION_MESSAGES,
    Assertion,
    Finding,
    certificate_facts,
    has_text,
    judge_each,
    shown,
)
from apps.checks.types.base import NO_DETAILS, NO_VALUES, Fact, Group, Outcome, ProbeContext, ProbeFailure
from apps.checks.types.effort import Effort
from apps.checks.types.figures import Figure, failed_by_pattern, phases
from apps.checks.types.hiding import hide_secrets
from apps.checks.types.http_config import HttpConfig
from apps.checks.types.http_visit import Visit, outcome_of, visit
from apps.checks.types.messages import Message
from apps.checks.types.oauth import OAUTH_MESSAGES, TokenKeeper
from apps.checks.types.rdap import RegistryFailure, look_up
from apps.core.http.curl import HttpVersion, OutboundRequest, Reply
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text

__all__ = ["HttpCheck", "HttpConfig"]

UNAUTHORIZED = 401
PATTERN_ERRORS = frozenset({"pattern_missing", "pattern_present", "pattern_too_slow", "header_mismatch"})

HTTP_MESSAGES: Mapping[str, Message] = {
    "redirect_elsewhere": (
        _("The server redirected to another host (%(host)s)."),
        _("Check its redirect, or let the check follow redirects to other hosts."),
    ),
    **OAUTH_MESSAGES,
    **ASSERTION_MESSAGES,
}


class HttpCheck:
    """Asks one URL and judges the answer."""

    kind: ClassVar[str] = "http"
    label: ClassVar[Text] = _("HTTP")
    help: ClassVar[Text] = _("Asks a web address and judges status, text and certificate.")
    icon: ClassVar[str] = "world"
    group: ClassVar[Group] = Group.WEB
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = HttpConfig
    messages: ClassVar[Mapping[str, Message]] = HTTP_MESSAGES
    facts: ClassVar[Mapping[str, Fact]] = ASSERTION_FACTS

    def sample(self) -> HttpConfig:
        return HttpConfig(url="https://example.com/health", keyword="ok", headers={"Accept": "text/plain"})

    def target(self, config: BaseConfig) -> str:
        """Return the URL without its query, which may hold a secret."""
        return cast("HttpConfig", config).url.partition("?")[0].partition("#")[0]

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("HttpConfig", config)
        deadline = monotonic() + context.timeout_seconds
        if wanted.token_keeper is None:
            visited = await _visit(wanted, wanted.request, context, deadline)
            return await _outcome(visited, wanted, context, deadline)
        try:
            visited, token = await _visit_with_token(wanted, wanted.token_keeper, context, deadline)
        except ProbeFailure as failure:
            return _without_answer(failure)
        outcome = await _outcome(visited, wanted, context, deadline)
        hide_secrets(outcome, [token])
        return outcome

    def figures(self, outcome: Outcome) -> Iterator[Figure]:
        yield "probe_http_status_code", "The answer's status.", "", outcome.status_code or 0
        yield failed_by_pattern(outcome, PATTERN_ERRORS)
        yield "probe_http_redirects", "How many redirects were followed.", "", outcome.redirects
        yield "probe_http_ssl", "Whether the last connection was secured.", "", float(outcome.tls_ms is not None)
        size = outcome.body_bytes or 0
        yield "probe_http_uncompressed_body_length", "How many bytes of the body were read.", "", size
        if outcome.http_version:
            yield "probe_http_version", "The version of HTTP.", "", float(outcome.http_version)
        measured = {
            "resolve": outcome.dns_ms,
            "connect": outcome.connect_ms,
            "tls": outcome.tls_ms,
            "processing": outcome.first_byte_ms,
            "transfer": outcome.transfer_ms,
        }
        yield from phases("probe_http_duration_seconds", measured.items())


async def _visit(wanted: HttpConfig, request: OutboundRequest, context: ProbeContext, deadline: float) -> Visit:
    return await visit(
        request, wanted.address, wanted.redirecting, context=context, deadline=deadline, jar=wanted.new_jar()
    )


async def _visit_with_token(
    wanted: HttpConfig, keeper: TokenKeeper, context: ProbeContext, deadline: float
) -> tuple[Visit, str]:
    """Ask with a token, and once more with a fresh one where a kept one is no longer taken: servers forget them."""
    while True:
        is_kept = keeper.has_token
        token = await keeper.token(context, deadline)
        line = f"Authorization: Bearer {token}".encode()
        request = replace(wanted.request, header_lines=(*wanted.request.header_lines, line))
        visited = await _visit(wanted, request, context, deadline)
        if visited.reply.status != UNAUTHORIZED:
            return visited, token
        keeper.forget()
        has_time = deadline - monotonic() > context.timeout_seconds / 2
        if not (is_kept and has_time):
            return visited, token


async def _outcome(visited: Visit, wanted: HttpConfig, context: ProbeContext, deadline: float) -> Outcome:
    if visited.code and wanted.expects_silence and visited.is_unanswered:
        return outcome_of(visited.steps, details={"conditions": shown([Finding("[CONNECTED] == false")])})
    if visited.code:
        return outcome_of(visited.steps, code=visited.code, values=visited.values, is_ours=visited.is_ours)
    if not wanted.assertions:
        code, values = _judge(visited.reply, wanted)
        return outcome_of(visited.steps, code=code, values=values)
    if not wanted.asks_domain:
        return _judge_all(visited, wanted.assertions, wanted)
    try:
        domain_ends_at = await _domain_end(wanted, context, deadline)
    except RegistryFailure as failure:
        # What the target itself got wrong is known without the registry, and comes first.
        outcome = _judge_all(visited, wanted.assertions_without_domain, wanted)
        if outcome.error_code:
            return outcome
        return outcome_of(
            visited.steps, code=failure.code, values=failure.values, is_ours=failure.is_ours, details=outcome.details
        )
    return _judge_all(visited, wanted.assertions, wanted, domain_ends_at)


def _without_answer(failure: ProbeFailure) -> Outcome:
    verdict = Verdict.UNKNOWN if failure.is_ours else Verdict.FAILURE
    return Outcome(verdict=verdict, error_code=failure.code, error_values=failure.values)


def _judge(reply: Reply, wanted: HttpConfig) -> tuple[str, Mapping[str, str | int]]:
    """Return the problem with an answer's status, keyword or version and its values, or an empty code."""
    if reply.status not in wanted.statuses:
        return "status_mismatch", {"status": reply.status, "expected": wanted.expected_status}
    try:
        if wanted.keyword and has_text(reply, wanted.keyword) == wanted.keyword_absent:
            return ("keyword_present" if wanted.keyword_absent else "keyword_missing"), {"keyword": wanted.keyword}
    except ProbeFailure as failure:  # the body cannot be unpacked
        return failure.code, failure.values
    if wanted.http_version in (HttpVersion.TWO, HttpVersion.THREE) and reply.http_version != wanted.http_version:
        return "http_version_mismatch", {"version": reply.http_version}
    return "", NO_VALUES


async def _domain_end(wanted: HttpConfig, context: ProbeContext, deadline: float) -> datetime | None:
    """Ask the registry when the domain ends; its word is kept for an hour."""
    left = max(0.001, deadline - monotonic())
    registration, _asked = await look_up(wanted.address.host, replace(context, timeout_seconds=left))
    return registration.expires_at


def _judge_all(
    visited: Visit, assertions: Sequence[Assertion], wanted: HttpConfig, domain_ends_at: datetime | None = None
) -> Outcome:
    """Judge every assertion: all are shown, and the first that failed is the error."""
    answer = visited.answer(domain_ends_at)
    code, values = _judge(visited.reply, wanted)
    first = Finding(f"{visited.reply.status} in {wanted.expected_status}", code, values)
    findings = [first, *judge_each(assertions, answer, Effort())]
    failed = next((finding for finding in findings if finding.code), first)
    details: Mapping[str, Any] = {"conditions": shown(findings), **certificate_facts(answer)}
    return outcome_of(visited.steps, code=failed.code, values=failed.values, details=details or NO_DETAILS)
