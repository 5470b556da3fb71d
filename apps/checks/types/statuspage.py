"""The status page check: what another page says of itself, in the JSON of Statuspage's public API v2
(https://metastatuspage.com/api), which many products serve."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from time import monotonic
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_lazy as _

from apps.checks.enums import Verdict
from apps.checks.types.answers import content_of
from apps.checks.types.base import NO_VALUES, Fact, Group, Outcome, ProbeContext, ProbeFailure
from apps.checks.types.http_fields import check_url_field
from apps.checks.types.http_visit import Redirecting, outcome_of, visit
from apps.checks.types.messages import Message
from apps.checks.types.texts import printable
from apps.core.http.curl import OutboundRequest
from apps.core.http.urls import ParsedUrl, check_url
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, Widget, setting

SUMMARY_PATH = "/api/v2/summary.json"
MAX_ENTRIES = 5_000  # of each list: twice as many components as usually stand in the largest answer that is read
SHOWN = 6  # entries of each list in the details
SHOWN_LENGTH = 80
# Both vocabularies on one scale: the page's indicator, and the status of one component.
RANKS = {
    "none": 0,
    "minor": 1,
    "major": 2,
    "critical": 3,
    "operational": 0,
    "degraded_performance": 1,
    "partial_outage": 1,
    "major_outage": 3,
}
MAINTENANCE = frozenset({"maintenance", "under_maintenance"})
UNMEASURED = "unknown"
DOWN_AT = {"minor": 1, "major": 2, "critical": 3}


Values = Mapping[str, str | int]


class NotAStatusPage(ValueError):
    """The document is not what a status page serves."""


@dataclass(frozen=True, slots=True)
class PageNews:
    """What a status page says, its texts cut to a length that can be kept."""

    indicator: str
    description: str
    components: tuple[tuple[str, str], ...] = ()  # name and status
    incidents: tuple[str, ...] = ()
    maintenances: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class StatuspageConfig(BaseConfig):
    """Which page, which of its components, and from when it counts as down."""

    url: str = setting(
        label=_("Status page"),
        help=_("The page's address, such as https://www.githubstatus.com, or that of its summary.json."),
        widget=Widget.URL,
        placeholder="https://status.example.com",
        check=check_url_field,
    )
    components: list[str] = setting(  # noqa: RUF009 - it makes a field
        list,
        label=_("Only these components"),
        help=_("One name a line, as on the page. Empty: the page as a whole."),
    )
    down_at: str = setting(
        "major",
        label=_("Counts as down from"),
        help=_("Anything less that is not all right counts as degraded."),
        choices=(("minor", _("Minor")), ("major", _("Major")), ("critical", _("Critical"))),
    )
    counts_maintenance: bool = setting(
        False,
        label=_("Maintenance counts as degraded"),
        help=_("Off: a component under maintenance counts as up."),
    )
    verify_tls: bool = setting(
        True,
        label=_("Verify the certificate"),
        help=_("Fail when the certificate is expired, unknown or for another name."),
    )

    @cached_property
    def address(self) -> ParsedUrl:
        """Return where the JSON is: beside the page, unless the address names a JSON file itself."""
        page = check_url(self.url)
        bare = page.url.partition("?")[0]
        return page if bare.endswith(".json") else check_url(bare.rstrip("/") + SUMMARY_PATH)

    @cached_property
    def request(self) -> OutboundRequest:
        return OutboundRequest(
            method="GET",
            url=self.address.url,
            header_lines=(b"Accept: application/json",),
            verify_tls=self.verify_tls,
        )


class StatuspageCheck:
    """Takes another status page at its word."""

    kind: ClassVar[str] = "statuspage"
    label: ClassVar[Text] = _("Status page")
    help: ClassVar[Text] = _("Follows a provider's public status page, or some of its components.")
    icon: ClassVar[str] = "broadcast"
    group: ClassVar[Group] = Group.WEB
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = StatuspageConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "statuspage_trouble": (
            _("The page reports: %(description)s (%(indicator)s)."),
            _("Read the page; the trouble is with its owner."),
        ),
        "statuspage_component": (
            _("The page reports “%(status)s” for %(component)s."),
            _("Read the page; the trouble is with its owner."),
        ),
        "statuspage_component_missing": (
            _("The page has no component named “%(component)s”."),
            _("Write its name as it stands on the page, or take it out of this check."),
        ),
        "statuspage_unmeasured": (
            _("The page itself does not know how %(component)s is."),
            _("Wait for the page, or watch something else."),
        ),
        "statuspage_foreign": (
            _("There is no status page in Statuspage's format at this address (%(detail)s)."),
            _("Check the address; its /api/v2/summary.json must answer."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "indicator": Fact(_("Indicator")),
        "description": Fact(_("Description")),
        "affected": Fact(_("Affected components")),
        "incidents": Fact(_("Unresolved incidents")),
        "maintenances": Fact(_("Running maintenance")),
    }

    def sample(self) -> StatuspageConfig:
        return StatuspageConfig(
            url="https://status.example.com", components=["API", "Webhooks"], counts_maintenance=True
        )

    def target(self, config: BaseConfig) -> str:
        return cast("StatuspageConfig", config).url.partition("?")[0].partition("#")[0]

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("StatuspageConfig", config)
        deadline = monotonic() + context.timeout_seconds
        seen = await visit(wanted.request, wanted.address, Redirecting(), context=context, deadline=deadline)
        if seen.code:
            return outcome_of(seen.steps, code=seen.code, values=seen.values, is_ours=seen.is_ours)
        if seen.reply.status != 200:
            expected: Values = {"status": seen.reply.status, "expected": "200"}
            return outcome_of(seen.steps, code="status_mismatch", values=expected)
        try:
            news = read_page(content_of(seen.reply))
        except ProbeFailure as failure:  # the body cannot be unpacked
            return outcome_of(seen.steps, code=failure.code, values=failure.values)
        except NotAStatusPage as error:
            return outcome_of(seen.steps, code="statuspage_foreign", values={"detail": str(error)})
        verdict, code, values = judge(news, wanted)
        outcome = outcome_of(seen.steps, code=code, values=values, details=news.details)
        return replace(outcome, verdict=verdict)


def read_page(body: bytes) -> PageNews:
    """Read a summary.json or status.json; raises `NotAStatusPage` for anything else, however it is made."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NotAStatusPage("JSON") from error
    status = found.get("status") if isinstance(found, dict) else None
    if not isinstance(status, dict) or not isinstance(status.get("indicator"), str):
        raise NotAStatusPage("status.indicator")
    indicator, description = _short(status["indicator"]), _short(status.get("description"))
    components = tuple(
        (_short(entry.get("name")), _short(entry.get("status"))) for entry in _entries(found, "components")
    )
    incidents = tuple(_short(entry.get("name")) for entry in _entries(found, "incidents") if not _is_over(entry))
    maintenances = tuple(
        _short(entry.get("name"))
        for entry in _entries(found, "scheduled_maintenances")
        if entry.get("status") in ("in_progress", "verifying")
    )
    affected = [f"{name}: {state}" for name, state in components if RANKS.get(state) != 0]
    details = {
        "indicator": indicator,
        "description": description,
        "affected": affected[:SHOWN],
        "incidents": list(incidents[:SHOWN]),
        "maintenances": list(maintenances[:SHOWN]),
    }
    return PageNews(indicator, description, components, incidents, maintenances, details)


