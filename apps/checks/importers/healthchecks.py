"""Healthchecks: the answer of its API's list of checks."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.tables import Row, read_rows
from apps.checks.importers.wish import Gathering, Wish, integer, is_true
from apps.core.ids import is_uuid
from apps.core.kinds import Text

CRON = re.compile(r"[0-9*@][^\s]*(\s+[^\s:]+){4}")  # five fields; OnCalendar has colons, dates or names of days
BEHIND: Mapping[str, Text] = {
    "channels": _("Its integrations stay behind; set up channels here."),
    "desc": _("Its description stays behind."),
}
SHARED_LISTED = 10
# Where Healthchecks looks for keywords: in the texts of mails, in those of HTTP requests, or in both.
JUDGED: Mapping[tuple[bool, bool], str] = {(True, False): "mails", (False, True): "requests"}


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
        rows = read_rows(files, lists=("checks",))
        for row in rows:
            _gather(row, gathering)
        for text in _what_jobs_need(rows):
            gathering.lose("", "", text)
        return gathering.found()


def _what_jobs_need(rows: Sequence[Row]) -> Iterator[Text]:
    """Yield what has to be done so that jobs report here."""
    unknown = sum(not _uuid(row) for row in rows)
    slugs = Counter(slug for slug, _id in {(row.text("slug"), _uuid(row)) for row in rows} if slug)
    shared = sorted(slug for slug, count in slugs.items() if count > 1)
    if unknown < len(rows):
        yield _("Jobs keep pinging the old host until you give them ours; the end of the address stays the same.")
    if unknown:
        text = _(
            "A read-only API key exports no addresses, which %(count)s of these checks lack: their jobs need the new ones, "
            "unless you bring the export of an API key that may write."
        )
        yield text % {"count": unknown}
    if slugs:
        yield _(
            "Jobs that ping by name keep their address once the project's ping key is yours here: see “Ping key” on a "
            "heartbeat's page. There is one for all of your heartbeats."
        )
    if shared:
        text = _("Several of these checks are called %(names)s in their addresses: jobs cannot ping them by name.")
        yield text % {"names": ", ".join(shared[:SHARED_LISTED])}


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
            settings=_settings(row, name, gathering),
            tags=tuple(row.text("tags").split()),
            is_paused=row.text("status") == "paused",
        )
    )


def _settings(row: Row, name: str, gathering: Gathering) -> dict[str, Any]:
    return {
        **_rhythm(row),
        "grace_seconds": integer(row.get("grace")) or 3_600,
        **_filters(row, name, gathering),
        "manual_resume": is_true(row.get("manualresume")),
        "only_post": row.text("methods").upper() == "POST",
        "slug": row.text("slug"),
        "address": _uuid(row),
    }


def _filters(row: Row, name: str, gathering: Gathering) -> dict[str, Any]:
    """Return how reports are judged. Before there were flags, a mail's subject was judged where words were given for it."""
    in_mails, in_requests = is_true(row.get("filterbody")), is_true(row.get("filterhttpbody"))
    in_subjects = is_true(row.get("filtersubject")) or bool(row.text("subject", "subjectfail"))
    keywords = {
        "failure_keywords": row.text("failurekw", "subjectfail"),
        "success_keywords": row.text("successkw", "subject"),
        "start_keywords": row.text("startkw"),
    }
    if not (in_mails or in_requests or in_subjects):
        return keywords
    if not any(keywords.values()):
        gathering.lose(row.where, name, _("Its filters name no keyword; here its reports count without them."))
        return {}
    if in_requests:
        text = _("There its keywords judge /start, /fail, /log and exit statuses, too; here those count as they are.")
        gathering.lose(row.where, name, text)
    return {
        **({"filters_body": True} if in_mails or in_requests else {}),
        **({"judged_texts": JUDGED[in_mails, in_requests]} if in_mails != in_requests else {}),
        **({"filters_subject": True} if in_subjects else {}),
        **keywords,
        **({"unmatched_fails": True} if is_true(row.get("filterdefaultfail")) else {}),
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
    """Return the id, which releases without a field for it have at the end of the ping address; empty for a name."""
    found = row.text("uuid") or row.text("pingurl").rstrip("/").rpartition("/")[2]
    return found if is_uuid(found) else ""
