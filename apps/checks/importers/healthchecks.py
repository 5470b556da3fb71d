"""Healthchecks: the answer of its API's list of checks."""

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.tables import Row, read_rows
from apps.checks.importers.wish import Gathering, Wish, integer, is_true
from apps.core.kinds import Text

CRON = re.compile(r"[0-9*@][^\s]*(\s+[^\s:]+){4}")  # five fields; OnCalendar has colons, dates or names of days
BEHIND: Mapping[str, Text] = {
    "channels": _("Its integrations stay behind; set up channels here."),
}


class Healthchecks:
    """Every check becomes a heartbeat with the same period, schedule and grace."""

    kind: ClassVar[str] = "healthchecks"
    label: ClassVar[Text] = _("Healthchecks")
    help: ClassVar[Text] = _("The JSON of /api/v3/checks/, read with an API key of the project.")
    icon: ClassVar[str] = "clock"

    def sample(self) -> bytes:
        return json.dumps(
            {"checks": [{"name": "Backup", "slug": "backup", "timeout": 86_400, "grace": 3_600}]}
        ).encode()

    def read(self, *files: bytes) -> Found:
        gathering = Gathering("hc")
        for row in read_rows(files, lists=("checks",)):
            _gather(row, gathering)
        gathering.lose(
            "", "", _("Jobs keep pinging the old host until you give them ours; the end of the address stays the same.")
        )
        return gathering.found()


def _gather(row: Row, gathering: Gathering) -> None:
    name = row.text("name") or row.text("slug") or _uuid(row)
    if not name:
        gathering.lose(row.where, "", _("It has neither a name nor an id."), is_whole=True)
        return
    for field, text in BEHIND.items():
        if row.get(field):
            gathering.lose(row.where, name, text)
    gathering.add(
        Wish(
            where=row.where,
            name=name,
            source_id=row.text("slug") or row.text("uniquekey") or _uuid(row),
            kind="heartbeat",
            settings=_settings(row),
            tags=tuple(row.text("tags").split()),
            is_paused=row.text("status") == "paused",
        )
    )


def _settings(row: Row) -> dict[str, Any]:
    filters = any(is_true(row.get(name)) for name in ("filterbody", "filterhttpbody", "filterdefaultfail"))
    return {
        **_rhythm(row),
        "grace_seconds": integer(row.get("grace")) or 3_600,
        "filters_body": filters,
        **({"filters_subject": True} if is_true(row.get("filtersubject")) else {}),
        "failure_keywords": row.text("failurekw"),
        "success_keywords": row.text("successkw"),
        "start_keywords": row.text("startkw"),
        "manual_resume": is_true(row.get("manualresume")),
        "only_post": row.text("methods").upper() == "POST",
        "address": _uuid(row),
    }


def _rhythm(row: Row) -> dict[str, Any]:
    schedule = row.text("schedule")
    if not schedule:
        return {"schedule": "simple", "period_seconds": integer(row.get("timeout")) or 86_400}
    zone = row.text("tz") or "UTC"
    if CRON.fullmatch(schedule):
        return {"schedule": "cron", "cron": schedule, "time_zone": zone}
    return {"schedule": "oncalendar", "on_calendar": schedule, "time_zone": zone}


def _uuid(row: Row) -> str:
    """Return the id at the end of the ping address."""
    return row.text("pingurl").rstrip("/").rpartition("/")[2]
