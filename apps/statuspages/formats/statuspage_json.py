"""JSON in the shape of Statuspage's public API v2 (https://metastatuspage.com/api), so that its clients work unchanged.

Two things differ: a component may be ``unknown`` where nothing is measured, and texts are ours, since no person wrote them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from apps.statuspages.domain.board import Board, Group, ShownComponent
from apps.statuspages.domain.facts import Moment
from apps.statuspages.domain.outages import ShownOutage
from apps.statuspages.domain.statuses import component_status
from apps.statuspages.domain.works import PlannedWork
from apps.statuspages.enums import ComponentStatus, Indicator
from apps.statuspages.formats.addresses import outage_url, public_url
from apps.statuspages.formats.sentences import found_later_text, moment_text
from apps.statuspages.models import StatusPage

Json = dict[str, Any]


def summary(board: Board) -> Json:
    """Return page, status, components and what is wrong now."""
    return {
        "page": page_part(board.page, board.now),
        "components": components_part(board),
        "incidents": [incident(board.page, outage) for outage in board.current],
        "scheduled_maintenances": [maintenance(board.page, work) for work in board.works],
        "status": status_part(board),
    }


def status(board: Board) -> Json:
    return {"page": page_part(board.page, board.now), "status": status_part(board)}


def components(board: Board) -> Json:
    return {"page": page_part(board.page, board.now), "components": components_part(board)}


def incidents(page: StatusPage, outages: Iterable[ShownOutage], now: datetime) -> Json:
    return {"page": page_part(page, now), "incidents": [incident(page, outage) for outage in outages]}


def maintenances(board: Board, works: Iterable[PlannedWork]) -> Json:
    return {
        "page": page_part(board.page, board.now),
        "scheduled_maintenances": [maintenance(board.page, work) for work in works],
    }


def page_part(page: StatusPage, now: datetime) -> Json:
    return {
        "id": str(page.id),
        "name": page.title,
        "url": public_url(page),
        "time_zone": page.tenant.time_zone,
        "updated_at": _instant(now, page),
    }


def status_part(board: Board) -> Json:
    return {"indicator": board.indicator.value, "description": str(board.indicator.label)}


def components_part(board: Board) -> list[Json]:
    """Return components and, as Statuspage does, groups as components of their own."""
    listed: list[Json] = []
    for group in board.groups:
        group_id = str(uuid5(NAMESPACE_URL, f"{board.page.id}/{group.name}")) if group.name else None
        if group_id:
            listed.append(_group(board, group, group_id, len(listed) + 1))
        for component in group.components:
            listed.append(_component(board.page, component, group_id, len(listed) + 1))
    return listed


def _component(page: StatusPage, shown: ShownComponent, group_id: str | None, position: int) -> Json:
    return {
        "id": str(shown.id),
        "name": shown.name,
        "status": shown.status.value,
        "created_at": _instant(shown.fact.created_at, page),
        "updated_at": _instant(shown.fact.updated_at, page),
        "position": position,
        "description": shown.description or None,
        "showcase": page.shows_uptime,
        "start_date": shown.fact.watched_since.astimezone(ZoneInfo(page.tenant.time_zone)).date().isoformat(),
        "group_id": group_id,
        "page_id": str(page.id),
        "group": False,
        "only_show_if_degraded": False,
    }


def _group(board: Board, group: Group, group_id: str, position: int) -> Json:
    members: Sequence[ShownComponent] = group.components
    return {
        "id": group_id,
        "name": group.name,
        "status": group.status.value,
        "created_at": _instant(min(member.fact.created_at for member in members), board.page),
        "updated_at": _instant(max(member.fact.updated_at for member in members), board.page),
        "position": position,
        "description": None,
        "showcase": False,
        "start_date": None,
        "group_id": None,
        "page_id": str(board.page.id),
        "group": True,
        "only_show_if_degraded": False,
        "components": [str(member.id) for member in members],
    }


def incident(page: StatusPage, outage: ShownOutage) -> Json:
    """Return an outage as an incident whose updates are the changes of its component."""
    state = "investigating" if outage.is_open else "resolved"
    return {
        "id": str(outage.id),
        "name": outage.title,
        "status": state,
        "created_at": _instant(outage.started_at, page),
        "updated_at": _instant(outage.updated_at, page),
        "monitoring_at": None,
        "resolved_at": _instant(outage.ended_at, page) if outage.ended_at else None,
        "impact": impact(outage.status).value,
        "shortlink": outage_url(page, outage.id),
        "started_at": _instant(outage.started_at, page),
        "page_id": str(page.id),
        "incident_updates": list(reversed(_updates(page, outage))),
        "components": [{"id": str(outage.component.id), "name": outage.component.name}],
    }


def maintenance(page: StatusPage, work: PlannedWork) -> Json:
    """Return planned work as a scheduled maintenance with one update: its announcement."""
    status = "in_progress" if work.is_running else "scheduled"
    announced = _instant(work.updated_at, page)
    update = {
        "id": str(uuid5(work.id, status)),
        "status": status,
        "body": work.text or work.title,
        "incident_id": str(work.id),
        "created_at": announced,
        "updated_at": announced,
        "display_at": announced,
        "affected_components": [],
        "deliver_notifications": False,
        "custom_tweet": None,
        "tweet_id": None,
    }
    return {
        "id": str(work.id),
        "name": work.title,
        "status": status,
        "created_at": _instant(work.created_at, page),
        "updated_at": announced,
        "monitoring_at": None,
        "resolved_at": None,
        "impact": "maintenance",
        "shortlink": public_url(page),
        "started_at": _instant(work.starts_at, page),
        "page_id": str(page.id),
        "incident_updates": [update],
        "components": [{"id": str(shown.id), "name": shown.name} for shown in work.components],
        "scheduled_for": _instant(work.starts_at, page),
        "scheduled_until": _instant(work.ends_at, page),
    }


def impact(worst: ComponentStatus) -> Indicator:
    """Return what an outage of one component means for the page."""
    return Indicator.MAJOR if worst == ComponentStatus.MAJOR_OUTAGE else Indicator.MINOR


def _updates(page: StatusPage, outage: ShownOutage) -> list[Json]:
    updates = []
    before = ComponentStatus.OPERATIONAL
    for number, moment in enumerate(outage.moments):
        after = component_status(moment.state)
        is_last = outage.ended_at is not None and number == len(outage.moments) - 1
        update = _update(page, outage, moment, before=before, number=number, is_last=is_last)
        if outage.is_found_later and not number:
            update["body"] += f" {found_later_text()}"
        updates.append(update)
        before = after
    return updates


def _update(
    page: StatusPage, outage: ShownOutage, moment: Moment, *, before: ComponentStatus, number: int, is_last: bool
) -> Json:
    after = component_status(moment.state)
    at = _instant(moment.at, page)
    return {
        "id": str(uuid5(outage.id, str(number))),
        "status": "resolved" if is_last else "investigating",
        "body": moment_text(outage, moment),
        "incident_id": str(outage.id),
        "created_at": at,
        "updated_at": at,
        "display_at": at,
        "affected_components": [
            {
                "code": str(outage.component.id),
                "name": outage.component.name,
                "old_status": before.value,
                "new_status": after.value,
            }
        ],
        "deliver_notifications": False,
        "custom_tweet": None,
        "tweet_id": None,
    }


def _instant(at: datetime, page: StatusPage) -> str:
    return at.astimezone(ZoneInfo(page.tenant.time_zone)).isoformat(timespec="milliseconds")
