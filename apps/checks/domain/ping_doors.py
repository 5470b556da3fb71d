"""The doors that reports come in by, and which of them a job's reports come through.

Each gives a sign of life of its own: one that is open says nothing of the other, and a job is silent only where its own is.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from apps.checks.models import PingDoor
from apps.checks.types.heartbeat import Signal

# So often the doors give their sign of life; silence for longer than the other is a gap in which reports may be lost.
SIGN_EVERY = timedelta(seconds=5)
SILENCE = timedelta(seconds=30)
MAIL_METHOD = "EMAIL"


class Door(StrEnum):
    """A way in, by the name of its sign of life."""

    HTTP = "http"
    MAIL = "mail"


# The door of the heartbeat `beat`: that of its last success or failure. So a job that says over HTTP that it begins, and by
# mail that it ended, is awaited by mail. Only its latest reports are looked at, which bounds what the worst plan would read;
# if none of them is one of these, the newest tells. None is looked at where no mails are taken.
LATEST = 20
NEWEST = f"""
    SELECT ping.method FROM checks_ping AS ping
    WHERE ping.check_id = beat.check_id AND ping.number > beat.pings - {LATEST} AND {{which}}
    ORDER BY ping.number DESC LIMIT 1
"""  # noqa: S608 - constants alone
VERDICT = NEWEST.format(which=f"ping.signal IN ('{Signal.SUCCESS}', '{Signal.FAIL}')")
ITS_DOOR = f"""
CASE WHEN %(takes_mails)s AND COALESCE(({VERDICT}), ({NEWEST.format(which="true")})) = '{MAIL_METHOD}'
THEN '{Door.MAIL}' ELSE '{Door.HTTP}' END
"""
HEARD = f"SELECT check_id FROM checks_heartbeat AS beat WHERE check_id = ANY(%(ids)s) AND {ITS_DOOR} = ANY(%(doors)s)"  # noqa: S608


def asking(**more: Any) -> dict[str, Any]:
    """Return the values of a statement that asks for `ITS_DOOR`."""
    return {"takes_mails": bool(settings.PING_MAIL_DOMAIN), **more}


def open_doors(now: datetime) -> list[str]:
    """Return the doors that reports could come in by of late."""
    return list(PingDoor.objects.filter(seen_at__gte=now - SILENCE).values_list("name", flat=True))


def are_all(doors: Collection[str]) -> bool:
    """Tell whether these are all the doors there are."""
    return Door.HTTP in doors and (Door.MAIL in doors or not settings.PING_MAIL_DOMAIN)


def find_heard(check_ids: Collection[UUID], now: datetime) -> set[UUID]:
    """Return those heartbeats whose reports could come in of late: the silence of the others says nothing."""
    doors = open_doors(now)
    if are_all(doors):
        return set(check_ids)
    with connection.cursor() as cursor:
        cursor.execute(HEARD, asking(ids=list(check_ids), doors=doors))
        return {row[0] for row in cursor.fetchall()}
