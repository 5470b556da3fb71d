"""What people and programs see of a heartbeat."""

import html
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain import ping_pruning
from apps.checks.domain.heartbeats import ping_key
from apps.checks.domain.pings import Fate, PingStore
from apps.checks.models import Check, Ping
from apps.checks.types.heartbeat import HeartbeatCheck, HeartbeatConfig, Signal
from apps.core.kinds import ConfigErrors, parse_config
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.checks.test_api import Api
from tests.checks.test_pings import GONE, RUN, UNREAD, damage, heartbeat, ping, token_of
from tests.factories import make_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def scope(acme: Tenant) -> Iterator[Tenant]:
    with tenant_scope(acme.id):
        yield acme


@pytest.fixture
def check(scope: Tenant) -> Check:
    return heartbeat()


def page(user: User, tenant: Tenant, check: Check, name: str = "detail", *more: int) -> str:
    client = Client()
    client.force_login(user)
    response = client.get(reverse(f"checks:{name}", args=[tenant.slug, check.id, *more]))
    assert response.status_code == 200
    return response.content.decode()


def test_page_shows_the_addresses_to_who_may_edit(check: Check, scope: Tenant, owner: User) -> None:
    viewer = make_member(scope, "viewer@acme.example", Role.VIEWER)
    address = f"{settings.PUBLIC_URL}/ping/{token_of(check)}"

    shown, hidden = page(owner, scope, check), page(viewer, scope, check)

    assert address in shown
    assert f"{settings.PUBLIC_URL}/ping/{ping_key()}/backup" in shown
    assert f"{settings.PUBLIC_URL}/api/push/{token_of(check)}" in shown
    assert all(title in shown for title in ("crontab", "systemd", "PowerShell"))
    assert token_of(check) not in hidden
    assert ping_key() not in hidden
    assert "Next report expected" in hidden


def test_page_and_api_show_the_mail_address_where_mails_are_taken(check: Check, scope: Tenant, owner: User) -> None:
    address = f"{token_of(check)}@ping.example"

    without = page(owner, scope, check)

    assert address not in without
    with override_settings(PING_MAIL_DOMAIN="ping.example"):
        assert address in page(owner, scope, check)
        assert Api(scope).call("GET", f"{check.id}/heartbeat/")[1]["mail_address"] == address
        assert Api(scope, Role.VIEWER).call("GET", f"{check.id}/heartbeat/")[1]["mail_address"] == ""


def test_page_lists_the_last_reports(check: Check, scope: Tenant, owner: User) -> None:
    PingStore().store(
        [ping(token_of(check), Signal.START, run_id=RUN), ping(token_of(check), exit_status=3, body=b"disk full")]
    )

    shown = page(owner, scope, check)

    assert "exit status 3" in shown
    assert reverse("checks:ping_text", args=[scope.slug, check.id, 2]) in shown
    assert reverse("checks:ping_text", args=[scope.slug, check.id, 1]) not in shown
    assert "disk full" not in shown


def test_page_lists_every_kept_report_in_pages_with_its_run(check: Check, scope: Tenant, owner: User) -> None:
    run = UUID("0199aa10-3c4f-7d7e-8000-5d9b6f1f7c11")
    PingStore().store(
        [ping(token_of(check), minutes=number, run_id=run if number == 7 else None) for number in range(120)]
    )
    client = Client()
    client.force_login(owner)

    def shown(**query: str) -> tuple[list[int], str]:
        text = client.get(reverse("checks:detail", args=[scope.slug, check.id]), query).content.decode()
        return [int(number) for number in re.findall(r'data-label="#" class="num">(\d+)<', text)], text

    first, newest = shown()
    last, oldest = shown(page="3", period="7d")

    assert (first, last) == (list(range(120, 70, -1)), list(range(20, 0, -1)))
    assert ("1–50 of 120" in newest, "101–120 of 120" in oldest) == (True, True)
    assert (f"run {run}" in newest, f"run {run}" in oldest) == (False, True)
    assert 'href="?page=2"' in newest
    assert 'href="?period=7d&amp;page=2"' in oldest
    # What comes in meanwhile does not leaf back to the first page.
    refresh = re.search(r'id="check-heartbeat"[^>]* hx-get="([^"]*)"', oldest)
    assert refresh is not None
    assert html.unescape(refresh[1]).endswith("?page=3&period=7d")


