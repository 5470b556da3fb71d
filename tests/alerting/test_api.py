"""Alerts, rules and silences over the API."""

from datetime import timedelta
from uuid import UUID

import pytest

from apps.accounts.models import User
from apps.alerting.domain.rounds import consider_outage
from apps.alerting.domain.silences import create_silence
from apps.alerting.enums import Trigger
from apps.alerting.models import Alert, AlertRule, Silence
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.contracts.test_doors import client_of
from tests.factories.alerting import make_channel, make_rule
from tests.factories.api import make_api
from tests.factories.checks import make_check
from tests.factories.incidents import make_outage
from tests.queries import queries_of

pytestmark = pytest.mark.django_db


def make_alert(name: str = "API") -> Alert:
    consider_outage(make_outage(make_check(name)).id, Trigger.OPENED)
    return Alert.objects.latest("id")


@pytest.fixture
def ruled(acme: Tenant) -> AlertRule:
    """Acme with one rule and one default channel."""
    with tenant_scope(acme.id):
        make_channel()
        return make_rule()


def test_alert_is_read_and_acknowledged(acme: Tenant, ruled: AlertRule) -> None:
    with tenant_scope(acme.id):
        alert = make_alert()
    api = make_api(acme, Role.EDITOR)

    before = api.get(f"/api/v1/alerts/{alert.id}/").json()
    after = api.post(f"/api/v1/alerts/{alert.id}/acknowledge/", {}).json()

    assert before == {
        "id": str(alert.id),
        "state": "firing",
        "severity": "down",
        "check_id": str(alert.watched_id),
        "check_name": "API",
        "rule_id": str(ruled.id),
        "rule_name": "Everything",
        "outage_id": str(alert.outage_id),
        "starts_at": "2026-11-20T12:00:00Z",
        "ends_at": None,
        "acknowledged_by": None,
        "acknowledged_at": None,
        "last_notified_at": before["last_notified_at"],
        "group_key": f"rule:{ruled.id}/check:{alert.watched_id}",
        "fingerprint": f"rule:{ruled.id.hex}/outage:{alert.outage_id.hex}",
    }
    assert (after["state"], after["acknowledged_by"]) == ("acknowledged", None)


def test_trace_is_told_in_codes_and_words(acme: Tenant, ruled: AlertRule) -> None:
    with tenant_scope(acme.id):
        alert = make_alert()

    steps = make_api(acme).get(f"/api/v1/alerts/{alert.id}/trace/").json()

    assert [(step["stage"], step["verdict"], step["reason"]) for step in steps[-2:]] == [
        ("escalate", "passed", "level"),
        ("plan_deliveries", "passed", "planned"),
    ]
    assert steps[-2]["text"] == "Goes to the rule's channels: Slack."


def test_alert_that_is_over_cannot_be_acknowledged(acme: Tenant, ruled: AlertRule) -> None:
    with tenant_scope(acme.id):
        alert = make_alert()
        Alert.objects.update(state="resolved", ends_at=clock.now())

    answer = make_api(acme).post(f"/api/v1/alerts/{alert.id}/acknowledge/", {})

    assert (answer.status_code, answer.json()["detail"]) == (409, "This alert is over.")


def test_lists_ask_as_much_for_three_rows_as_for_one(acme: Tenant, ruled: AlertRule) -> None:
    api, counts = make_api(acme), []
    for number in range(3):
        with tenant_scope(acme.id):
            alert = make_alert(f"Check {number}")
            make_rule(f"Rule {number}", channels=[make_channel(f"Channel {number}")])
            create_silence(ends_at=clock.now() + timedelta(hours=1), actor=None, check=alert.watched)
        addresses = [f"/api/v1/{resource}/" for resource in ("alerts", "alert-rules", "silences")]
        counts.append([queries_of(lambda address=address: api.get(address)) for address in addresses])

    assert counts == [[4, 5, 4]] * 3


def test_list_filters(acme: Tenant, ruled: AlertRule) -> None:
    with tenant_scope(acme.id):
        make_alert("One")
        two = make_alert("Two")
    api = make_api(acme)

    def names(query: str) -> list[str]:
        return [alert["check_name"] for alert in api.get(f"/api/v1/alerts/?{query}").json()["results"]]

    assert names("state=open") == ["Two", "One"]
    assert names("state=resolved") == []
    assert names(f"check={two.watched_id}") == ["Two"]
    assert names(f"rule={ruled.id}&severity=down") == ["Two", "One"]
    assert api.get("/api/v1/alerts/?state=sad").status_code == 400


