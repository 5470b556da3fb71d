"""Gatus: its YAML configuration."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found, Reading, SourceError, read_each, refuse_beyond
from apps.checks.importers.gatus_context import Unsayable
from apps.checks.importers.gatus_endpoints import (
    Endpoint,
    Made,
    client_of,
    conditions_of,
    is_blind,
    made_of,
    put_condition,
)
from apps.checks.importers.gatus_suites import USUAL_INTERVAL, walk_of
from apps.checks.importers.gatus_windows import ALERTS_ALONE, is_in_force, schedule_of
from apps.checks.importers.windows import Unsaid, Window, named_by_time
from apps.checks.importers.wish import Gathering, Wish, is_true, seconds, text_pairs
from apps.checks.types.heartbeat import YEAR_SECONDS
from apps.core.kinds import Text

LISTS = ("endpoints", "external-endpoints", "suites")
BEHIND: Mapping[str, Text] = {
    "alerts": _("Its alerts stay behind; make alert rules here."),
}
SECTIONS: Mapping[str, Text] = {"alerting": BEHIND["alerts"]}
MAINTENANCE, WINDOWS = "maintenance", "maintenance-windows"  # of a whole file, and of an endpoint
ASIDE = frozenset({*BEHIND, WINDOWS})
NAMES = ("name", "group", "extra-labels")  # which judge nothing
TAKEN = frozenset({*NAMES, *ASIDE, "enabled", "url", "method", "body", "graphql", "headers", "interval", "conditions"})
TAKEN_BY_ENDPOINTS = TAKEN | {"dns", "ssh", "client"}
TAKEN_BY_EXTERNAL = frozenset({"name", "group", *ASIDE, "enabled", "token", "heartbeat"})
TAKEN_BY_STEPS = (TAKEN_BY_ENDPOINTS - {WINDOWS}) | {"store", "always-run"}  # a window would be for all steps
TAKEN_BY_SUITES = frozenset({"name", "group", *BEHIND, "enabled", "interval", "timeout", "context", "endpoints"})
LEAST_GRACE = 60  # Gatus notices a silence an interval later at most; less than this no heartbeat has here
NEGATED = re.compile(r"\[CONNECTED\]\s*(?:==\s*false|!=\s*true)", re.IGNORECASE)
SLOW = re.compile(r"\[RESPONSE_TIME\]\s*<=?\s*(\w+)", re.IGNORECASE)

# Gatus puts its environment into the text of the file, as Go's os.ExpandEnv reads it, before it is YAML: "${A}" may stand
# where YAML takes no brace. Signs of nobody's stand for variables, and for the "$" of "$$", while the file is read.
VARIABLE = re.compile(rb"\$(?:(\$)|\{([^}\n]{1,200})\}|([*#@!?0-9-]|\w+))")
OPEN, CLOSE, DOLLAR = "\U0010fff0", "\U0010fff1", "\U0010fff2"
MARKED = re.compile(f"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}")  # in a text of nothing but opened ones none is looked at twice


class Gatus:
    """Endpoints, external endpoints and suites with their maintenance; alerting, storage and interface settings stay behind."""

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
            count += _count(document) + sum(_count(suite) for _where, suite in _listed(document, "suites"))
            refuse_beyond(count)
            keys = [
                gather(place + where, entry, gathering)
                for listed, gather in zip(LISTS, (_gather, _gather_external, _gather_suite), strict=True)
                for where, entry in _listed(document, listed)
            ]
            _plan(place + MAINTENANCE, "", document.get(MAINTENANCE), [key for key in keys if key], gathering)
            for name in sorted(set(document).difference(LISTS, [MAINTENANCE])):
                gathering.lose(place + _spelled(name), "", SECTIONS.get(name, _("This section stays behind.")))
        return gathering.found()


def _document(raw: bytes, reading: Reading) -> Mapping[str, Any]:
    document = reading.document(VARIABLE.sub(_mark, raw))
    if not isinstance(document, Mapping) or not set(LISTS) & set(document):
        raise SourceError(_("Expected a configuration with “endpoints”."))
    return document


def _mark(found: re.Match[bytes]) -> bytes:
    return DOLLAR.encode() if found[1] else OPEN.encode() + (found[2] or found[3]) + CLOSE.encode()


def _count(document: Mapping[str, Any]) -> int:
    return sum(len(document[name]) for name in LISTS if isinstance(document.get(name), list))


def _listed(document: Mapping[str, Any], name: str) -> Iterator[tuple[str, Endpoint]]:
    found = document.get(name)
    for place, value in enumerate(found if isinstance(found, list) else ()):
        if isinstance(value, Mapping):
            yield f"{name}[{place}]", value


def _spelled(value: Any) -> Any:
    """Return a value with its variables as the file spells them, and without its doubled dollars."""
    if isinstance(value, str):
        return MARKED.sub(r"${\1}", value).replace(DOLLAR, "$")
    if isinstance(value, Mapping):
        return {_spelled(name): _spelled(part) for name, part in value.items()}
    return [_spelled(part) for part in value] if isinstance(value, list) else value


def _variables(value: Any) -> set[str]:
    """Return the names of the environment's variables in a value, wherever they stand in it."""
    if isinstance(value, Mapping):
        return _variables([*value, *value.values()])
    if isinstance(value, list):
        return {name for part in value for name in _variables(part)}
    return set(MARKED.findall(value)) if isinstance(value, str) else set()