@pytest.mark.parametrize(
    "config",
    [
        HeartbeatConfig(schedule="cron", cron="0 3 * * *", time_zone="Europe/Berlin"),
        HeartbeatConfig(schedule="oncalendar", on_calendar="Mon..Fri 03:00\nSat 05:00"),
    ],
)
def test_page_names_the_next_instants_of_a_calendar(config: HeartbeatConfig, scope: Tenant, owner: User) -> None:
    shown = page(owner, scope, heartbeat(config=config))

    assert " 03:00</time>" in shown


@pytest.mark.parametrize("broken", [{}, {"config": GONE}, {"config": UNREAD}])
def test_page_and_api_say_that_settings_cannot_be_read(broken: dict[str, Any], scope: Tenant, owner: User) -> None:
    check = heartbeat()
    PingStore().store([ping(token_of(check))])
    damage(check, **broken)

    shown, sound = page(owner, scope, check), page(owner, scope, heartbeat("Sound"))
    status, facts = Api(scope).call("GET", f"{check.id}/heartbeat/")

    told = "The check's settings could not be read."
    assert (told in shown, told in sound) == (True, False)
    assert (status, facts["phase"], facts["expected_at"], facts["upcoming"]) == (200, "up", None, [])


def test_schedule_that_cannot_be_read_is_mended_and_the_check_renamed(scope: Tenant) -> None:
    check, api = heartbeat(), Api(scope)
    damage(check, config=UNREAD)

    renamed, _check = api.call("PATCH", f"{check.id}/", {"name": "Nightly"})
    refused, why = api.call("PATCH", f"{check.id}/", {"config": {"on_calendar": "03:00\r04:00"}})
    mended, _check = api.call("PATCH", f"{check.id}/", {"config": {"on_calendar": "03:00\r\n04:00"}})

    assert (renamed, refused, mended) == (200, 400, 200)
    assert "on_calendar" in str(why)
    assert "one expression a line" in str(why)
    assert PingStore().store([ping(token_of(check))]).fates == [Fate.STORED]


@pytest.mark.parametrize(("zone", "is_taken"), [("UTC", True), ("Europe/Berlin", False)])
def test_calendar_is_tried_on_its_own_clock(zone: str, *, is_taken: bool) -> None:
    """Each year Berlin's clock skips that hour, on the only day."""
    given = {"schedule": "oncalendar", "on_calendar": "Sun *-03-25..31 02:30", "time_zone": zone}

    errors: dict[str, list[str]] = {}
    try:
        parse_config(HeartbeatConfig, given)
    except ConfigErrors as error:
        errors = error.errors

    assert list(errors) == ([] if is_taken else ["on_calendar"])


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(60, "1 min"), (86_400, "1 d"), (90_061, "1 d 1 h 1 min 1 s"), (5_400, "1 h 30 min"), (7 * 86_400, "7 d")],
)
def test_period_is_told_in_units(seconds: int, words: str) -> None:
    assert HeartbeatCheck().target(HeartbeatConfig(period_seconds=seconds)) == words


def test_form_asks_for_what_the_schedule_needs_and_folds_the_rest(scope: Tenant, owner: User) -> None:
    client = Client()
    client.force_login(owner)

    form = client.get(reverse("checks:create", args=[scope.slug]), {"kind": "heartbeat"}).context["form"]

    conditions = {name: getattr(field, "shown_when", "") for name, field in form.fields.items()}
    assert {name: when for name, when in conditions.items() if when} == {
        "config-period_seconds": "config-schedule=simple",
        "config-cron": "config-schedule=cron",
        "config-on_calendar": "config-schedule=oncalendar",
        "config-time_zone": "config-schedule=cron oncalendar",
    }
    assert [(group.title, group.is_folded) for group in form.groups] == [
        ("What to watch", False),
        ("When reports are expected", False),
        ("How reports are read", True),
    ]


