"""What an HTTP answer must be, beyond its status: each assertion says whether it holds and what was seen."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext_lazy as _

from apps.checks.types.answers import Answer, charset_of, content_of, decoded
from apps.checks.types.base import NO_VALUES, Fact, ProbeFailure
from apps.checks.types.conditions import BODY, Fill, as_written, judge_condition
from apps.checks.types.effort import Effort, TooMuchWork, go_on
from apps.checks.types.json_queries import BadJson, QueryTooSlow, find_values
from apps.checks.types.json_schemas import SchemaTooSlow, first_violation
from apps.checks.types.messages import Message
from apps.checks.types.patterns import PatternTooSlow, bounded_search
from apps.checks.types.rule_lines import as_text, count_of, keeps_text, keeps_values, parse_header_rule, parse_json_rule
from apps.core.http.curl import Reply

MAX_SHOWN_VALUE = 60
MAX_TEXT = 160
MAX_KEPT = 40
MAX_KEPT_TEXT = 3_000
DAY_MS = 86_400_000

ASSERTION_MESSAGES: Mapping[str, Message] = {
    "pattern_missing": (
        _("Nothing in the answer fits the pattern “%(pattern)s”."),
        _("Look at the page or the pattern."),
    ),
    "pattern_present": (
        _("The answer has what fits the pattern “%(pattern)s”."),
        _("Look at the page or the pattern."),
    ),
    "pattern_too_slow": (
        _("The pattern “%(pattern)s” takes too long on this answer."),
        _("Make it simpler: avoid repetitions inside repetitions, and begin with plain text."),
    ),
    "header_mismatch": (
        _("The header does not keep “%(rule)s”; it is “%(seen)s”."),
        _("Look at the server's headers, or change the rule."),
    ),
    "json_mismatch": (
        _("The JSON does not keep “%(rule)s”; there is %(seen)s."),
        _("Look at the answer, or change the rule."),
    ),
    "json_unreadable": (
        _("The answer is not JSON that can be read."),
        _("Look at the answer: it may be a page, cut off, or nested too deeply."),
    ),
    "json_too_slow": (
        _("“%(rule)s” takes too long on this answer."),
        _("Name the way to the value instead of searching with “..” and “*”, or ask for a smaller answer."),
    ),
    "schema_mismatch": (_("The JSON breaks the schema: %(detail)s."), _("Look at the answer, or change the schema.")),
    "schema_too_slow": (
        _("The schema takes too long on this answer."),
        _("Make the schema simpler, or ask for a smaller answer."),
    ),
    "judging_too_slow": (
        _("Judging this answer takes too long; the rules from “%(rule)s” on were left out."),
        _("Use fewer or simpler rules, or ask for a smaller answer."),
    ),
    "body_too_small": (
        _("The answer has %(size)s bytes; at least %(limit)s were expected."),
        _("Look at the page: a part may be missing."),
    ),
    "body_too_large": (
        _("The answer has %(size)s bytes; at most %(limit)s were expected."),
        _("Look at the page, or allow it to be larger."),
    ),
    "response_too_slow": (
        _("The answer took %(elapsed)s ms; %(limit)s ms are allowed."),
        _("Look at the server's load, or allow more time."),
    ),
    "certificate_missing": (_("The connection has no certificate to judge."), _("Use an https address.")),
    "certificate_ends_soon": (
        _("The certificate, or one of its issuers', ends in %(days)s days; at least %(limit)s were expected."),
        _("Renew it and load it into the server; where an issuer's ends first, send the new chain."),
    ),
    "certificate_issuer_mismatch": (
        _("The certificate comes from %(issuer)s, not from %(expected)s."),
        _("Find out who changed it, or change what is expected."),
    ),
    "condition_failed": (
        _("A condition does not hold: %(condition)s."),
        _("Look at the answer, or change the condition."),
    ),
}
ASSERTION_FACTS: Mapping[str, Fact] = {
    "conditions": Fact(_("Conditions")),
    "certificate_days": Fact(_("Certificate ends in"), _("days")),
    "certificate_issuer": Fact(_("Certificate's issuer")),
    "certificate_chain": Fact(_("Certificates in the chain")),
}


class Finding(NamedTuple):
    """What one assertion found; ``code`` and ``values`` become the error where it does not hold."""

    text: str
    code: str = ""
    values: Mapping[str, str | int] = NO_VALUES


Assertion = Callable[[Answer], Finding]


def judge_each(assertions: Iterable[Assertion], answer: Answer, effort: Effort) -> list[Finding]:
    """Judge every assertion within ``effort``; what comes after its end is not judged, which is a fault of its own."""
    findings: list[Finding] = []
    with effort:
        for assertion in assertions:
            try:
                go_on()
                findings.append(assertion(answer))
            except TooMuchWork:
                last = findings[-1].text if findings else "–"
                return [*findings, Finding("…", "judging_too_slow", {"rule": last[:MAX_SHOWN_VALUE]})]
            except ProbeFailure as failure:  # the body cannot be unpacked
                findings.append(Finding("Content-Encoding", failure.code, failure.values))
            except RecursionError:  # read, but nested beyond what can be compared or written out
                findings.append(Finding("JSON", "json_unreadable"))
    return findings


def contains(text: str, *, is_absent: bool = False) -> Assertion:
    """The body has a text, or has it not."""
    shown = f"{'no ' if is_absent else ''}“{text[:MAX_SHOWN_VALUE]}”"

    def judge(answer: Answer) -> Finding:
        if has_text(answer.reply, text) != is_absent:
            return Finding(shown)
        return Finding(shown, "keyword_present" if is_absent else "keyword_missing", {"keyword": text[:200]})

    return judge


def matches(pattern: str, *, is_absent: bool = False) -> Assertion:
    """Something in the body fits a pattern, or nothing does."""
    shown = f"{'no ' if is_absent else ''}/{pattern[:MAX_SHOWN_VALUE]}/"

    def judge(answer: Answer) -> Finding:
        values = {"pattern": pattern[:200]}
        try:
            found = bounded_search(pattern, answer.text) is not None
        except PatternTooSlow:
            return Finding(shown, "pattern_too_slow", values)
        if found != is_absent:
            return Finding(shown)
        return Finding(shown, "pattern_present" if is_absent else "pattern_missing", values)

    return judge


def header_keeps(line: str) -> Assertion:
    """A header keeps a rule."""
    rule = parse_header_rule(line)

    def judge(answer: Answer) -> Finding:
        value = answer.headers.get(rule.subject)
        try:
            if keeps_text(rule, value):
                return Finding(line)
        except PatternTooSlow:
            return Finding(line, "pattern_too_slow", {"pattern": rule.value[:200]})
        seen = "–" if value is None else value[:MAX_SHOWN_VALUE]
        return Finding(f"{line} ({seen})", "header_mismatch", {"rule": line[:200], "seen": seen})

    return judge


def json_keeps(line: str) -> Assertion:
    """What a path finds in the body keeps a rule."""
    rule = parse_json_rule(line)

    def judge(answer: Answer) -> Finding:
        try:
            values = find_values(rule.subject, answer.document)
            if keeps_values(rule, values):
                return Finding(line)
        except BadJson:
            return Finding(f"{line} (no JSON)", "json_unreadable")
        except (QueryTooSlow, PatternTooSlow):
            return Finding(line, "json_too_slow", {"rule": line[:200]})
        seen = (
            str(count_of(rule, values))
            if rule.operator == "count"
            else ", ".join(as_text(value)[:30] for value in values[:3])
        )
        seen = seen[:MAX_SHOWN_VALUE] or "–"
        return Finding(f"{line} ({seen})", "json_mismatch", {"rule": line[:200], "seen": seen})

    return judge


def schema_holds(schema: str) -> Assertion:
    """The body keeps a JSON Schema."""

    def judge(answer: Answer) -> Finding:
        try:
            violation = first_violation(schema, answer.document)
        except BadJson:
            return Finding("JSON Schema (no JSON)", "json_unreadable")
        except SchemaTooSlow:
            return Finding("JSON Schema", "schema_too_slow")
        if not violation:
            return Finding("JSON Schema")
        return Finding(f"JSON Schema ({violation})", "schema_mismatch", {"detail": violation})

    return judge


def has_size(low: int, high: int) -> Assertion:
    """The body has so many bytes, as it was sent; 0 is no limit."""

    def judge(answer: Answer) -> Finding:
        size = len(answer.reply.body)
        text = f"{low or 0} ≤ {size} bytes" + (f" ≤ {high}" if high else "")
        if size < low:
            return Finding(text, "body_too_small", {"size": size, "limit": low})
        if high and size > high:
            return Finding(text, "body_too_large", {"size": size, "limit": high})
        return Finding(text)

    return judge


def comes_within(limit_ms: int) -> Assertion:
    """The answer is whole after so many milliseconds."""

    def judge(answer: Answer) -> Finding:
        elapsed = round(answer.elapsed_ms)
        if answer.elapsed_ms <= limit_ms:
            return Finding(f"{elapsed} ms ≤ {limit_ms} ms")
        return Finding(f"{elapsed} ms ≤ {limit_ms} ms", "response_too_slow", {"elapsed": elapsed, "limit": limit_ms})

    return judge


def certificate_lasts(days: int) -> Assertion:
    """The certificate and those of its issuers that the server sends have so many days left."""

    def judge(answer: Answer) -> Finding:
        left_ms = answer.certificate_ms
        if left_ms is None:
            return Finding("certificate", "certificate_missing")
        left = left_ms // DAY_MS
        text = f"certificate: {left} days ≥ {days}"
        return Finding(text) if left >= days else Finding(text, "certificate_ends_soon", {"days": left, "limit": days})

    return judge


def issued_by(name: str) -> Assertion:
    """The certificate's issuer has a name in it."""

    def judge(answer: Answer) -> Finding:
        issuer = certificate_issuer(answer.reply)
        if not issuer:
            return Finding("certificate", "certificate_missing")
        text = f"certificate of {issuer[:MAX_SHOWN_VALUE]}"
        if name.lower() in issuer.lower():
            return Finding(text)
        return Finding(text, "certificate_issuer_mismatch", {"issuer": issuer[:200], "expected": name})

    return judge


