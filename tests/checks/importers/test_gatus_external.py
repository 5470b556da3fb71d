"""Gatus' external endpoints: heartbeats whose jobs keep their address, and are missed only where Gatus would miss them."""

from typing import Any

import pytest

from apps.checks.domain.ping_dialects import Asked, Gatus, gatus_token
from apps.checks.types.heartbeat import YEAR_SECONDS
from apps.core import clock
from tests.checks.importers.test_gatus import read

Told = list[tuple[str, str]]


def external(**fields: Any) -> tuple[dict[str, Any], Told]:
    found = read({"external-endpoints": [{"name": "backup", "group": "jobs", "token": "potato", **fields}]})
    return dict(found.checks[0]), [(loss.where, str(loss.reason)) for loss in found.losses]


def test_silence_is_borne_for_a_minute() -> None:
    check, told = external(heartbeat={"interval": "30m"})

    token = gatus_token("jobs_backup", "potato")
    assert check["config"] == {"period_seconds": 1_800, "grace_seconds": 60, "address": token}
    assert told == []


@pytest.mark.parametrize("heartbeat", [{}, {"interval": 0}, {"interval": "0s"}, None])
def test_job_whose_silence_gatus_does_not_mind_is_not_missed(heartbeat: Any) -> None:
    check, told = external(heartbeat=heartbeat)

    assert check["config"]["period_seconds"] == YEAR_SECONDS
    assert told == [
        (
            "external-endpoints[0]",
            "It names no heartbeat interval: its silence counts after a year. Set how often it reports.",
        )
    ]


def test_disabled_job_stays_paused_and_its_alerts_and_windows_are_told() -> None:
    check, told = external(enabled=False, heartbeat={"interval": "1h"}, alerts=[{}], **{"maintenance-windows": [{}]})

    assert (check["paused"], check["config"]["manual_resume"]) == (True, True)
    assert [reason for _where, reason in told] == [
        "Its alerts stay behind; make alert rules here.",
        "Its maintenance windows stay behind; plan them here.",
    ]


def at_the_door(key: str, bearer: str) -> Any:
    path = f"/api/v1/endpoints/{key}/external"
    asked = Asked(method="POST", path=path, query="success=true", source_ip=None, bearer=bearer)
    return Gatus().read(asked, clock.now()).ping.address


@pytest.mark.parametrize("token", ["potato", "31365bce-8da9-4729-8ff3-aaa71d56b712", "a-token-of-some-length"[:21]])
@pytest.mark.parametrize("key", ["jobs_backup", "Jobs_Backup"])  # Gatus reads it in lower case
def test_token_that_moves_opens_the_door(token: str, key: str) -> None:
    check, told = external(token=token, heartbeat={"interval": "1h"})

    assert (check["config"]["address"], told) == (at_the_door(key, token), [])


def test_token_that_our_door_takes_for_its_own_does_not_move() -> None:
    shared = {"token": "31365bce-8da9-4729-8ff3-aaa71d56b712", "heartbeat": {"interval": "1h"}}
    one, other = {**shared, "name": "a"}, {**shared, "name": "b"}
    found = read({"external-endpoints": [one]}, {"external-endpoints": [other]})

    text = "Its token does not come over: give its job the new address."
    assert [check["config"].get("address") for check in found.checks] == [None, None]
    assert [str(loss.reason) for loss in found.losses] == [text, text]
    assert external(token="x" * 22, heartbeat={"interval": "1h"})[1] == [("external-endpoints[0]", text)]  # a ping key