def test_text_of_a_ping_is_shown_as_text(check: Check, scope: Tenant, owner: User) -> None:
    PingStore().store([ping(token_of(check), body=b"<script>alert(1)</script>")])

    shown = page(owner, scope, check, "ping_text", 1)

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script>" not in shown


def test_text_that_is_gone_says_so(check: Check, scope: Tenant, owner: User) -> None:
    PingStore().store([ping(token_of(check), body=b"x")])
    Ping.objects.update(body=None)

    assert "no longer kept" in page(owner, scope, check, "ping_text", 1)


def test_page_asks_no_more_for_more_pings(check: Check, scope: Tenant, owner: User) -> None:
    def count(pings: int) -> int:
        PingStore().store([ping(token_of(check), minutes=number, body=b"x") for number in range(pings)])
        with CaptureQueriesContext(
            connection,
        ) as captured:
            page(owner, scope, check)
        return len(captured)

    count(1)
    assert count(1) == count(3) == count(60)


# --- API ----------------------------------------------------------------------------------------------------------------


def test_heartbeat_over_the_api(check: Check, scope: Tenant) -> None:
    PingStore().store([ping(token_of(check), Signal.START, run_id=RUN), ping(token_of(check), minutes=2, run_id=RUN)])
    editor, viewer = Api(scope), Api(scope, Role.VIEWER)

    _status, shown = editor.call("GET", f"{check.id}/heartbeat/")
    _status, less = viewer.call("GET", f"{check.id}/heartbeat/")

    assert (shown["phase"], shown["pings"], shown["last_duration_seconds"]) == ("up", 2, 120.0)
    assert shown["ping_url"] == f"{settings.PUBLIC_URL}/ping/{token_of(check)}"
    assert len(shown["upcoming"]) == 3
    assert (less["ping_url"], less["slug_url"], less["push_url"]) == ("", "", "")


def test_pings_over_the_api_newest_first(check: Check, scope: Tenant) -> None:
    PingStore().store([ping(token_of(check), minutes=number, body=b"x" * number) for number in range(3)])

    _status, shown = Api(scope).call("GET", f"{check.id}/pings/?limit=2")

    assert [(one["number"], one["signal"], one["body_bytes"]) for one in shown["results"]] == [
        (3, "success", 2),
        (2, "success", 1),
    ]
    assert shown["next"]


def test_text_of_a_ping_over_the_api_is_as_it_came(check: Check, scope: Tenant) -> None:
    PingStore().store([ping(token_of(check), body=b'{"a": 1}')])
    api = Api(scope)

    assert api.call("GET", f"{check.id}/pings/1/body/") == (200, {"a": 1})
    assert api.call("GET", f"{check.id}/pings/2/body/")[0] == 404


def test_other_kinds_have_no_heartbeat(scope: Tenant) -> None:
    api = Api(scope)
    _status, made = api.call("POST", "", {"name": "A", "kind": "http", "config": {"url": "https://a.example/"}})

    assert [api.call("GET", f"{made['id']}/{path}")[0] for path in ("heartbeat/", "pings/")] == [404, 404]


def test_stranger_finds_nothing(check: Check, globex: Tenant) -> None:
    PingStore().store([ping(token_of(check), body=b"theirs")])
    api = Api(globex)

    answers: list[Any] = [
        api.call("GET", f"{check.id}/{path}")[0] for path in ("heartbeat/", "pings/", "pings/1/body/")
    ]

    assert answers == [404, 404, 404]


def test_heartbeat_made_over_the_api_can_be_pinged(scope: Tenant) -> None:
    api = Api(scope)
    config = {"schedule": "cron", "cron": "*/5 * * * *", "time_zone": "Europe/Berlin", "grace_seconds": 120}

    status, made = api.call("POST", "", {"name": "Nightly", "kind": "heartbeat", "config": config})
    wrong, why = api.call("POST", "", {"name": "B", "kind": "heartbeat", "config": {"schedule": "cron", "cron": "no"}})

    assert (status, made["state"], made["target"]) == (201, "new", "*/5 * * * * Europe/Berlin")
    assert wrong in (400, 422)
    assert "cron" in str(why)
    assert PingStore().store([ping(token_of(Check.objects.get(id=made["id"])))]).changed
    assert ping_pruning.KEPT_PINGS == 1_000
