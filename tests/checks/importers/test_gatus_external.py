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


def test_disabled_job_stays_paused_and_its_alerts_are_told() -> None:
    check, told = external(enabled=False, heartbeat={"interval": "1h"}, alerts=[{}])

    assert (check["paused"], check["config"]["manual_resume"]) == (True, True)
    assert [reason for _where, reason in told] == [
        "Its alerts stay behind; make alert rules here.",
    ]


def at_the_door(key: str, bearer: str) -> Any:
    """Return where a report goes in the end."""
    path = f"/api/v1/endpoints/{key}/external"
    asked = Asked(method="POST", path=path, query="success=true", source_ip=None, bearer=bearer)
    heeded = Gatus().read(asked, clock.now())
    return heeded.otherwise or heeded.ping.address


# The last two look like a heartbeat's own token and like a ping key.
@pytest.mark.parametrize("token", ["potato", "31365bce8da947298ff3aaa71d56b712", "x" * 22])
@pytest.mark.parametrize("key", ["jobs_backup", "Jobs_Backup"])  # Gatus reads it in lower case
def test_token_moves(token: str, key: str) -> None:
    check, told = external(token=token, heartbeat={"interval": "1h"})

    assert (check["config"]["address"], told) == (at_the_door(key, token), [])


def test_endpoint_without_a_token_is_told() -> None:
    check, told = external(token="", heartbeat={"interval": "1h"})

    assert "address" not in check["config"]
    assert told == [("external-endpoints[0]", "Its token does not come over: give its job the new address.")]
