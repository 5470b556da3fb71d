"""Pages of alerts, rules and silences."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from apps.alerting.domain.alerts import acknowledge
from apps.alerting.domain.rounds import consider_outage
from apps.alerting.domain.silences import create_silence, end_silence
from apps.alerting.enums import AlertState, Trigger
from apps.alerting.models import Alert, AlertRule, Silence
from apps.checks.enums import State
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.incidents.domain.outages import account_for_flips
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member
from tests.factories.alerting import make_channel, make_rule
from tests.factories.checks import make_check
from tests.factories.incidents import make_flip, make_outage, minute
from tests.queries import queries_of


@pytest.fixture
def signed_in(client: Client, acme: Tenant, owner: object) -> Client:
    client.force_login(owner)
    return client


def address(tenant: Tenant, name: str, *args: object) -> str:
    return reverse(f"alerting:{name}", args=[tenant.slug, *args])


def make_alert(name: str = "API", *, severity: State = State.DOWN, is_over: bool = False) -> Alert:
    """An alert as the pipeline makes it; needs a rule."""
    check = make_check(name)
    outage = make_outage(check, severity=severity)
    consider_outage(outage.id, Trigger.OPENED)
    if is_over:
        make_flip(check, State.UP, minute(1))
        account_for_flips([check.id])
        consider_outage(outage.id, Trigger.RESOLVED)
    return Alert.objects.latest("id")


@pytest.fixture
def ruled(acme: Tenant) -> AlertRule:
    """Acme with one rule and one default channel."""
    with tenant_scope(acme.id):
        make_channel()
        return make_rule()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Taken", "Down", "Slow", "Over"]),
        ("?state=open", ["Taken", "Down", "Slow"]),
        ("?state=acknowledged", ["Taken"]),
        ("?state=resolved", ["Over"]),
        ("?severity=degraded", ["Slow"]),
        ("?q=DOW", ["Down"]),
        ("?q=everything", ["Taken", "Down", "Slow", "Over"]),
        ("?state=broken&rule=x", ["Taken", "Down", "Slow", "Over"]),
    ],
)
def test_list_shows_open_ones_first_and_filters(
    signed_in: Client, acme: Tenant, ruled: AlertRule, query: str, names: list[str]
) -> None:
    with tenant_scope(acme.id):
        make_alert("Over", is_over=True)
        make_alert("Slow", severity=State.DEGRADED)
        make_alert("Down")
        acknowledge(alert_id=make_alert("Taken").id, actor=None)

    shown = signed_in.get(address(acme, "list") + query)

    assert [alert.check_name for alert in shown.context["page"]] == names


def test_lists_ask_as_much_for_three_rows_as_for_one(signed_in: Client, acme: Tenant, ruled: AlertRule) -> None:
    counts = []
    for number in range(3):
        with tenant_scope(acme.id):
            alert = make_alert(f"Check {number}")
            make_rule(f"Rule {number}", channels=[make_channel(f"Channel {number}")])
            create_silence(ends_at=clock.now() + timedelta(hours=1), actor=None, check=alert.watched)
            gone = create_silence(ends_at=clock.now() + timedelta(hours=1), actor=None)
            end_silence(silence_id=gone.id)
        pages = [address(acme, name) for name in ("list", "rules", "silences")]
        counts.append([queries_of(lambda page=page: signed_in.get(page)) for page in pages])

    assert counts[0] == counts[1] == counts[2]
    assert max(counts[0]) < 20


def test_silenced_alert_is_shown_as_such(signed_in: Client, acme: Tenant, ruled: AlertRule) -> None:
    with tenant_scope(acme.id):
        quiet, loud = make_alert("Quiet"), make_alert("Loud")
        create_silence(ends_at=clock.now() + timedelta(hours=1), actor=None, check=quiet.watched)

    shown = signed_in.get(address(acme, "list"))

    assert shown.context["silenced"] == {quiet.id}
    assert loud.id in {alert.id for alert in shown.context["page"]}


def test_detail_tells_why_and_what_was_sent(signed_in: Client, acme: Tenant, ruled: AlertRule) -> None:
    with tenant_scope(acme.id):
        alert = make_alert()

    shown = signed_in.get(address(acme, "detail", alert.id))

    (run,) = shown.context["runs"]
    assert (run.has_notified, run.trigger, run.outcome) == (
        True,
        "The outage opened",
        "Nobody had been told of it yet.",
    )
    assert [(line.stage, line.has_passed, line.text) for line in run.lines] == [
        ("Rule", True, "The rule covers this check and “Down”."),
        ("Inhibition", True, "No graver alert on the same check, and what it depends on is well."),
        ("Waiting", True, "Nothing to wait for."),
        ("Silences", True, "No silence applies."),
        ("Grouping", True, "One alert per rule and check."),
        ("News", True, "Nobody had been told of it yet."),
        ("Recipients", True, "Goes to the rule's channels: Slack."),
        ("Deliveries", True, "Messages written down for delivery: 1."),
    ]
    assert [(delivery.channel_name, delivery.state) for delivery in shown.context["deliveries"]] == [
        ("Slack", "pending")
    ]


def test_detail_of_a_silenced_alert_names_the_silence(signed_in: Client, acme: Tenant, ruled: AlertRule) -> None:
    until = clock.now() + timedelta(hours=1)
    with tenant_scope(acme.id):
        create_silence(ends_at=until, actor=None, reason="Moving house")
        alert = make_alert()

    shown = signed_in.get(address(acme, "detail", alert.id))

    (run,) = shown.context["runs"]
    assert (run.has_notified, run.outcome) == (False, f"Silenced until {until:%Y-%m-%d %H:%M} UTC: Moving house")
    assert shown.context["is_silenced"] is True


def test_why_page_names_alerts_and_rules_that_made_none(signed_in: Client, acme: Tenant, ruled: AlertRule) -> None:
    with tenant_scope(acme.id):
        make_rule("US", tags=["us"])
        alert = make_alert()

    shown = signed_in.get(address(acme, "why", alert.outage_id))

    assert [found.id for found, _runs in shown.context["alerts"]] == [alert.id]
    texts = [(one.rule.name, text) for one, text in shown.context["mismatches"]]
    assert texts == [("US", "The check has none of the rule's tags: us.")]


def test_acknowledge_by_htmx_answers_a_toast_and_lets_lists_fetch_again(
    signed_in: Client, acme: Tenant, ruled: AlertRule, owner: object
) -> None:
    with tenant_scope(acme.id):
        alert = make_alert()

    answer = signed_in.post(address(acme, "acknowledge", alert.id), headers={"HX-Request": "true"})

    assert answer.status_code == 204
    assert json.loads(answer["HX-Trigger"]) == {
        "toast": {"text": "You are on it: no more reminders.", "tone": "success"},
        "alerts-changed": True,
    }
    with tenant_scope(acme.id):
        alert.refresh_from_db()
    assert (alert.state, alert.acknowledged_by_id) == (AlertState.ACKNOWLEDGED, owner.id)


def test_acknowledging_what_is_over_says_so(signed_in: Client, acme: Tenant, ruled: AlertRule) -> None:
    with tenant_scope(acme.id):
        alert = make_alert(is_over=True)

    answer = signed_in.post(address(acme, "acknowledge", alert.id), follow=True)

    assert [str(message) for message in answer.context["messages"]] == ["This alert is over."]


def test_alert_is_silenced_from_its_button(signed_in: Client, acme: Tenant, ruled: AlertRule) -> None:
    with tenant_scope(acme.id):
        alert = make_alert()

    answers = [
        signed_in.post(address(acme, "silence_alert", alert.id), {"minutes": minutes}).status_code
        for minutes in ("60", "7", "")
    ]

    assert answers == [302, 302, 302]
    with tenant_scope(acme.id):
        silence = Silence.objects.get()
    assert (silence.watched_id, silence.ends_at - silence.starts_at < timedelta(minutes=61)) == (alert.watched_id, True)


RULE = {
    "name": "Nights",
    "severities": ["down"],
    "tags": "EU, eu, api",
    "repeat_minutes": "",
    "notifies_on_resolve": "",
}


def test_rule_is_made_changed_switched_and_deleted(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        channel = make_channel()

    signed_in.post(address(acme, "rule_create"), {**RULE, "channels": [channel.id]})
    with tenant_scope(acme.id):
        made = AlertRule.objects.get()
        channels = list(made.channels.all())
    assert (made.severities, made.tags, made.repeat_interval, made.notifies_on_resolve) == (
        ["down"],
        ["eu", "api"],
        None,
        False,
    )
    assert channels == [channel]

    signed_in.post(
        address(acme, "rule_edit", made.id),
        {**RULE, "name": "Days", "repeat_minutes": "60", "notifies_on_resolve": "on"},
    )
    signed_in.post(address(acme, "rule_switch", made.id), {"is_enabled": "false"})
    with tenant_scope(acme.id):
        changed = AlertRule.objects.get()
        channels = list(changed.channels.all())
    assert (changed.name, changed.repeat_interval, changed.notifies_on_resolve) == ("Days", timedelta(hours=1), True)
    assert (changed.is_enabled, channels) == (False, [])

    signed_in.post(address(acme, "rule_delete", made.id))
    with tenant_scope(acme.id):
        assert not AlertRule.objects.exists()


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "Everything"}, ["name"]),
        ({"severities": []}, ["severities"]),
        ({"severities": ["sad"]}, ["severities"]),
        ({"repeat_minutes": "7"}, ["repeat_minutes"]),
        ({"tags": "x" * 41}, ["tags"]),
        ({"channels": ["0190a000-0000-7000-8000-000000000000"]}, ["channels"]),
    ],
)
def test_wrong_rule_is_shown_again_with_what_is_wrong(
    signed_in: Client, acme: Tenant, ruled: AlertRule, change: dict[str, object], fields: list[str]
) -> None:
    answer = signed_in.post(address(acme, "rule_create"), {**RULE, **change})

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, fields)


def test_rule_with_an_unusual_interval_keeps_it_in_its_form(signed_in: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        rule = make_rule(repeat_interval=timedelta(minutes=42))

    shown = signed_in.get(address(acme, "rule_edit", rule.id))

    assert (42, "42 min") in shown.context["form"].fields["repeat_minutes"].choices


def test_silence_is_made_and_ended(signed_in: Client, acme: Tenant, owner: object) -> None:
    with tenant_scope(acme.id):
        check = make_check()

    made = signed_in.post(
        address(acme, "silence_create"), {"check": check.id, "tags": "", "duration": "30", "reason": "Move"}
    )
    with tenant_scope(acme.id):
        silence = Silence.objects.get()
    signed_in.post(address(acme, "silence_end", silence.id))

    assert made.status_code == 302
    assert (silence.watched_id, silence.reason, silence.created_by_id) == (check.id, "Move", owner.id)
    assert timedelta(minutes=29) < silence.ends_at - silence.starts_at <= timedelta(minutes=30, seconds=1)
    with tenant_scope(acme.id):
        silence.refresh_from_db()
    assert silence.ends_at <= clock.now()


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"duration": "until"}, ["until"]),
        ({"duration": "until", "until": "2020-01-01T00:00"}, ["until"]),
        ({"duration": "until", "until": "soon"}, ["until"]),
        ({"duration": "5"}, ["duration"]),
        ({"duration": "30", "check": "0190a000-0000-7000-8000-000000000000"}, ["check"]),
    ],
)
def test_wrong_silence_is_shown_again_with_what_is_wrong(
    signed_in: Client, acme: Tenant, given: dict[str, str], fields: list[str]
) -> None:
    answer = signed_in.post(address(acme, "silence_create"), given)

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, fields)


def test_viewer_sees_everything_and_changes_nothing(client: Client, acme: Tenant, ruled: AlertRule) -> None:
    with tenant_scope(acme.id):
        alert = make_alert()
        silence = create_silence(ends_at=clock.now() + timedelta(hours=1), actor=None)
    client.force_login(make_member(acme, "vera@acme.example", Role.VIEWER))
    seen = [("list",), ("detail", alert.id), ("why", alert.outage_id), ("rules",), ("silences",)]
    done = [
        *(("acknowledge", alert.id), ("silence_alert", alert.id), ("rule_create",), ("rule_edit", ruled.id)),
        *(("rule_switch", ruled.id), ("rule_delete", ruled.id), ("silence_create",), ("silence_end", silence.id)),
    ]

    codes = (
        [client.get(address(acme, *where)).status_code for where in seen],
        [client.post(address(acme, *where)).status_code for where in done],
    )

    assert codes == ([200] * 5, [403] * 8)