def _entries(found: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    listed = found.get(name)
    yield from (entry for entry in listed[:MAX_ENTRIES] if isinstance(entry, dict)) if isinstance(listed, list) else ()


def _is_over(incident: dict[str, Any]) -> bool:
    return incident.get("status") in ("resolved", "postmortem")


def _short(text: object) -> str:
    return printable(text, SHOWN_LENGTH)


def judge(news: PageNews, wanted: StatuspageConfig) -> tuple[Verdict, str, Values]:
    """Return the verdict on the page, or on the worst of the components asked for."""
    if not wanted.components:
        verdict = _verdict(news.indicator, wanted, has_maintenance=bool(news.maintenances))
        if verdict == Verdict.SUCCESS:
            return verdict, "", NO_VALUES
        if verdict == Verdict.UNKNOWN:
            return Verdict.FAILURE, "statuspage_foreign", {"detail": news.indicator}
        return verdict, "statuspage_trouble", {"description": news.description, "indicator": news.indicator}
    states: dict[str, dict[str, None]] = {}  # of each name, in their order
    for name, state in news.components:
        states.setdefault(name.casefold(), {})[state] = None
    judged = [_judge_component(name, states.get(_short(name).casefold(), ()), wanted) for name in wanted.components]
    return min(judged, key=lambda one: SEVERITY[one[0]])


SEVERITY = {Verdict.FAILURE: 0, Verdict.DEGRADED: 1, Verdict.UNKNOWN: 2, Verdict.SUCCESS: 3}


def _judge_component(name: str, states: Iterable[str], wanted: StatuspageConfig) -> tuple[Verdict, str, Values]:
    """Judge one component; where several have its name, the worst of them."""
    if not states:
        return Verdict.FAILURE, "statuspage_component_missing", {"component": name}
    verdict, state = min(((_verdict(state, wanted), state) for state in states), key=lambda one: SEVERITY[one[0]])
    if verdict == Verdict.SUCCESS:
        return verdict, "", NO_VALUES
    if verdict == Verdict.UNKNOWN:
        return verdict, "statuspage_unmeasured", {"component": name}
    return verdict, "statuspage_component", {"component": name, "status": state}


def _verdict(word: str, wanted: StatuspageConfig, *, has_maintenance: bool = False) -> Verdict:
    is_maintained = word in MAINTENANCE or has_maintenance
    rank = 0 if word in MAINTENANCE else RANKS.get(word)
    if rank is None:
        return Verdict.UNKNOWN
    if rank >= DOWN_AT[wanted.down_at]:
        return Verdict.FAILURE
    return Verdict.DEGRADED if rank or (is_maintained and wanted.counts_maintenance) else Verdict.SUCCESS