def _lose_all(where: str, given: Endpoint, taken: frozenset[str], gathering: Gathering) -> None:
    """Report what of an endpoint stays behind: alerts and windows, what no check has, and values that are not in the file."""
    name = _name(where, given)
    for field, text in BEHIND.items():
        if given.get(field):
            gathering.lose(where, name, text)
    for field in given:
        if field not in taken:
            gathering.lose(where, name, _("“%(option)s” stays behind.") % {"option": _spelled(field)[:60]})
    for variable in sorted(_variables([value for field, value in given.items() if field in taken - ASIDE])):
        text = _("“%(variable)s” is a variable of Gatus' environment, whose value is not in the file: put it in.")
        gathering.lose(where, name, text % {"variable": variable[:60]})


def _name(where: str, endpoint: Endpoint) -> str:
    return str(_spelled(str(endpoint.get("name") or where)))


def _plan(where: str, owner: str, given: Any, keys: Collection[str], gathering: Gathering) -> None:
    """Plan maintenance of checks, or say why it stays behind."""
    if not is_in_force(given):
        return
    try:
        if _variables(given):
            raise Unsaid(_("it has variables of Gatus' environment"))
        schedule = schedule_of(_spelled(given))
    except Unsaid as unsaid:
        gathering.leave(where, owner, unsaid)
        return
    name = named_by_time(schedule)
    gathering.plan(Window(where=where, owner=owner, name=name, schedule=schedule, checks=keys))
    gathering.lose(where, owner, ALERTS_ALONE)


def _plan_each(where: str, given: Endpoint, key: str, gathering: Gathering) -> None:
    """Plan the windows of an endpoint, if a check came of it."""
    listed, name = given.get(WINDOWS), _name(where, given)
    windows = listed if isinstance(listed, list) else [listed]
    for place, window in enumerate(windows if key else ()):
        _plan(f"{where}.{WINDOWS}[{place}]", name, window, [key], gathering)


def _gather(where: str, given: Endpoint, gathering: Gathering) -> str:
    _lose_all(where, given, TAKEN_BY_ENDPOINTS, gathering)
    endpoint, name = _spelled(given), _name(where, given)
    group = str(endpoint.get("group") or "")
    made = made_of(endpoint)
    if made is None:
        text: Text = _("Nothing here does “%(url)s”.") % {"url": str(endpoint.get("url"))[:80]}
        gathering.lose(where, name, text, is_whole=True)
        return ""
    if made.kind != "http" and any(map(NEGATED.fullmatch, conditions_of(endpoint))):
        text = _("It is upside down: up means failed. No check here turns its verdict round.")
        gathering.lose(where, name, text, is_whole=True)
        return ""
    degraded_ms = _put_conditions(where, name, conditions_of(endpoint), made, gathering)
    judging = [value for field, value in given.items() if field in TAKEN_BY_ENDPOINTS.difference(NAMES, ASIDE)]
    key = gathering.add(
        Wish(
            where=where,
            name=name,
            source_id=f"{group}-{name}",
            kind=made.kind,
            settings=made.settings,
            interval_seconds=seconds(endpoint.get("interval")) or 60,
            timeout_seconds=seconds(client_of(endpoint).get("timeout")) or 10,
            retries=0,
            degraded_ms=degraded_ms,
            tags=(group, *_labels(endpoint)),
            is_paused=_is_disabled(endpoint),
            is_maimed=is_blind(made, conditions_of(endpoint)) or bool(_variables(judging)),
            needs=frozenset(made.settings) - made.idle,
        )
    )
    _plan_each(where, given, key, gathering)
    return key