def condition_holds(condition: str, fill: Fill = as_written) -> Assertion:
    """A condition in Gatus' language holds; ``fill`` puts its variables in."""

    def judge(answer: Answer) -> Finding:
        if BODY in condition.upper():
            content_of(answer.reply)  # fails here where it cannot be read: conditions take that for an empty one
        judged = judge_condition(condition, answer.seen, fill)
        return (
            Finding(judged.text) if judged.ok else Finding(judged.text, "condition_failed", {"condition": judged.text})
        )

    return judge


def has_text(reply: Reply, text: str) -> bool:
    """Look for a text as UTF-8 and in the encoding that the server names."""
    if text.encode() in content_of(reply):
        return True
    charset = charset_of(reply)
    is_like_ascii = not charset.startswith(("utf-16", "utf16", "utf-32", "utf32"))
    if charset in ("", "utf-8", "utf8") or (text.isascii() and is_like_ascii):
        return False
    return text in decoded(reply)


def certificate_issuer(reply: Reply) -> str:
    """Return the issuer of the server's own certificate; empty where it was not read."""
    return reply.chain[0].get("Issuer", "") if reply.chain else ""


def shown(findings: Iterable[Finding], *, room: int = MAX_KEPT_TEXT) -> list[dict[str, Any]]:
    """Return findings as `Outcome.details` keeps them: at most ``room`` bytes, those that failed first to be kept."""
    kept: list[tuple[int, dict[str, Any]]] = []
    ordered = sorted(enumerate(findings), key=lambda entry: (not entry[1].code, entry[0]))
    for place, finding in ordered[:MAX_KEPT]:
        text = finding.text if len(finding.text) <= MAX_TEXT else f"{finding.text[: MAX_TEXT - 1]}…"
        room -= len(text.encode("utf-8", "replace")) + 24
        if room < 0:
            break
        kept.append((place, {"text": text, "ok": not finding.code}))
    return [entry for _place, entry in sorted(kept, key=lambda entry: entry[0])]


def certificate_facts(answer: Answer) -> dict[str, Any]:
    """Return what `Outcome.details` says of the certificate, where it was read for an assertion."""
    if not answer.reply.chain or answer.certificate_ms is None:
        return {}
    return {
        "certificate_days": answer.certificate_ms // DAY_MS,
        "certificate_issuer": certificate_issuer(answer.reply)[:200],
        "certificate_chain": len(answer.reply.chain),
    }