def test_rule_is_made_changed_and_deleted(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        channel = make_channel()
    api = make_api(acme)

    made = api.post(
        "/api/v1/alert-rules/", {"name": "Nights", "channels": [str(channel.id)], "tags": ["eu"], "repeat_seconds": 900}
    )
    where = f"/api/v1/alert-rules/{made.json()['id']}/"
    changed = api.patch(where, {"is_enabled": False, "repeat_seconds": None})
    gone = api.delete(where)

    assert made.status_code == 201
    assert made.json() == {
        "id": made.json()["id"],
        "name": "Nights",
        "is_enabled": True,
        "severities": ["down", "degraded"],
        "tags": ["eu"],
        "channels": [str(channel.id)],
        "notifies_on_resolve": True,
        "repeat_seconds": 900,
        "created_at": made.json()["created_at"],
    }
    assert changed.json() == {**made.json(), "is_enabled": False, "repeat_seconds": None}
    assert (gone.status_code, api.get(where).status_code) == (204, 404)


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({}, 400, ["name"]),
        ({"name": "x", "severities": []}, 400, ["severities"]),
        ({"name": "x", "severities": ["sad"]}, 400, ["severities"]),
        ({"name": "x", "severities": "down"}, 400, ["severities"]),
        ({"name": "x", "repeat_seconds": 59}, 400, ["repeat_seconds"]),
        ({"name": "x", "repeat_seconds": "900"}, 400, ["repeat_seconds"]),
        ({"name": "x", "channels": ["0190a000-0000-7000-8000-000000000000"]}, 400, ["channels"]),
        ({"name": "x", "channels": ["nonsense"]}, 400, ["channels"]),
        ({"name": "x", "loud": True}, 400, ["loud"]),
    ],
)
def test_wrong_rule_names_its_fields(acme: Tenant, body: object, status: int, fields: list[str]) -> None:
    answer = make_api(acme).post("/api/v1/alert-rules/", body)

    assert (answer.status_code, list(answer.json()["errors"])) == (status, fields)


def test_second_rule_of_a_name_is_a_conflict(acme: Tenant, ruled: AlertRule) -> None:
    answer = make_api(acme).post("/api/v1/alert-rules/", {"name": ruled.name})

    assert (answer.status_code, answer.json()["detail"]) == (409, "Another rule has this name.")


def test_strangers_channel_does_not_exist(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        channel = make_channel()

    answer = make_api(acme).post("/api/v1/alert-rules/", {"name": "x", "channels": [str(channel.id)]})

    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["channels"])


def test_silence_is_made_and_ended(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check()
    api = make_api(acme)

    made = api.post(
        "/api/v1/silences/", {"check_id": str(check.id), "ends_at": "2099-01-01T00:00:00Z", "reason": "Move"}
    )
    ended = api.post(f"/api/v1/silences/{made.json()['id']}/end/", {})

    assert made.status_code == 201
    assert made.json() == {
        "id": made.json()["id"],
        "check_id": str(check.id),
        "tags": [],
        "starts_at": made.json()["starts_at"],
        "ends_at": "2099-01-01T00:00:00Z",
        "reason": "Move",
        "created_by": None,
    }
    assert ended.json()["ends_at"] < "2099"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"ends_at": "2001-01-01T00:00:00Z"}, 409),
        ({"ends_at": "2098-01-01T00:00:00Z", "starts_at": "2099-01-01T00:00:00Z"}, 409),
        ({}, 400),
        ({"ends_at": "soon"}, 400),
    ],
)
def test_wrong_silence_is_refused(acme: Tenant, body: object, status: int) -> None:
    answer = make_api(acme).post("/api/v1/silences/", body)

    assert answer.status_code == status
    with tenant_scope(acme.id):
        assert not Silence.objects.exists()


def test_viewer_key_changes_nothing(acme: Tenant, ruled: AlertRule) -> None:
    with tenant_scope(acme.id):
        alert = make_alert()
    api = make_api(acme, Role.VIEWER)

    codes = [
        api.post(f"/api/v1/alerts/{alert.id}/acknowledge/", {}).status_code,
        api.post("/api/v1/alert-rules/", {"name": "x"}).status_code,
        api.delete(f"/api/v1/alert-rules/{ruled.id}/").status_code,
        api.post("/api/v1/silences/", {"ends_at": "2099-01-01T00:00:00Z"}).status_code,
        api.get("/api/v1/alerts/").status_code,
    ]

    assert codes == [403, 403, 403, 403, 200]


def test_long_list_of_ids_is_refused_before_each_is_looked_for(acme: Tenant, ruled: AlertRule) -> None:
    api = make_api(acme)
    few, many = ({"name": "Night", "channels": [str(UUID(int=n)) for n in range(count)]} for count in (1, 3_000))

    asked = [queries_of(lambda body=body: api.post("/api/v1/alert-rules/", body)) for body in (few, many)]
    answer = api.post("/api/v1/alert-rules/", many)

    assert asked[1] < asked[0]
    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        {"channels": ["Ensure this field has no more than 100 elements."]},
    )


@pytest.mark.parametrize("zone", ["Pacific/Pago_Pago", "Pacific/Kiritimati"])
def test_silence_ends_where_every_zone_has_a_calendar(acme: Tenant, owner: User, zone: str) -> None:
    Tenant.objects.filter(id=acme.id).update(time_zone=zone)
    api = make_api(acme)

    refused = [
        api.post("/api/v1/silences/", {"starts_at": starts_at, "ends_at": ends_at}).json()["errors"]
        for starts_at, ends_at in (
            ("0001-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
            ("2030-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        )
    ]
    taken = api.post("/api/v1/silences/", {"starts_at": "1970-01-01T00:00:00Z", "ends_at": "2199-12-31T23:59:59Z"})

    said = ["Choose a time between the years 1970 and 2200."]
    assert (refused, taken.status_code) == ([{"starts_at": said}, {"ends_at": said}], 201)
    assert client_of(owner).get("/t/acme/alerts/silences/").status_code == 200


def test_refused_rule_and_silence_name_the_field(acme: Tenant, ruled: AlertRule) -> None:
    api = make_api(acme)

    rule = api.post("/api/v1/alert-rules/", {"name": ruled.name}).json()
    silence = api.post("/api/v1/silences/", {"ends_at": "2001-01-01T00:00:00Z"}).json()

    assert rule["errors"] == {"name": ["Another rule has this name."]}
    assert silence["errors"] == {"ends_at": ["A silence must end after it begins, and in the future."]}