def _put_conditions(where: str, name: str, conditions: Iterable[str], made: Made, gathering: Gathering) -> int | None:
    """Put the conditions into the settings; return from which response time on the check is degraded."""
    limits: list[float] = []
    for condition in conditions:
        limit = _limit(condition) if made.kind != "http" else None
        if limit:
            limits.append(limit)
            text = _("The condition “%(text)s” becomes a warning: the check is degraded beyond it, not down.")
        elif put_condition(condition, made):
            continue
        else:
            text = _("The condition “%(text)s” stays behind.")
        gathering.lose(where, name, text % {"text": condition[:120]})
    return round(min(limits)) or 1 if limits else None


def _limit(condition: str) -> float | None:
    """Return the response time that a condition allows, in milliseconds."""
    found = SLOW.fullmatch(condition)
    given = seconds(found[1]) if found else None
    if found is None or given is None:
        return None
    return given if found[1].isdigit() else given * 1_000


def _labels(endpoint: Endpoint) -> Iterator[str]:
    for label, text in text_pairs(endpoint.get("extra-labels")).items():
        yield f"{label}:{text}"


def _is_disabled(endpoint: Endpoint) -> bool:
    return "enabled" in endpoint and not is_true(endpoint["enabled"])


# --- External endpoints --------------------------------------------------------------------------------------------------


def _gather_external(where: str, given: Endpoint, gathering: Gathering) -> str:
    _lose_all(where, given, TAKEN_BY_EXTERNAL, gathering)
    endpoint, name = _spelled(given), _name(where, given)
    group, beat = str(endpoint.get("group") or ""), endpoint.get("heartbeat")
    period = seconds(beat.get("interval")) if isinstance(beat, Mapping) else None
    if not period:
        text = _("It names no heartbeat interval: its silence counts after a year. Set how often it reports.")
        gathering.lose(where, name, text)
    is_told = not _variables([given.get(field) for field in ("name", "group", "token")])
    address = _address(endpoint) if is_told else ""
    if not address:
        gathering.lose(where, name, _("Its token does not come over: give its job the new address."))
    settings: dict[str, Any] = {"period_seconds": int(period or YEAR_SECONDS), "grace_seconds": LEAST_GRACE}
    if _is_disabled(endpoint):
        settings["manual_resume"] = True  # where the next report would end the pause
    key = gathering.add(
        Wish(
            where=where,
            name=name,
            source_id=f"{group}-{name}",
            kind="heartbeat",
            settings={**settings, "address": address},
            tags=(group,),
            is_paused=_is_disabled(endpoint),
            is_maimed=bool(_variables(given.get("heartbeat"))),
        )
    )
    _plan_each(where, given, key, gathering)
    return key


def _address(endpoint: Endpoint) -> str:
    """Return what our door makes of an endpoint's key and its token, which several endpoints may share."""
    secret = str(endpoint.get("token") or "")
    parts = (str(endpoint.get(field) or "").strip().lower() for field in ("group", "name"))
    key = "_".join(re.sub(r"[/_,.#+& ]", "-", part) for part in parts)
    return hashlib.sha256(f"{key}:{secret}".encode()).hexdigest() if secret else ""


# --- Suites --------------------------------------------------------------------------------------------------------------


def _gather_suite(where: str, given: Endpoint, gathering: Gathering) -> str:
    suite, name = _spelled(given), _name(where, given)
    group = str(suite.get("group") or "")
    steps = [(f"{where}.{place}", endpoint) for place, endpoint in _listed(given, "endpoints")]
    spelled = [(f"{where}.{place}", endpoint) for place, endpoint in _listed(suite, "endpoints")]
    try:
        walk = walk_of(suite, spelled)
    except Unsayable as error:
        gathering.lose(where, name, str(error), is_whole=True)
        return ""
    own = {**given, "endpoints": None}
    _lose_all(where, own, TAKEN_BY_SUITES, gathering)
    for place, endpoint in steps:
        _lose_all(place, endpoint, TAKEN_BY_STEPS, gathering)
    for loss in walk.losses:
        gathering.lose(*loss)
    judges = (TAKEN_BY_STEPS | TAKEN_BY_SUITES).difference(NAMES, ASIDE)
    parts = (own, *(endpoint for _place, endpoint in steps))
    judging = [value for part in parts for field, value in part.items() if field in judges]
    return gathering.add(
        Wish(
            where=where,
            name=name,
            source_id=f"suite-{group}-{name}",  # an endpoint may have the same name
            kind="multistep",
            settings=walk.settings,
            interval_seconds=seconds(suite.get("interval")) or USUAL_INTERVAL,
            timeout_seconds=walk.timeout_seconds,
            retries=0,
            tags=(group, *(label for _place, endpoint in spelled for label in _labels(endpoint))),
            is_paused=_is_disabled(suite),
            is_maimed=walk.is_maimed or bool(_variables(judging)),
            needs=frozenset(walk.settings),
        )
    )
